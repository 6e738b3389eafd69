"""Put rows in the place of earlier ones: one transaction under the writers' lock."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from pipeline import tables
from pipeline.errors import OrchardError
from pipeline.store import damage
from pipeline.store.checks import Checked, check
from pipeline.store.commits import Commit, Partition, Written, announce, entries, latest, record
from pipeline.store.database import Database
from pipeline.store.datafiles import DataFile
from pipeline.store.refused import without_erased
from pipeline.store.replace import replace_prompts, replace_rejects, replace_rows


@dataclass(frozen=True)
class Change:
    """New rows of a table.

    Args:
        table: a declared table.
        rows: all its columns, in any order; values are cast.
        partition: replace only rows with these values; all of `rows` must have them.
        rejects: rows that the step itself dropped, shaped as the table `rejects`.
    """

    table: str
    rows: pl.DataFrame
    partition: Partition = field(default_factory=dict)
    rejects: pl.DataFrame | None = None


def write_together(database: Database, commit: Commit, changes: Sequence[Change]) -> list[Written]:
    """Make the changes in one transaction; what each did.

    Raises:
        OrchardError: unknown table or column, a row outside the partition, two changes to one
            table, or no space; nothing was written.
    """
    names = [change.table for change in changes]
    if len(set(names)) < len(names):
        raise OrchardError(f"one change to a table at a time: {', '.join(names)}")
    started = time.monotonic()
    checked = [
        check(one.table, one.rows, commit.step, one.partition, one.rejects) for one in changes
    ]

    def body(lost: Sequence[DataFile]) -> list[Written]:
        damage.drop(database, lost)
        mended = {file.table for file in lost}
        written = [
            _replace(database, change, rows, commit, started, mended=change.table in mended)
            for change, rows in zip(changes, checked, strict=True)
        ]
        announce(database, commit, where)
        return written

    where = {change.table: change.partition for change in changes}
    written, version = damage.transact(database, where, body)
    return [_numbered(one, version) for one in written]


def write_prompts(
    database: Database,
    table: str,
    staged: Sequence[Checked],
    prompts: pl.DataFrame,
    commit: Commit,
    partition: Partition,
) -> Written:
    """Replace the rows and rejects of some prompts, as `Lake.write_prompts` does."""
    started = time.monotonic()
    rows = pl.concat([tables.empty(table), *(one.rows for one in staged)])
    rejects = pl.concat([tables.empty("rejects"), *(one.rejects for one in staged)])

    def body() -> Written:
        kept = without_erased(database, table, Checked(rows, rejects), commit.step)
        last = latest(entries(database, table), partition)
        changed = replace_prompts(database, table, kept, prompts, commit.step, partition)
        same_as = None if changed or last is None else last.version
        return _record(
            database, Change(table, kept.rows, partition), kept, commit, started, same_as
        )

    with damage.explained(database):
        written, version = database.transact(body)
    return _numbered(written, version)


def _replace(
    database: Database,
    change: Change,
    checked: Checked,
    commit: Commit,
    started: float,
    *,
    mended: bool,
) -> Written:
    """The body of a write; `mended`: files of the table were dropped."""
    table, partition = change.table, change.partition
    checked = without_erased(database, table, checked, commit.step)
    last = latest(entries(database, table), partition)
    changed = replace_rows(database, table, checked.rows, partition) or last is None or mended
    replace_rejects(database, table, commit.step, checked.rejects, partition)
    same_as = None if changed or last is None else last.version
    return _record(database, change, checked, commit, started, same_as)


def _record(
    database: Database,
    change: Change,
    checked: Checked,
    commit: Commit,
    started: float,
    same_as: int | None,
) -> Written:
    """Log what a write did; its version is 0 until the commit gives it a number."""
    written = Written(
        same_as or 0, checked.rows.height, checked.rejects.height, changed=same_as is None
    )
    seconds = time.monotonic() - started
    record(
        database, change.table, commit, change.partition, written, same_as=same_as, seconds=seconds
    )
    return written


def _numbered(written: Written, version: int) -> Written:
    """With the commit's version, unless it changed nothing."""
    return replace(written, version=version) if written.changed else written
