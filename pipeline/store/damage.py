"""A table whose file is lost or damaged: said in one line, and written again without it."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import duckdb

from pipeline.errors import OrchardError
from pipeline.store.database import Database
from pipeline.store.datafiles import CATALOG, DataFile, fault, listed, sums
from pipeline.store.quoting import quoted

T = TypeVar("T")
DAMAGED = ".damaged"  # behind the name of a file that was moved aside
MEND = "`orchard lake verify --repair` drops it, and the next run makes its rows again"
# The columns of DuckLake's delete files, by their field ids; and rows that have no column of ours.
_STAND_INS = {
    True: """
        COPY (SELECT '' AS file_path, 0::BIGINT AS pos LIMIT 0)
        TO {path} (FORMAT parquet, FIELD_IDS {{file_path: 2147483546, pos: 2147483545}})
    """,
    False: "COPY (SELECT 0 AS lost FROM range({rows})) TO {path} (FORMAT parquet)",
}


class DamagedFile(OrchardError):
    """A file of the lake is not there, or not what was committed."""


@contextmanager
def explained(database: Database) -> Iterator[None]:
    """Name the table, version and way out where the database refuses a file of the lake.

    Raises:
        DamagedFile: it does.
    """
    try:
        yield
    except OrchardError as error:
        line = _line(database, str(error)) if isinstance(error.__cause__, duckdb.Error) else None
        if line is None:
            raise
        raise DamagedFile(line) from error.__cause__


def _line(database: Database, text: str) -> str | None:
    named = re.search(r"([^/\"']+\.parquet)", text)
    if named is None or not database.embedded:
        return None
    for file in listed(database):
        if Path(file.name).name == named[1]:
            what = fault(database, file, sums(database).get(file.name)) or "cannot be read"
            return (
                f"table {file.table}: {file.path(database)} of version {file.first} {what}: {MEND}"
            )
    return None


def transact(
    database: Database,
    where: Mapping[str, Mapping[str, str]],
    body: Callable[[Sequence[DataFile]], T],
) -> tuple[T, int]:
    """Run a write of tables, a partition of each, as `Database.transact` does.

    Where damaged files are in its way, of which it replaces all rows, it runs again with the files
    that are to be dropped.
    """
    try:
        with explained(database):
            return database.transact(partial(body, ()))
    except DamagedFile:
        lost = [
            file
            for table, partition in where.items()
            for file in _replaceable(database, table, partition)
        ]
        if not lost:
            raise
    with set_aside(database, lost):
        return database.transact(partial(body, lost))


def damaged(database: Database, table: str) -> list[DataFile]:
    """The lost and damaged files of a table's current version."""
    known = sums(database)
    current = [file for file in listed(database, table) if file.ended is None]
    return [file for file in current if fault(database, file, known.get(file.name))]


def _replaceable(database: Database, table: str, partition: Mapping[str, str]) -> list[DataFile]:
    """A table's damaged files, where a write of the partition replaces all of their rows."""
    if not database.embedded:
        return []
    lost = damaged(database, table)
    held = data_files(database, lost)
    return lost if all(_holds_only(database, file, partition) for file in held) else []


def data_files(database: Database, lost: Iterable[DataFile]) -> list[DataFile]:
    """The data files that go with lost ones: those whose delete file is lost go too."""
    ids = {file.id for file in lost}
    return [file for file in listed(database) if file.id in ids and not file.deletes]


def _holds_only(database: Database, file: DataFile, partition: Mapping[str, str]) -> bool:
    """Whether all rows of a data file are of a partition, by the catalog's statistics."""
    query = f"""
        SELECT column_name, min_value, max_value, null_count
        FROM {CATALOG}.ducklake_file_column_stats
        JOIN {CATALOG}.ducklake_column AS columns USING (table_id, column_id)
        WHERE data_file_id = ? AND columns.end_snapshot IS NULL
    """
    rows = database.connection.execute(query, [file.id]).fetchall()
    found = {name: (low, high, nulls) for name, low, high, nulls in rows}
    return all(found.get(column) == (value, value, 0) for column, value in partition.items())


@contextmanager
def set_aside(database: Database, lost: Iterable[DataFile]) -> Iterator[None]:
    """Move damaged files aside, with stand-ins of as many empty rows in their places for a while.

    DuckLake cannot drop a file that it cannot open.
    """
    with ExitStack() as stack:
        for file in lost:
            path = file.path(database)
            if path.exists():
                path.rename(path.with_name(path.name + DAMAGED))
            stack.callback(path.unlink, missing_ok=True)
            _put_stand_in(database, file, path)
        yield


def _put_stand_in(database: Database, file: DataFile, path: Path) -> None:
    """Write a file whose footer is where, and as long as, the catalog says: zeros fill it up."""
    statement = _STAND_INS[file.deletes].format(path=quoted(str(path)), rows=file.rows)
    database.connection.execute(statement)
    data = path.read_bytes()
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    body, footer = data[:start], data[start:-8].ljust(file.footer, b"\0")
    between = bytes(max(0, file.bytes - len(body) - len(footer) - 8))
    stand_in = body + between + footer + len(footer).to_bytes(4, "little") + data[-4:]
    if len(stand_in) != file.bytes or len(footer) != file.footer:
        raise OrchardError(f"table {file.table}: {path} is too small to be dropped")
    path.write_bytes(stand_in)


def drop(database: Database, lost: Collection[DataFile]) -> None:
    """Take files that are set aside out of their tables' current version; inside a transaction."""
    for file in data_files(database, lost) if lost else ():
        path = quoted(str(file.path(database)))
        database.connection.execute(f'DELETE FROM "{file.table}" WHERE filename = {path}')
