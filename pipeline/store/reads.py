"""Which SQL only reads: one SELECT, and of table functions those that change nothing.

A transaction that cannot write does not stop a function that deletes files itself, as DuckLake's
`ducklake_delete_orphaned_files` does, nor one that runs a text as SQL. So table functions are
refused unless they are known here, whatever extension brought them.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from itertools import pairwise

import duckdb

from pipeline.errors import OrchardError

# Table functions that read: rows of numbers and JSON, files, and what DuckDB knows of itself.
READING = frozenset(
    {
        "generate_series", "glob", "histogram", "histogram_values", "icu_calendar_names",
        "json_each", "json_tree", "parquet_bloom_probe", "parquet_file_metadata",
        "parquet_full_metadata", "parquet_kv_metadata", "parquet_metadata", "parquet_scan",
        "parquet_schema", "pg_timezone_names", "pragma_database_size", "pragma_show",
        "pragma_storage_info", "pragma_table_info", "pragma_version", "range", "read_blob",
        "read_csv", "read_csv_auto", "read_json", "read_json_auto", "read_json_objects",
        "read_json_objects_auto", "read_ndjson", "read_ndjson_auto", "read_ndjson_objects",
        "read_parquet", "read_text", "repeat", "repeat_row", "seq_scan", "sniff_csv", "summary",
        "test_all_types", "unnest",
    }
)  # fmt: skip
# The same of DuckLake, each as `ducklake_<name>('lake')` and as `lake.<name>()`.
OF_THE_LAKE = frozenset(
    {
        "current_snapshot", "last_committed_snapshot", "list_files", "options", "scan", "settings",
        "snapshots", "table_changes", "table_deletions", "table_info", "table_insertions",
    }
)  # fmt: skip
LAKE = "ducklake_"
STATEMENTS = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)


def check_reads(query: str, refused: AbstractSet[str]) -> None:
    """Refuses a text that is not one SELECT, or that calls a function that may do more than read:
    one of `refused`.

    Raises:
        OrchardError: it does; the message names the statement or the function.
    """
    kinds = [statement.type for statement in duckdb.extract_statements(query)]
    # PIVOT parses into the CREATE of a temporary type and a SELECT; any other CREATE fails: the
    # transaction only reads.
    allowed = {*STATEMENTS, duckdb.StatementType.CREATE}
    if not kinds or kinds[-1] not in STATEMENTS or any(kind not in allowed for kind in kinds):
        found = next((kind.name for kind in kinds if kind not in STATEMENTS), "nothing")
        raise OrchardError(
            f"SQL here only reads: expected one SELECT, not {found}; "
            "tables are written by Lake.write"
        )
    for name in sorted(refused & set(_called(query))):
        raise OrchardError(
            f"SQL here only reads: {name}() may change the lake or run other SQL: leave it out"
        )


def refused_by(connection: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """Names of all table functions but those that only read, as they are and as the lake's."""
    query = """
        SELECT DISTINCT function_name FROM duckdb_functions()
        WHERE function_type IN ('table', 'table_macro')
    """
    known = {name for (name,) in connection.execute(query).fetchall()}
    known = {name for name in known if not name.startswith("duckdb_")}  # what DuckDB knows
    short = {name.removeprefix(LAKE) for name in known if name.startswith(LAKE)}
    return frozenset((known | short) - READING - OF_THE_LAKE - {LAKE + one for one in OF_THE_LAKE})


def _called(query: str) -> Iterator[str]:
    """Names before an opening bracket, in lower case and without quotes."""
    starts = [start for start, kind in duckdb.tokenize(query) if kind.name != "comment"]
    for start, following in pairwise([*starts, len(query)]):
        if query[following : following + 1] == "(":
            name = query[start:following].split("/*")[0].split("--")[0].strip()
            yield name.strip('"').replace('""', '"').lower()
