"""Which tables the lake holds:
all those that are declared, the log of commits, and the releases.
"""

import polars as pl

from pipeline import durable, tables
from pipeline.store import added, migrations
from pipeline.store.database import Database

LOG = """
CREATE TABLE commit_log (
    "table" VARCHAR, partition VARCHAR, step VARCHAR, run_id VARCHAR,
    code_version VARCHAR, fingerprint VARCHAR, parents VARCHAR,
    "rows" BIGINT, rejected BIGINT, changed BOOLEAN, same_as BIGINT,
    seconds DOUBLE, finished_at TIMESTAMP WITH TIME ZONE
)
"""
# A commit cannot know its own number when it writes its row: DuckLake tells it afterwards, as the
# row's snapshot_id.
COMMITS = """
CREATE VIEW commits AS
SELECT coalesce(same_as, snapshot_id) AS version, * EXCLUDE (same_as), snapshot_id AS snapshot
FROM lake.main.commit_log
"""
_INLINED = "CALL lake.set_option('data_inlining_row_limit', 1000, table_name => '{table}')"
RELEASES = (
    "CREATE TABLE releases (name VARCHAR, version BIGINT, tagged_at TIMESTAMP WITH TIME ZONE)"
)


def ensure(database: Database) -> None:
    """Make what is missing, and add columns that were declared since; the caller holds the lock."""
    found = database.rows(
        "SELECT table_name, column_name FROM duckdb_columns() WHERE database_name = 'lake'"
    )
    have: dict[str, set[str]] = {}
    for table, column in found.iter_rows():
        have.setdefault(table, set()).add(column)
    new = "commit_log" not in have
    ddl = [LOG, COMMITS, RELEASES] if new else []
    small = {"formats": migrations.FORMATS, added.SUMS: added.TABLE}
    ddl += [statement for name, statement in small.items() if name not in have]
    for table in tables.TABLES:
        missing = [
            column
            for column in tables.TABLES[table].column_names()
            if column not in have.get(table, set())
        ]
        if missing:
            ddl += _statements(table, _types(database, table), missing, exists=table in have)
    if ddl:
        _make(database, ddl, new=new)
        # A row or two per commit: as files they would soon outnumber the data's, so they stay in
        # the catalog. (Options need tables that are committed. A kill just before costs small
        # files, nothing else.)
        for table in ("commit_log", "releases", *small):
            if table not in have:
                database.connection.execute(_INLINED.format(table=table))
    migrations.start(database) if new else migrations.migrate(database)


def conform(table: str, frame: pl.DataFrame) -> pl.DataFrame:
    """The declared columns in their order and types; a column that an old version lacks is null."""
    wanted = tables.empty(table).schema
    lacking = [pl.lit(None).alias(name) for name in wanted if name not in frame.columns]
    return frame.with_columns(lacking).select(
        pl.col(name).cast(dtype) for name, dtype in wanted.items()
    )


def _types(database: Database, table: str) -> dict[str, str]:
    with database.frames({"declared": tables.empty(table)}):
        described = database.rows("DESCRIBE declared")
    return dict(zip(described["column_name"], described["column_type"], strict=True))


def _statements(
    table: str, types: dict[str, str], missing: list[str], *, exists: bool
) -> list[str]:
    if exists:
        return [
            f'ALTER TABLE "{table}" ADD COLUMN "{column}" {types[column]}' for column in missing
        ]
    declared = ", ".join(f'"{name}" {kind}' for name, kind in types.items())
    return [f'CREATE TABLE "{table}" ({declared})']


def _make(database: Database, ddl: list[str], *, new: bool) -> None:
    execute = database.connection.execute
    if new:
        # First, and not in the transaction: while inlining is on, DuckLake refuses a column named
        # row_id.
        execute("CALL lake.set_option('data_inlining_row_limit', 0)")
        execute("CALL lake.set_option('parquet_compression', 'zstd')")
        for folder in (database.folder / "files", database.folder, *database.folder.parents[:2]):
            durable.sync(folder)
    with database.transaction():
        for statement in ddl:
            execute(statement)
        execute("CALL lake.set_commit_message('orchard', 'layout')")
