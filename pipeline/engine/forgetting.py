"""Completions that leave the cache's file for good: from its pages, its WAL and its copies.

A completion's address is a hash of all that was asked, so nothing in the file says of which prompt
it is. What decides is its text: whoever calls says which texts may stay.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from pipeline.engine.cachefile import BUSY_SECONDS, RAW, in_use, is_whole, one_line
from pipeline.errors import OrchardError
from pipeline.lock import locked

Stays = Callable[[str], bool]


def count(path: Path, stays: Stays) -> tuple[int, int]:
    """How many entries a cache has, and how many of them would go."""
    with one_line(path), closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as cache:
        every = cache.execute("SELECT count(*) FROM completions").fetchone()[0]
        return int(every), sum(1 for _ in _going(cache, stays))


def forget(path: Path, stays: Stays) -> int:
    """Takes out completions whose text may not stay, and damaged ones; how many.

    What a model said in numbers stays. What was set aside by a repair is deleted.

    Raises:
        OrchardError: a process has the cache open.
    """
    try:
        with locked(in_use(path), patience=0):
            gone = _forgotten(path, stays)
    except OrchardError as error:
        if "another process" not in str(error):
            raise
        raise OrchardError(
            f"completion cache {path}: a process has it open: end it and run this again"
        ) from None
    for aside in (*path.parent.glob(f"{path.name}.damaged-*"), *repaired(path)):
        aside.unlink()
    return gone


def repaired(path: Path) -> Iterator[Path]:
    """Files of a repair that was ended half-way."""
    return path.parent.glob(f"{path.name}.repaired*")


def _forgotten(path: Path, stays: Stays) -> int:
    with one_line(path), closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as cache:
        cache.execute("PRAGMA secure_delete = ON")
        going = list(_going(cache, stays))
        cache.executemany("DELETE FROM completions WHERE key = ?", going)
        cache.commit()
        cache.execute("VACUUM")
        (busy, *_) = cache.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise OrchardError(f"completion cache {path}: another process reads it: run this again")
    return len(going)


def _going(cache: sqlite3.Connection, stays: Stays) -> Iterator[tuple[bytes]]:
    for key, value, crc in cache.execute(f"SELECT key, {RAW}, crc FROM completions"):
        if not is_whole(key, value, crc):
            yield (key,)
            continue
        said = json.loads(value)
        if said and isinstance(said[0], str) and not stays(said[0]):
            yield (key,)
