"""The Parquet files of the embedded lake, by its catalog: whose they are, and whether they are so.

A data file holds rows of one table. A delete file names rows of one data file that are gone since.
Neither changes once it is committed.
"""

import errno
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import polars as pl

if TYPE_CHECKING:
    from pipeline.store.database import Database

CATALOG = "__ducklake_metadata_lake"  # DuckLake's own tables, under the name that it gives them
_LIST = f"""
WITH places AS (
    SELECT table_id, table_name, schemas.path || tables.path AS place
    FROM {CATALOG}.ducklake_table AS tables
    JOIN {CATALOG}.ducklake_schema AS schemas USING (schema_id)
    QUALIFY row_number() OVER (PARTITION BY table_id ORDER BY tables.begin_snapshot DESC) = 1
), files AS (
    SELECT
        table_id, data_file_id, begin_snapshot, end_snapshot, path, path_is_relative, record_count,
        file_size_bytes, footer_size, false AS deletes
    FROM {CATALOG}.ducklake_data_file
    UNION ALL
    SELECT
        table_id, data_file_id, begin_snapshot, end_snapshot, path, path_is_relative, delete_count,
        file_size_bytes, footer_size, true
    FROM {CATALOG}.ducklake_delete_file
)
SELECT
    table_name AS "table", data_file_id AS id, begin_snapshot AS first, end_snapshot AS ended,
    if(path_is_relative = 1, place || path, path) AS name, record_count AS rows,
    file_size_bytes AS bytes, footer_size AS footer, deletes
FROM files JOIN places USING (table_id)
ORDER BY "table", first, deletes, name
"""


@dataclass(frozen=True)
class DataFile:
    """A file that some version of a table needs."""

    table: str
    id: int  # of the data file; a delete file has that of the file whose rows it deletes
    first: int  # the version that it came with
    ended: int | None  # the version that needs it no more; null: the current version needs it
    name: str  # below the lake's folder of files
    rows: int
    bytes: int
    footer: int  # of the bytes, as Parquet's metadata
    deletes: bool

    def path(self, database: "Database") -> Path:
        """Where it lies; a name from the root stays as it is."""
        return database.folder / "files" / self.name

    def needed_at(self, version: int) -> bool:
        """Whether a version of the lake reads it."""
        return self.first <= version and (self.ended is None or version < self.ended)


def listed(database: "Database", table: str | None = None) -> list[DataFile]:
    """The files that any version needs, of one table or of all."""
    rows = database.rows(_LIST)
    if table is not None:
        rows = rows.filter(pl.col("table") == table)
    return [DataFile(**row) for row in rows.to_dicts()]


def digest(path: Path) -> str:
    """The SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sums(database: "Database") -> dict[str, str]:
    """The SHA-256 of each file at its commit, by name; files of older lakes have none."""
    rows = database.connection.execute("SELECT name, sha256 FROM file_sums").fetchall()
    return dict(rows)


def fault(database: "Database", file: DataFile, sha256: str | None) -> str | None:
    """What is wrong with a file, by its checksum where that is known; null where nothing is.

    Raises:
        OSError: it cannot be looked at, for a reason that is not its own (permission, say).
    """
    path = file.path(database)
    if not path.is_file():
        return "is lost"
    size = path.stat().st_size
    if size != file.bytes:
        return f"has {size} bytes and not {file.bytes}"
    try:
        found = digest(path)
    except OSError as error:
        if error.errno == errno.EIO:
            return "cannot be read from the disk"
        raise
    if sha256 is None:
        return _unreadable(database, file, path)
    if found != sha256:
        return "is not the file that was committed: its bytes differ"
    query = "SELECT num_rows FROM parquet_file_metadata(?)"
    (rows,) = database.connection.execute(query, [str(path)]).fetchone() or (0,)
    return None if rows == file.rows else f"has {rows} rows and not {file.rows}"


def _unreadable(database: "Database", file: DataFile, path: Path) -> str | None:
    """Reads every value of a file."""
    query = """
        SELECT count(*) FROM (SELECT hash(f) AS h FROM read_parquet(?) AS f)
        WHERE h IS NOT NULL
    """
    try:
        (rows,) = database.connection.execute(query, [str(path)]).fetchone() or (0,)
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error:
        return "cannot be read"
    return None if rows == file.rows else f"has {rows} rows and not {file.rows}"
