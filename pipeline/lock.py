"""One writer at a time on one host, or several users:
a file lock that the kernel frees when its holder dies.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pipeline.errors import OrchardError

PATIENCE = 600.0  # seconds; a commit holds the lock for well under ten
_POLL = 0.01  # seconds


@contextmanager
def locked(path: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Hold the lock file at `path`.

    SQLite's own lock is not enough: DuckLake reads before it writes, and 38 to 78 % of four
    writers' commits fail.

    Raises:
        OrchardError: another process held it for `patience` seconds.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _wait(descriptor, path, patience)
        try:
            yield
        finally:
            # Closing is not enough: a forked child shares the descriptor, and would keep the lock.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def shared(path: Path, patience: float = PATIENCE) -> IO[bytes]:
    """Hold the lock file at `path` together with any others who share it,
    until the file that this returns is closed.

    Raises:
        OrchardError: another process held it for itself for `patience` seconds.
    """
    file = path.open("ab")
    _wait(file.fileno(), path, patience, fcntl.LOCK_SH)
    return file


def _wait(descriptor: int, path: Path, patience: float, kind: int = fcntl.LOCK_EX) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            return fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                message = (
                    f"another process held {path} for {patience:.0f} s: "
                    "see which, and end it or wait"
                )
                raise OrchardError(message) from None
            time.sleep(_POLL)
