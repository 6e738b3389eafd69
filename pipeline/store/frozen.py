"""A lake that nobody can write now: its home is read-only, or its disk is full.

SQLite needs to make files beside a catalog even to read it. So such a lake is read from a private
copy of its catalog in a temporary folder; the data files are read where they are.
"""

import os
import shutil
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path

from pipeline.store.copies import CATALOG

NO_SPACE = (
    "no space left for the lake in {folder}: free some and run again; the last version is safe"
)
_NEEDED = 256 << 10  # bytes that SQLite takes beside a catalog, and some
_ATTEMPTS = 100  # to copy while nobody writes
_IN_MEMORY = "/dev/shm"  # where the disk of the temporary folder is full too


def read_only(folder: Path) -> str | None:
    """Why an embedded lake's folder cannot be written; null where it can, or is not there yet."""
    known = [path for path in (folder, folder / CATALOG, folder / "lock") if path.exists()]
    if all(os.access(path, os.W_OK) for path in known):
        return None
    return f"lake in {folder}: it is read-only: nothing was written; set ORCHARD_HOME to another"


def no_space(folder: Path) -> str | None:
    """Why nothing can be written to a full disk; null where there is space."""
    found = os.statvfs(folder)
    if found.f_bavail * found.f_frsize > _NEEDED:
        return None
    return NO_SPACE.format(folder=folder)


def copied(catalog: Path) -> "tempfile.TemporaryDirectory[str]":
    """A temporary folder with a copy of a catalog, as of one moment.

    Raises:
        OSError: the catalog cannot be read, or there is no space in any temporary folder.
    """
    for place in (None, _IN_MEMORY):
        folder = tempfile.TemporaryDirectory(prefix="orchard-lake-", dir=place)
        try:
            _copy(catalog, Path(folder.name) / CATALOG)
            return folder
        except OSError:
            folder.cleanup()
            if place == _IN_MEMORY or not Path(_IN_MEMORY).is_dir():
                raise
    raise AssertionError("unreachable")


def _copy(catalog: Path, target: Path) -> None:
    for _ in range(_ATTEMPTS):
        before = _state(catalog)
        for side in ("", "-wal"):
            source = catalog.with_name(catalog.name + side)
            if not side or source.exists():
                shutil.copyfile(source, target.with_name(target.name + side))
        if _state(catalog) == before:
            break
        time.sleep(0.02)  # a commit elsewhere: it takes some hundredths of a second
    with closing(sqlite3.connect(target)) as db:  # takes in what is in its WAL
        db.execute("PRAGMA journal_mode = DELETE")


def _state(catalog: Path) -> list[tuple[int, int]]:
    paths = [catalog.with_name(catalog.name + side) for side in ("", "-wal")]
    found = [path.stat() for path in paths if path.exists()]
    return [(one.st_size, one.st_mtime_ns) for one in found]
