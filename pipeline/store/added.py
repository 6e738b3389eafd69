"""What a commit adds to the lake's files: on the disk, and with its checksum, before it counts.

DuckLake commits to its catalog, which SQLite syncs, but never syncs its Parquet files: after a
power loss a version could be there without its rows.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import duckdb

from pipeline import durable
from pipeline.store.datafiles import digest

SUMS = "file_sums"
TABLE = f"CREATE TABLE {SUMS} (name VARCHAR, bytes BIGINT, sha256 VARCHAR)"


def names(root: Path) -> set[str]:
    """All Parquet files, by their paths below the root."""
    top = len(str(root)) + 1
    return {
        f"{parent[top:]}/{name}"
        for parent, _, names in os.walk(root)
        for name in names
        if name.endswith(".parquet")
    }


def secure(connection: duckdb.DuckDBPyConnection, root: Path, new: Iterable[str]) -> None:
    """Sync new files below the root and note their checksums, inside a transaction."""
    found = sorted(new)
    if found:
        durable.sync_added([root / name for name in found], root)
        note_sums(connection, root, found)


def note_sums(connection: duckdb.DuckDBPyConnection, root: Path, found: Sequence[str]) -> None:
    """Write the checksums of files, by their paths below the root."""
    rows = [(name, (root / name).stat().st_size, digest(root / name)) for name in found]
    marks = ", ".join(["(?, ?, ?)"] * len(rows))
    connection.execute(
        f"INSERT INTO {SUMS} VALUES {marks}", [value for row in rows for value in row]
    )
