"""A damaged completion cache: what SQLite can still read goes into a new file.

That is most of it where pages are damaged. Of a file that was cut short it may be nothing: pages
that lead to others lie anywhere, and where one is lost nothing behind it is found.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from itertools import product
from pathlib import Path
from typing import Any

from pipeline import durable
from pipeline.engine.cachefile import INSERT, RAW, connected, in_use, is_whole, one_line, sound
from pipeline.errors import OrchardError
from pipeline.lock import locked

Row = tuple[Any, ...]
COLUMNS = (  # of this format, and of older ones
    f"key, {RAW}, policy, day, crc",
    f"key, {RAW}, policy, day, NULL",
    f"key, {RAW}, NULL, NULL, NULL",
)
UNNAMED = "salvaged"  # the policy of a value whose own name is lost
SIDES = ("-wal", "-shm")  # SQLite's files beside a database


def salvage(path: Path) -> tuple[int, Path]:
    """Puts a new file of every value that can still be read in a damaged one's place.

    Returns:
        how many values the new file holds, and where the damaged one is now.

    Raises:
        OrchardError: there is no such file, a run has it open, or there is no space.
    """
    if not path.exists():
        raise OrchardError(f"no completion cache at {path}: nothing to repair")
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(in_use(path), patience=0))
        except OrchardError:
            raise OrchardError(
                f"completion cache {path}: a run has it open: repair it when that has ended"
            ) from None
        return _rebuilt(path)


def _rebuilt(path: Path) -> tuple[int, Path]:
    new, old = (
        path.with_name(f"{path.name}.{what}")
        for what in ("repaired", f"damaged-{int(time.time())}")
    )
    for name in ("", *SIDES):
        # of a repair that was ended half-way
        new.with_name(new.name + name).unlink(missing_ok=True)
    with one_line(new), closing(connected(new)) as target, closing(sqlite3.connect(path)) as source:
        kept = _copy(source, target)
    for name in ("", *SIDES):
        side = path.with_name(path.name + name)
        if side.exists():
            side.rename(old.with_name(old.name + name))
    durable.put(new, path)
    return kept, old


def _copy(source: sqlite3.Connection, target: sqlite3.Connection) -> int:
    """Copies what can be read; how many values that was.

    Rows are read by the first byte of their key, in both directions, so that one bad page costs
    what lies on it and not all that lies behind it; names are read by the table and by its index,
    either of which holds them whole.
    """
    # else SQLite refuses a file that is shorter than its header says
    source.execute("PRAGMA writable_schema = ON")
    names: dict[int | None, str | None] = {}
    for order in ("id", "policy_id"):
        names |= {
            row[0]: row[1]
            for row in _read(source, f"SELECT id, policy_id FROM policies ORDER BY {order}")
        }
    known = [(name,) for name in {UNNAMED, *names.values()}]
    target.executemany("INSERT OR IGNORE INTO policies (policy_id) VALUES (?)", known)
    names[None] = None  # format 1 did not say
    columns = _columns(source)
    for first, direction in product(range(256), ("ASC", "DESC")):
        within = f"key >= x'{first:02x}'"
        within += f" AND key < x'{first + 1:02x}'" if first < 255 else ""
        query = f"SELECT {columns} FROM completions WHERE {within} ORDER BY key {direction}"
        good = (
            (key, value.decode(), names.get(policy, UNNAMED), day, crc)
            for key, value, policy, day, crc in _read(source, query)
            if is_whole(key, value, crc) and sound(value)
        )
        target.executemany(INSERT, good)
    target.commit()
    return int(target.execute("SELECT count(*) FROM completions").fetchone()[0])


def _read(source: sqlite3.Connection, query: str) -> Iterator[Row]:
    """The rows of a query up to the first that cannot be read."""
    with suppress(sqlite3.DatabaseError):
        yield from source.execute(query)


def _columns(source: sqlite3.Connection) -> str:
    """The columns of the damaged file's format."""
    for columns in COLUMNS[:-1]:
        with suppress(sqlite3.DatabaseError):  # no such column
            source.execute(f"SELECT {columns} FROM completions LIMIT 0")
            return columns
    return COLUMNS[-1]
