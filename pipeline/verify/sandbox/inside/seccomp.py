"""A list of the system calls that a program may make.

Every other one fails with 'operation not permitted'.

A pure computation in Python reads files, asks for memory and the time, and that is nearly all. Left
out are, above all: new processes and threads (so that the limits on memory and CPU time, which
count per process, are exact totals, and nothing can stay behind), exec, every socket, signals to
anyone, ptrace, namespaces, mounts, System V and POSIX shared memory, and the limits themselves.
Written out by hand because libseccomp is a system library that cannot be counted on. Numbers: the
kernel's tables for x86-64 and for arm64.
"""

from __future__ import annotations

import ctypes
import platform
import struct

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER = 38, 22, 2
_LOAD, _EQUAL, _SET, _AT_LEAST, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06  # classic BPF instructions
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050001, 0x80000000  # _REFUSE: the errno EPERM
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
# O_WRONLY or O_RDWR, O_CREAT, O_TRUNC: any of these opens for writing
_WRITING = 0o3 | 0o100 | 0o1000
# duplicate, descriptor flags, status flags: not F_SETOWN, which sends signals
_FCNTL = (0, 1, 2, 3, 4, 1030)
# terminal?, its size, bytes waiting, close-on-exec
_IOCTL = (0x5401, 0x5413, 0x541B, 0x5450, 0x5451)

# name: (x86-64, arm64); None where the call does not exist there.
_ALWAYS: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "stat": (4, None), "fstat": (5, 80),
    "lstat": (6, None), "poll": (7, None), "lseek": (8, 62), "mmap": (9, 222),
    "mprotect": (10, 226), "munmap": (11, 215), "brk": (12, 214), "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "pread64": (17, 67), "readv": (19, 65),
    "writev": (20, 66), "access": (21, None), "select": (23, None), "sched_yield": (24, 124),
    "mremap": (25, 216), "madvise": (28, 233), "dup": (32, 23), "dup2": (33, None),
    "pause": (34, None), "nanosleep": (35, 101), "getitimer": (36, 102), "alarm": (37, None),
    "setitimer": (38, 103), "getpid": (39, 172), "exit": (60, 93), "uname": (63, 160),
    "getcwd": (79, 17), "chdir": (80, 49), "readlink": (89, None), "umask": (95, 166),
    "gettimeofday": (96, 169), "getrlimit": (97, 163), "getrusage": (98, 165), "sysinfo": (99, 179),
    "times": (100, 153), "getuid": (102, 174), "getgid": (104, 176), "geteuid": (107, 175),
    "getegid": (108, 177), "getppid": (110, 173), "sigaltstack": (131, 132), "statfs": (137, 43),
    "fstatfs": (138, 44), "gettid": (186, 178), "time": (201, None), "futex": (202, 98),
    "sched_getaffinity": (204, 123), "getdents64": (217, 61), "restart_syscall": (219, 128),
    "fadvise64": (221, 223), "clock_gettime": (228, 113), "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115), "exit_group": (231, 94), "newfstatat": (262, 79),
    "readlinkat": (267, 78), "faccessat": (269, 48), "pselect6": (270, 72), "ppoll": (271, 73),
    "set_robust_list": (273, 99), "dup3": (292, 24), "getrandom": (318, 278),
    "membarrier": (324, 283), "statx": (332, 291), "rseq": (334, 293), "faccessat2": (439, 439),
}  # fmt: skip
_FILES: dict[str, tuple[int | None, int | None]] = {
    "open": (2, None), "pwrite64": (18, 68), "fsync": (74, 82), "fdatasync": (75, 83),
    "truncate": (76, 45), "ftruncate": (77, 46), "rename": (82, None), "mkdir": (83, None),
    "rmdir": (84, None), "link": (86, None), "unlink": (87, None), "symlink": (88, None),
    "chmod": (90, None), "fchmod": (91, 52), "openat": (257, 56), "mkdirat": (258, 34),
    "unlinkat": (263, 35), "renameat": (264, 38), "linkat": (265, 37), "symlinkat": (266, 36),
    "fchmodat": (268, 53), "utimensat": (280, 88), "renameat2": (316, 276),
}  # fmt: skip
_CHECKED = {"openat": (257, 56), "fcntl": (72, 25), "ioctl": (16, 29)}
# column above, the kernel's name of it
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}


class Unsupported(Exception):
    """No filter for this machine, or a kernel without filters."""


def program(machine: str, write_files: bool) -> bytes:
    """The filter as classic BPF: eight bytes an instruction.

    Raises:
        Unsupported: no table for this machine.
    """
    if machine not in _MACHINES:
        raise Unsupported(f"no list of system calls for {machine}")
    column, arch = _MACHINES[machine]
    allowed = {**_ALWAYS, **(_FILES if write_files else {})}
    code = [
        (_LOAD, 0, 0, _ARCH),
        (_EQUAL, 1, 0, arch),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    # x32 calls on x86-64: numbers of another table
    code += [(_AT_LEAST, 0, 1, 0x40000000), (_RETURN, 0, 0, _KILL)]
    for number in sorted(
        numbers[column] for numbers in allowed.values() if numbers[column] is not None
    ):  # type: ignore[type-var]
        code += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ALLOW)]  # type: ignore[list-item]
    if not write_files:
        flags = [(_LOAD, 0, 0, _ARGUMENTS + 8 * 2), (_SET, 1, 0, _WRITING), (_RETURN, 0, 0, _ALLOW)]
        code += [
            (_EQUAL, 0, len(flags) + 1, _CHECKED["openat"][column]),
            *flags,
            (_RETURN, 0, 0, _REFUSE),
        ]
    for name, values in (("fcntl", _FCNTL), ("ioctl", _IOCTL)):
        checks = [(_LOAD, 0, 0, _ARGUMENTS + 8)]
        for value in values:
            checks += [(_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ALLOW)]
        code += [
            (_EQUAL, 0, len(checks) + 1, _CHECKED[name][column]),
            *checks,
            (_RETURN, 0, 0, _REFUSE),
        ]
    code.append((_RETURN, 0, 0, _REFUSE))
    return b"".join(struct.pack("HBBI", *instruction) for instruction in code)


def install(write_files: bool) -> None:
    """Puts the filter on this process, for good.

    Raises:
        Unsupported: no table for this machine, or the kernel refuses.
    """
    code = program(platform.machine(), write_files)
    buffer = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        _PR_SET_SECCOMP, _FILTER, header, 0, 0
    ):
        raise Unsupported(
            f"the kernel takes no filter of system calls (error {ctypes.get_errno()})"
        )


def drop_capabilities() -> None:
    """Gives up all capabilities,
    so that a root user's program is bound by permissions like any other's.

    Raises:
        Unsupported: the kernel refuses.
    """
    header = struct.pack("Ii", 0x20080522, 0)  # version 3, this process
    if ctypes.CDLL(None, use_errno=True).capset(header, bytes(24)):
        raise Unsupported(f"capabilities cannot be given up (error {ctypes.get_errno()})")
