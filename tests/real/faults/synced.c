/* Preloaded into a process: what its file system would still hold after a power loss.
 *
 * Below $SYNCED_ROOT, an fsync or fdatasync of a file keeps its bytes of that moment in
 * $SYNCED_KEPT (under its inode's number), and one of a folder keeps the list of its names. What was
 * written, made or renamed and never synced leaves nothing there; nor does an inode that is free
 * again.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void keep(int fd) {
    const char *root = getenv("SYNCED_ROOT"), *kept = getenv("SYNCED_KEPT");
    char link[64], path[4096], copy[8192], block[65536];
    if (!root || !kept) return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return;
    path[length] = 0;
    if (strncmp(path, root, strlen(root))) return;
    struct stat found;
    if (fstat(fd, &found)) return;
    snprintf(copy, sizeof copy, "%s/%lu", kept, (unsigned long)found.st_ino);
    int out = open(copy, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (out < 0) return;
    if (S_ISDIR(found.st_mode)) {
        DIR *folder = opendir(path);
        for (struct dirent *e; folder && (e = readdir(folder));) dprintf(out, "%s\n", e->d_name);
        if (folder) closedir(folder);
    } else {
        int in = open(link, O_RDONLY);
        for (ssize_t n; (n = read(in, block, sizeof block)) > 0;)
            if (write(out, block, n) != n) abort();
        close(in);
    }
    close(out);
}

static void forget(int folder, const char *path) {
    const char *kept = getenv("SYNCED_KEPT");
    char copy[8192];
    struct stat found;
    if (!kept || fstatat(folder, path, &found, AT_SYMLINK_NOFOLLOW)) return;
    snprintf(copy, sizeof copy, "%s/%lu", kept, (unsigned long)found.st_ino);
    int (*real)(int, const char *, int) = dlsym(RTLD_NEXT, "unlinkat");
    real(AT_FDCWD, copy, 0);
}

int unlink(const char *path) {
    int (*real)(const char *) = dlsym(RTLD_NEXT, "unlink");
    forget(AT_FDCWD, path);
    return real(path);
}

int unlinkat(int folder, const char *path, int flags) {
    int (*real)(int, const char *, int) = dlsym(RTLD_NEXT, "unlinkat");
    forget(folder, path);
    return real(folder, path, flags);
}

int rename(const char *old, const char *new) {
    int (*real)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
    forget(AT_FDCWD, new);
    return real(old, new);
}

int fsync(int fd) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
    int failed = real(fd);
    if (!failed) keep(fd);
    return failed;
}

int fdatasync(int fd) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fdatasync");
    int failed = real(fd);
    if (!failed) keep(fd);
    return failed;
}
