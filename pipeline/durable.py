"""Files that outlive a power loss: their bytes and their names are on the disk.

A kernel keeps what was written in memory for up to half a minute. A file that was written and
renamed but not synced can be there after a power loss with its name, and without its bytes; and a
name is in its folder for sure only when the folder was synced too.
"""

import errno
import os
from collections.abc import Iterable
from pathlib import Path


def sync(path: Path) -> None:
    """Have the disk take a file's bytes, or a folder's names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot sync a folder; there is no more that one can do there.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP) or not path.is_dir():
            raise
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Sync all files and folders below a folder, and the folder itself."""
    for parent, _, names in os.walk(folder, topdown=False):
        for name in names:
            sync(Path(parent) / name)
        sync(Path(parent))


def sync_added(paths: Iterable[Path], root: Path) -> None:
    """Sync new files, and every folder from theirs up to `root`."""
    folders = {root}
    for path in paths:
        sync(path)
        folders |= {folder for folder in path.parents if folder.is_relative_to(root)}
    for folder in folders:
        sync(folder)


def put(draft: Path, target: Path) -> None:
    """Give a finished draft (a file or a folder) its name: whole, or not at all."""
    if draft.is_dir():
        sync_tree(draft)
    else:
        sync(draft)
    draft.replace(target)
    sync(target.parent)
    sync(target.parent.parent)  # a folder that was made for it
