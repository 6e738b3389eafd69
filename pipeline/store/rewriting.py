"""Rows taken out of Parquet files that versions need: the versions stay, without these rows.

DuckLake can only add a version in which rows are gone. So each file is written anew without them,
under another name, and the catalog is changed in one transaction of SQLite: names, counts, places
of rows that were deleted later, and the least and greatest texts, which the catalog holds too.
Whoever reads an old file at that moment is told that it is lost.

The caller holds the lake's lock, and no connection of DuckDB to the catalog: two SQLites in one
process would drop each other's locks.
"""

import sqlite3
import uuid
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import durable
from pipeline.store.copies import CATALOG
from pipeline.store.leaves import leaves

PREFIX = "kept-"  # of the name of a file that was written anew
LONGEST = 256  # bytes of a text in the statistics: DuckDB leaves longer ones out
_STATISTICS = """
UPDATE ducklake_file_column_stats
SET value_count = ?, null_count = ?,
    min_value = CASE WHEN ? THEN ? ELSE min_value END,
    max_value = CASE WHEN ? THEN ? ELSE max_value END
WHERE data_file_id = ? AND column_id = ?
"""
# Of a table's texts: the least and greatest over its files; null where a file does not say.
_BOUNDS = """
UPDATE ducklake_table_column_stats AS stats SET (min_value, max_value) = (
    SELECT
        CASE WHEN count(*) = count(min_value) THEN min(min_value) END,
        CASE WHEN count(*) = count(max_value) THEN max(max_value) END
    FROM ducklake_file_column_stats AS own
    WHERE own.table_id = stats.table_id AND own.column_id = stats.column_id AND value_count > 0
)
WHERE table_id = ? AND column_id IN (
    SELECT column_id FROM ducklake_column WHERE table_id = ? AND lower(column_type) = 'varchar'
)
"""


@dataclass
class Leaf:
    """What the catalog says of a column of a file."""

    values: int = 0
    nulls: int = 0
    least: bytes | None = None
    greatest: bytes | None = None
    is_text: bool = False

    def add(self, found: pa.Array) -> None:
        """Count some values."""
        self.nulls += found.null_count
        self.values += len(found) - found.null_count
        self.is_text = pa.types.is_string(found.type) or pa.types.is_large_string(found.type)
        if self.is_text and len(found) > found.null_count:
            texts = [text.encode() for text in found.drop_null().to_pylist()]
            self.least = min([*texts, *([self.least] if self.least is not None else [])])
            self.greatest = max([*texts, *([self.greatest] if self.greatest is not None else [])])


@dataclass
class Rewritten:
    """A file that was written anew, or that has no rows left (path: null)."""

    id: int  # the catalog's, of the data file
    gone: list[int]  # places of the rows that left it, sorted
    path: Path | None
    rows: int = 0
    leaves: dict[int, Leaf] = field(default_factory=dict)


def take_out(folder: Path, files: Mapping[int, tuple[Path, Sequence[int]]]) -> list[str]:
    """Take rows out of data files, in all versions that need them.

    Args:
        folder: of the lake.
        files: by the catalog's number of a data file: where it lies, and places of rows in it.

    Returns:
        names, below the folder of files, of the files that were written.
    """
    written = [
        _written_anew(number, path, sorted(places)) for number, (path, places) in files.items()
    ]
    root = folder / "files"
    with closing(sqlite3.connect(folder / CATALOG, timeout=30, isolation_level=None)) as catalog:
        catalog.execute("PRAGMA secure_delete = ON")
        catalog.execute("PRAGMA synchronous = FULL")
        catalog.execute("BEGIN IMMEDIATE")
        try:
            removed, added = [path for path, _ in files.values()], []
            touched = _tables(catalog, files)
            for one in written:
                old, new = _delete_files(catalog, root, one)
                removed += old
                added += [*new, *([one.path] if one.path else [])]
                _note(catalog, one)
            for (table,) in touched:
                catalog.execute(_BOUNDS, [table, table])
            durable.sync_added(added, root)
            catalog.execute("COMMIT")
        except BaseException:
            catalog.execute("ROLLBACK")
            raise
    for path in removed:
        path.unlink(missing_ok=True)
    return [str(path.relative_to(root)) for path in added]


def _written_anew(number: int, path: Path, places: list[int]) -> Rewritten:
    """Write a data file without some rows, beside it."""
    source = pq.ParquetFile(path)
    target = path.with_name(f"{PREFIX}{uuid.uuid4()}.parquet")
    found = Rewritten(number, places, target)
    gone = np.zeros(source.metadata.num_rows, dtype=bool)
    gone[places] = True
    start = 0
    with pq.ParquetWriter(target, source.schema_arrow, compression="zstd") as writer:
        for group in range(source.num_row_groups):
            rows = source.read_row_group(group)
            kept = rows.filter(pa.array(~gone[start : start + rows.num_rows]))
            start += rows.num_rows
            found.rows += kept.num_rows
            _count(found.leaves, kept)
            if kept.num_rows:
                writer.write_table(kept)
    if not found.rows:
        target.unlink()
        found.path = None
    return found


