"""Versions by name, the difference between two, and the end of old ones."""

from datetime import UTC, datetime, timedelta

import polars as pl

from pipeline.errors import OrchardError
from pipeline.store.database import Database

# A reader may have a file open: only files that were given up longer ago than this go.
FILE_AGE = timedelta(days=1)

NEEDED = """
SELECT version FROM releases
UNION SELECT max(version) FROM commits GROUP BY "table", partition
UNION SELECT id FROM lake.current_snapshot()
UNION SELECT 0
"""


def must_exist(database: Database, version: int) -> None:
    """Raises an OrchardError for a version that is not in the lake (no longer, or not yet)."""
    if not database.connection.execute(
        "SELECT 1 FROM lake.snapshots() WHERE snapshot_id = ?", [version]
    ).fetchone():
        raise OrchardError(f"version {version} is not in the lake: it expired, or was never made")


def tag(database: Database, name: str, version: int | None) -> int:
    """Name a version; the current one by default.

    Tagging the same version again changes nothing.
    """

    def body() -> int:
        connection = database.connection
        known = connection.execute("SELECT version FROM releases WHERE name = ?", [name]).fetchone()
        chosen = version if version is not None else known[0] if known else _current(database)
        if known and known[0] != chosen:
            raise OrchardError(
                f"release {name!r} is version {known[0]} already: name version {chosen} otherwise"
            )
        must_exist(database, chosen)
        if not known:
            connection.execute(
                "INSERT INTO releases VALUES (?, ?, ?)", [name, chosen, datetime.now(UTC)]
            )
            connection.execute(
                "CALL lake.set_commit_message('orchard', ?)", [f"release {name}: version {chosen}"]
            )
        return int(chosen)

    return database.transact(body)[0]


def diff(old: pl.DataFrame, new: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    """Rows of either frame that the other lacks, with `change` first.

    Rows with the same key are an update.
    """
    columns = old.columns
    # Compared as JSON, because nested columns cannot be joined on.
    before, after = (
        frame.with_columns(_row=pl.struct(columns).struct.json_encode()) for frame in (old, new)
    )
    gone = before.join(after, on="_row", how="anti")
    come = after.join(before, on="_row", how="anti")
    parts = [
        gone.join(come, on=key, how="anti").with_columns(change=pl.lit("delete")),
        come.join(gone, on=key, how="anti").with_columns(change=pl.lit("insert")),
        gone.join(come, on=key, how="semi").with_columns(change=pl.lit("update_preimage")),
        come.join(gone, on=key, how="semi").with_columns(change=pl.lit("update_postimage")),
    ]
    descending = [False] * len(key) + [True]  # a preimage before its postimage
    return pl.concat(parts).select("change", *columns).sort(*key, "change", descending=descending)


def expire(database: Database, keep_days: float) -> int:
    """Drop snapshots, under the lock; then the files that were given up long enough ago.

    Files that the catalog does not know stay: they may be of a catalog that was lost, or newer
    than this one. `orchard lake verify` lists them.
    """
    now = datetime.now(UTC)
    with database.one_line(), database.lock():
        query = (
            "SELECT snapshot_id FROM lake.snapshots() WHERE snapshot_time < ? "
            f"AND snapshot_id NOT IN ({NEEDED})"
        )
        rows = database.connection.execute(query, [now - timedelta(days=keep_days)]).fetchall()
        old = [int(row[0]) for row in rows]
        if old:
            database.connection.execute(
                f"CALL ducklake_expire_snapshots('lake', versions => {old})"
            )
        limit = (now - FILE_AGE).isoformat()
        database.connection.execute(
            f"CALL ducklake_cleanup_old_files('lake', older_than => TIMESTAMPTZ '{limit}')"
        )
    return len(old)


def _current(database: Database) -> int:
    row = database.connection.execute("SELECT id FROM lake.current_snapshot()").fetchone()
    return int(row[0]) if row else 0
