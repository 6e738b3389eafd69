"""A damaged completion cache: what can still be read goes into a new file."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

from pipeline import durable
from pipeline.engine.cachefile import INSERT, connected, in_use, one_line, sound
from pipeline.errors import OrchardError
from pipeline.lock import locked

Row = tuple[Any, ...]
COLUMNS = ("key, value, policy, day", "key, value, NULL, NULL")  # of this format, and of format 1
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

    Rows are read in both directions, so that one bad page costs what lies on it and not all that
    lies behind it; names are read by the table and by its index, either of which holds them whole.
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
    for columns in COLUMNS:
        for direction in ("ASC", "DESC"):
            rows = _read(source, f"SELECT {columns} FROM completions ORDER BY key {direction}")
            good = (
                (key, value, names.get(policy, UNNAMED), day)
                for key, value, policy, day in rows
                if sound(value)
            )
            target.executemany(INSERT, good)
    target.commit()
    return int(target.execute("SELECT count(*) FROM completions").fetchone()[0])


def _read(source: sqlite3.Connection, query: str) -> Iterator[Row]:
    """The rows of a query up to the first that cannot be read."""
    with suppress(sqlite3.DatabaseError):
        yield from source.execute(query)
