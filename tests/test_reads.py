"""What passes as a query that only reads: all table functions that DuckDB has, however spelt."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import OrchardError
from pipeline.store import Commit, Lake
from pipeline.store.reads import LAKE, OF_THE_LAKE, READING
from tests.test_store import prompts

# The ways in which a query can call a table function.
SPELLINGS = (
    "SELECT * FROM {name}({arguments})",
    "SELECT * FROM {upper} ({arguments})",
    'SELECT * FROM "{name}"({arguments})',
    "SELECT * FROM {name}/* why */({arguments})",
    "SELECT * FROM {name} -- why\n({arguments})",
    "FROM {name}({arguments})",
    "WITH x AS (SELECT * FROM {name}({arguments})) SELECT 1 FROM x",
    "SELECT (SELECT count(*) FROM {name}({arguments}))",
    "SELECT 1 FROM prompts, LATERAL {name}({arguments})",
    "SELECT 1 WHERE EXISTS (FROM {name}({arguments}))",
    "EXPLAIN ANALYZE SELECT * FROM {name}({arguments})",
    "PIVOT (FROM {name}({arguments})) ON a USING count(*)",
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reads")


@pytest.fixture(scope="module")
def lake(home: Path) -> Iterator[Lake]:
    with Lake(home) as opened:
        opened.write("prompts", prompts("a", "b"), Commit("load"))
        yield opened


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_what_deletes_files_or_runs_other_sql_is_refused_however_it_is_spelt(
    lake: Lake, home: Path, spelling: str
) -> None:
    calls = {
        "ducklake_delete_orphaned_files": "'lake', cleanup_all => true",
        "ducklake_expire_snapshots": "'lake', versions => [1]",
        "ducklake_merge_adjacent_files": "'lake'",
        "ducklake_cleanup_old_files": "'lake', cleanup_all => true",
        "query": "'SELECT 1'",
        "query_table": "'prompts'",
        "checkpoint": "",
    }
    files = sorted((home / "lake" / "files").rglob("*.parquet"))
    for name, arguments in calls.items():
        text = spelling.format(name=name, upper=name.upper(), arguments=arguments)
        with pytest.raises(OrchardError, match=rf"only reads: {name}\(\)"):
            lake.sql(text)
    assert sorted((home / "lake" / "files").rglob("*.parquet")) == files
    assert lake.read("prompts").height == 2


def test_no_table_function_is_allowed_because_nobody_thought_of_it(lake: Lake) -> None:
    """Of all that DuckDB and its extensions bring, what is not known to read is refused."""
    functions = lake.sql(
        "SELECT DISTINCT function_name FROM duckdb_functions() "
        "WHERE function_type IN ('table', 'table_macro')"
    )["function_name"].to_list()
    known = READING | {LAKE + name for name in OF_THE_LAKE}
    others = [name for name in functions if name not in known and not name.startswith("duckdb_")]
    assert len(others) > 20
    for name in others:
        with pytest.raises(OrchardError, match="only reads"):
            lake.sql(f"SELECT * FROM {name}()")


def test_methods_of_the_lake_that_write_are_refused_and_those_that_read_work(lake: Lake) -> None:
    for name in ("merge_adjacent_files", "expire_snapshots", "set_option"):
        with pytest.raises(OrchardError, match=rf"{name}\(\)"):
            lake.sql(f"SELECT * FROM lake.{name}()")
    assert lake.sql("SELECT count(*) AS n FROM lake.snapshots()").item() > 0
    assert lake.sql("SELECT count(*) AS n FROM ducklake_table_info('lake')").item() > 0


def test_what_only_looks_like_a_call_is_a_query_as_before(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a\n1\n")
    queries = [
        "SELECT 'ducklake_expire_snapshots(1)' AS a -- checkpoint()",
        "WITH t(a) AS (SELECT 1) SELECT count(*) FROM t",
        "SELECT sum(n) FROM range(3) r(n), unnest([1]) u(m)",
        "SELECT list_transform([1], lambda x: x + 1)",
        "SELECT 1 WHERE 1 IN (1) AND (2) > (1)",
        f"SELECT * FROM read_csv('{tmp_path / 'x.csv'}')",
        "PIVOT prompts ON split USING count(*) GROUP BY pool",
    ]
    for query in queries:
        assert lake.sql(query).height == 1, query


@pytest.fixture
def confined(home: Path, lake: Lake) -> Iterator[Lake]:
    with Lake(home) as opened:
        opened.confine()
        yield opened


@pytest.mark.parametrize(
    "query",
    [
        "FROM read_text('{file}')",
        "FROM '{file}'",
        "FROM read_csv('{file}')",
        "FROM glob('{folder}/*')",
        "FROM sniff_csv('{file}')",
        "FROM parquet_schema('{file}')",
        "FROM read_blob('{home}/lake/lock')",
        "FROM read_blob('{home}/lake/files/../lock')",
        "FROM read_csv('http://127.0.0.1:9/a.csv')",
        "SELECT (SELECT count(*) FROM read_text('{file}'))",
    ],
)
def test_queries_of_others_read_no_files_but_the_lakes(
    confined: Lake, home: Path, tmp_path: Path, query: str
) -> None:
    file = tmp_path / "secret.csv"
    file.write_text("a,b\n1,2\n")
    with pytest.raises(OrchardError) as caught:
        confined.sql(query.format(file=file, folder=tmp_path, home=home))
    assert "queries read only the tables of the lake" in str(caught.value)
    with pytest.raises(OrchardError):
        confined.sql("SET enable_external_access = true")


def test_a_confined_lake_reads_its_tables_at_every_version(confined: Lake, lake: Lake) -> None:
    version = lake.version("prompts")
    lake.write("prompts", prompts("c"), Commit("load"))
    assert confined.read("prompts", version=version).height == 2
    assert confined.read("prompts").height == 1
    rows = "SELECT a.i, count(*) FROM range(300000) a(i) JOIN range(2) ON true GROUP BY ALL"
    assert confined.sql(f"SELECT count(*) AS n FROM ({rows})").item() == 300_000