def _count(found: dict[int, Leaf], rows: pa.Table) -> None:
    for name in rows.schema.names:
        for number, values, _ in leaves(rows[name].combine_chunks(), rows.schema.field(name)):
            if number is not None:
                found.setdefault(number, Leaf()).add(values)


def _delete_files(
    catalog: sqlite3.Connection, root: Path, one: Rewritten
) -> tuple[list[Path], list[Path]]:
    """Write anew which rows of a data file were deleted; the old files, and the new ones."""
    query = """
        SELECT delete_file_id, schemas.path || tables.path || deletes.path
        FROM ducklake_delete_file AS deletes
        JOIN (SELECT DISTINCT table_id, schema_id, path FROM ducklake_table) AS tables
            USING (table_id)
        JOIN ducklake_schema AS schemas USING (schema_id)
        WHERE data_file_id = ?
    """
    old, new = [], []
    for number, name in catalog.execute(query, [one.id]).fetchall():
        path = root / name
        old.append(path)
        target = _moved(path, one)
        if target is None:
            catalog.execute("DELETE FROM ducklake_delete_file WHERE delete_file_id = ?", [number])
            continue
        new.append(target)
        size, footer, rows = _measured(target)
        catalog.execute(
            "UPDATE ducklake_delete_file SET path = ?, delete_count = ?, file_size_bytes = ?, "
            "footer_size = ? WHERE delete_file_id = ?",
            [target.name, rows, size, footer, number],
        )
    return old, new


def _moved(path: Path, one: Rewritten) -> Path | None:
    """Which rows of the new file were deleted, by their places there; null: none."""
    rows = pq.read_table(path)
    gone = set(one.gone)
    kept = rows.filter(pa.array([place.as_py() not in gone for place in rows["pos"]], pa.bool_()))
    if one.path is None or not kept.num_rows:
        return None
    places = [place - bisect_left(one.gone, place) for place in kept["pos"].to_pylist()]
    named = [str(one.path)] * len(places)
    for column, values in (("pos", places), ("file_path", named)):
        number = kept.schema.get_field_index(column)
        kind = kept.schema.field(number)
        kept = kept.set_column(number, kind, pa.array(values, kind.type))
    target = path.with_name(f"{PREFIX}{uuid.uuid4()}-delete.parquet")
    pq.write_table(kept, target, compression="zstd")
    return target


def _note(catalog: sqlite3.Connection, one: Rewritten) -> None:
    """Say in the catalog what a data file is now."""
    before = "SELECT table_id, record_count, file_size_bytes FROM ducklake_data_file"
    where = "WHERE data_file_id = ?"
    table, rows, size = catalog.execute(f"{before} {where}", [one.id]).fetchone()
    new_size, footer = 0, 0
    if one.path is not None:
        new_size, footer, _ = _measured(one.path)
        catalog.execute(
            "UPDATE ducklake_data_file SET path = ?, record_count = ?, file_size_bytes = ?, "
            f"footer_size = ? {where}",
            [one.path.name, one.rows, new_size, footer, one.id],
        )
    catalog.execute(
        "UPDATE ducklake_table_stats SET record_count = record_count - ?, "
        "file_size_bytes = max(0, file_size_bytes - ?) WHERE table_id = ?",
        [rows - one.rows, size - new_size, table],
    )
    if one.path is None:
        _forget(catalog, one.id)
        return
    for column, leaf in one.leaves.items():
        least, greatest = (_bound(value) for value in (leaf.least, leaf.greatest))
        values: list[Any] = [leaf.values, leaf.nulls, leaf.is_text, least, leaf.is_text, greatest]
        catalog.execute(_STATISTICS, [*values, one.id, column])


def _bound(value: bytes | None) -> str | None:
    return value.decode() if value is not None and len(value) <= LONGEST else None


def _forget(catalog: sqlite3.Connection, number: int) -> None:
    """Take a data file without rows out of the catalog."""
    for table in ("ducklake_data_file", "ducklake_file_column_stats"):
        catalog.execute(f"DELETE FROM {table} WHERE data_file_id = ?", [number])


def _tables(catalog: sqlite3.Connection, files: Mapping[int, Any]) -> list[tuple[int]]:
    marks = ", ".join("?" * len(files))
    query = f"SELECT DISTINCT table_id FROM ducklake_data_file WHERE data_file_id IN ({marks})"
    return catalog.execute(query, list(files)).fetchall()


def _measured(path: Path) -> tuple[int, int, int]:
    """Bytes of a file, and of these the footer's; its rows."""
    metadata = pq.read_metadata(path)
    with path.open("rb") as file:
        file.seek(-8, 2)
        footer = int.from_bytes(file.read(4), "little")
    return path.stat().st_size, footer, metadata.num_rows
