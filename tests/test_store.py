"""The lake: versions, rejects, partitions, several writers, a kill, a full disk, a moved home."""

import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pipeline import lock, tables
from pipeline.errors import OrchardError
from pipeline.store import Change, Commit, Lake, layout, releases, writing
from pipeline.store.database import Database
from pipeline.tables import kinds
from tests.store_child import reference

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new lake's home: copied, because to open a lake costs a quarter of making one."""
    home = tmp_path_factory.mktemp("lake") / "home"
    Lake(home).close()
    return home


@pytest.fixture
def lake(tmp_path: Path, new: Path) -> Iterator[Lake]:
    with Lake(shutil.copytree(new, tmp_path / "home")) as opened:
        yield opened


def prompts(*ids: str, **changes: Any) -> pl.DataFrame:
    """Rows of `prompts`."""
    row = {
        "pool": "p",
        "task": "t",
        "split": "train",
        "messages": [{"role": "user", "content": "1 + 1 = ?"}],
    }
    row |= {
        "answer": "2",
        "verifier": "number",
        "metadata": None,
        "source": "s",
        "licence": "MIT",
    } | changes
    return pl.DataFrame(
        [{"prompt_id": i} | row for i in ids], schema=tables.empty("prompts").schema
    )


def child(home: Path, policy: str, commits: int) -> "subprocess.Popen[str]":
    """A writer in another process, without HOME."""
    environment = {k: v for k, v in os.environ.items() if k not in ("HOME", "ORCHARD_CATALOG")} | {
        "PYTHONPATH": str(ROOT)
    }
    command = [sys.executable, str(ROOT / "tests/store_child.py"), str(home), policy, str(commits)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def test_nested_and_null_values_come_back(lake: Lake) -> None:
    turns = [{"role": "system", "content": "é\n"}, {"role": "user", "content": "'\""}]
    rows = pl.concat([prompts("a", messages=turns), prompts("b", answer=None, verifier=None)])
    written = lake.write("prompts", rows.select(reversed(rows.columns)), Commit("load"))
    assert (written.rows, written.rejected, written.changed) == (2, 0, True)
    assert_frame_equal(lake.read("prompts"), rows)
    assert lake.arrow("prompts").to_pylist() == rows.to_dicts()
    assert lake.read("prompts", where="answer IS NULL")["prompt_id"].to_list() == ["b"]


def test_rows_keep_their_order(lake: Lake) -> None:
    rows = pl.concat([reference(20_000, str(i)) for i in range(4)], rechunk=False)
    lake.write("reference_logps", rows, Commit("s"))
    assert_frame_equal(lake.read("reference_logps"), rows)


def test_every_table_can_be_read_before_it_is_written(lake: Lake) -> None:
    for name in tables.TABLES:
        assert_frame_equal(lake.read(name), tables.empty(name))
        assert_frame_equal(lake.read(name, version=0), tables.empty(name))
        assert lake.version(name) == 0


def test_old_versions_stay_readable(lake: Lake) -> None:
    first = lake.write(
        "prompts", prompts("a"), Commit("load", run_id="r1", parents={"x": 3})
    ).version
    second = lake.write("prompts", prompts("b", "c"), Commit("load", run_id="r2")).version
    assert second > first
    assert lake.read("prompts", version=first)["prompt_id"].to_list() == ["a"]
    assert lake.sql("SELECT count(*) AS n FROM prompts", version=first).item() == 1
    assert lake.sql("SELECT count(*) AS n FROM prompts").item() == 2
    history = lake.history("prompts")
    assert history["version"].to_list() == [first, second] == history["snapshot"].to_list()
    assert json.loads(history["parents"][0]) == {"x": 3}
    message = lake.sql(
        "SELECT author, commit_message, commit_extra_info FROM lake.snapshots() "
        "WHERE snapshot_id = ?",
        [first],
    )
    assert message.row(0)[:2] == ("orchard", "load: prompts")
    assert json.loads(message.row(0)[2])["run_id"] == "r1"
    for wrong in (99, -1):
        with pytest.raises(OrchardError, match=f"version {wrong} is not in the lake"):
            lake.read("prompts", version=wrong)


def test_changes_of_several_tables_are_one_commit_or_none(lake: Lake) -> None:
    first = Change("prompts", prompts("a"))
    written = lake.write_together(Commit("load"), [first, Change("reference_logps", reference(2))])
    assert written[0].version == written[1].version
    assert lake.read("reference_logps").height == 2
    messages = lake.sql("SELECT commit_message FROM lake.snapshots() ORDER BY snapshot_id")
    assert messages["commit_message"][-1] == "load: prompts, reference_logps"

    outside = Change("reference_logps", reference(3), {"policy_id": "another"})
    with pytest.raises(OrchardError, match="not in the partition"):
        lake.write_together(Commit("load"), [Change("prompts", prompts("b")), outside])
    with pytest.raises(OrchardError, match="one change to a table at a time: prompts, prompts"):
        lake.write_together(Commit("load"), [first, first])
    assert lake.read("prompts")["prompt_id"].to_list() == ["a"]

    again = lake.write_together(Commit("load"), [first, Change("reference_logps", reference(3))])
    assert [one.changed for one in again] == [False, True]
    assert again[0].version == written[0].version < again[1].version


def test_a_second_table_that_cannot_be_written_takes_the_first_one_back(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = writing.replace_rows

    def full(database: Database, table: str, *rest: Any) -> bool:
        if table == "reference_logps":
            raise OSError(errno.ENOSPC, "no space left on device")
        return real(database, table, *rest)

    monkeypatch.setattr(writing, "replace_rows", full)
    changes = [Change("prompts", prompts("a")), Change("reference_logps", reference(2))]
    with pytest.raises(OrchardError, match="no space"):
        lake.write_together(Commit("load"), changes)
    assert lake.read("prompts").is_empty()
    assert lake.history("prompts").is_empty()


def test_bad_rows_are_rejected_with_the_reason(lake: Lake) -> None:
    bad = pl.concat(
        [prompts("a"), prompts("b", split="dev"), prompts("c", messages=[], answer=None)]
    )
    written = lake.write("prompts", bad, Commit("load"))
    assert (written.rows, written.rejected) == (1, 2)
    rejects = lake.read("rejects").sort("row_id")
    assert rejects["row_id"].to_list() == ["b", "c"]
    assert rejects["reason"].to_list() == ["split|check", "has_a_turn, verifier_has_an_answer"]
    assert json.loads(rejects["row"][0])["split"] == "dev"
    assert rejects["step"].to_list() == ["load", "load"]
    assert lake.version("rejects") == written.version
    lake.write("prompts", bad, Commit("load"))
    assert lake.read("rejects").height == 2
    lake.write("prompts", prompts("a"), Commit("load"))
    assert lake.read("rejects").height == 0
    assert lake.read("rejects", version=written.version).height == 2


def test_values_that_cannot_be_cast_and_equal_keys_are_rejected(lake: Lake) -> None:
    rows = reference(3).with_columns(logp=pl.Series(["-1", "x", "nan"]))
    assert lake.write("reference_logps", rows, Commit("s")).rejected == 2
    assert set(lake.read("rejects")["reason"]) == {"logp|dtype", "logp|max, logp|nan"}
    assert set(lake.read("rejects")["row_id"]) == {"t1 p", "t2 p"}
    twice = pl.concat([reference(1), reference(1)])
    assert lake.write("reference_logps", twice, Commit("s")).rejected == 2
    assert lake.read("rejects")["reason"].to_list() == ["primary_key"] * 2
    assert lake.read("rejects")["reject_id"].n_unique() == 2


def test_the_callers_rejects_are_kept_and_replaced(lake: Lake) -> None:
    own = pl.DataFrame(
        [
            {
                "reject_id": "x",
                "table": "prompts",
                "step": "s",
                "row_id": None,
                "reason": "no number",
                "row": "not JSON",
            }
        ],
        schema=tables.empty("rejects").schema,
    )
    for _ in range(2):
        assert (
            lake.write("prompts", prompts("a", split="dev"), Commit("s"), rejects=own).rejected == 2
        )
        assert set(lake.read("rejects")["reason"]) == {"no number", "split|check"}
        assert lake.read("rejects").height == 2
    lake.write("prompts", prompts("a"), Commit("other"))
    assert lake.read("rejects").height == 2


def test_a_partition_is_replaced_alone(lake: Lake) -> None:
    one, two = {"policy_id": "1"}, {"policy_id": "2"}
    bad = reference(3, "1").with_columns(tokens=pl.Series([3, 3, 0]))
    first = lake.write("reference_logps", bad, Commit("s", fingerprint="f1"), partition=one).version
    second = lake.write(
        "reference_logps", reference(1, "2"), Commit("s", fingerprint="f2"), partition=two
    ).version
    assert lake.sql(
        "SELECT policy_id, count(*) FROM reference_logps GROUP BY 1 ORDER BY 1"
    ).rows() == [
        ("1", 2),
        ("2", 1),
    ]
    assert lake.read("rejects").height == 1, "another partition's rejects stay"
    assert lake.fresh("reference_logps", "f1", one) == first
    assert lake.fresh("reference_logps", "f2", two) == second
    assert lake.fresh("reference_logps", "f1", two) is None
    assert lake.fresh("reference_logps", "f2") is None
    before = lake.version("reference_logps")
    whole = lake.write("reference_logps", reference(1, "2"), Commit("s", fingerprint="f3"))
    assert lake.fresh("reference_logps", "f3") == whole.version
    assert lake.fresh("reference_logps", "f1", one) is None, "the whole table was written since"
    assert lake.version("reference_logps") != before
    with pytest.raises(OrchardError, match="1 of 1 rows are not in the partition policy_id='1'"):
        lake.write("reference_logps", reference(1, "2"), Commit("s"), partition=one)


def test_writing_the_same_rows_makes_no_new_data(lake: Lake) -> None:
    rows = prompts("a", "b")
    first = lake.write("prompts", rows, Commit("load", fingerprint="f1"))
    again = lake.write("prompts", rows.reverse(), Commit("load", fingerprint="f2"))
    assert (again.version, again.changed, again.rows) == (first.version, False, 2)
    assert lake.fresh("prompts", "f2") == first.version
    assert lake.fresh("prompts", "f1") is None
    assert len(list((lake.home / "lake/files").rglob("prompts/*.parquet"))) == 1
    assert lake.write("prompts", prompts("a", "c"), Commit("load")).changed
    assert lake.write("responses", tables.empty("responses"), Commit("s")).changed, (
        "the first commit counts"
    )
    swapped = prompts("a", "c", pool="t", task="p")
    assert lake.write("prompts", swapped, Commit("load")).changed, (
        "exchanged columns are other content"
    )


def test_mistakes_are_one_line(lake: Lake) -> None:
    def write(rows: pl.DataFrame, **partition: str) -> Any:
        return lambda: lake.write("prompts", rows, Commit("s"), partition=partition)

    cases: list[tuple[str, Any]] = [
        ("no table 'nope': the tables are ", lambda: lake.read("nope")),
        ("no table 'nope'", lambda: lake.write("nope", reference(1), Commit("s"))),
        (
            "table prompts: column 'pool' is missing",
            write(prompts("a").drop("pool")),
        ),
        (
            "table prompts: unknown column 'x'",
            write(prompts("a").with_columns(x=1)),
        ),
        (
            "column 'messages' .*should be",
            write(prompts("a").with_columns(messages=1)),
        ),
        (
            "unknown partition column 'x'",
            write(prompts("a"), x="1"),
        ),
        (
            "rejects is not written",
            lambda: lake.write("rejects", tables.empty("rejects"), Commit("s")),
        ),
        ('"nope" not found', lambda: lake.sql("SELECT nope FROM prompts")),
        ("nope does not exist", lambda: lake.sql("SELECT 1 FROM nope")),
        ("syntax error", lambda: lake.sql("SELEC 1")),
        ("no query 'nope'", lambda: lake.query_file("nope")),
    ]
    for pattern, call in cases:
        with pytest.raises(OrchardError, match=pattern) as caught:
            call()
        assert "\n" not in str(caught.value)
    assert lake.read("prompts").height == 0


def test_sql_does_not_write(lake: Lake) -> None:
    lake.write("prompts", prompts("a"), Commit("load"))
    statements = [
        "DELETE FROM prompts",
        "CREATE TABLE x AS SELECT 1",
        "SELECT 1; DROP TABLE prompts",
        "COPY prompts TO 'x'",
    ]
    statements += ["COMMIT; SELECT 1", "CREATE TABLE x AS SELECT 1; SELECT 1", "INSTALL httpfs", ""]
    for statement in statements:
        with pytest.raises(OrchardError):
            lake.sql(statement)
    assert lake.sql("PIVOT prompts ON split USING count(*) GROUP BY pool")["train"].item() == 1
    assert lake.sql("SELECT table_name FROM duckdb_tables() WHERE table_name = 'x'").is_empty()


def test_sql_takes_parameters_and_frames(lake: Lake) -> None:
    lake.write("prompts", prompts("a", "b"), Commit("load"))
    extra = pl.DataFrame({"prompt_id": ["b", "c"], "n": [1, 2]})
    joined = lake.sql(
        "SELECT n FROM prompts JOIN extra USING (prompt_id) WHERE n < $most",
        {"most": 9},
        frames={"extra": extra},
    )
    assert joined["n"].to_list() == [1]
    with pytest.raises(OrchardError, match="extra does not exist"):
        lake.sql("FROM extra")
    assert lake.sql("FROM prompts", frames={"prompts": extra}).height == 2
    assert lake.sql("SELECT prompt_id FROM prompts ORDER BY 1")["prompt_id"].to_list() == ["a", "b"]


def test_releases_and_differences(lake: Lake) -> None:
    first = lake.write("prompts", prompts("a", "b", "c"), Commit("load")).version
    changed = pl.concat([prompts("b", pool="q"), prompts("c", "d")])
    second = lake.write("prompts", changed, Commit("load")).version
    assert lake.tag("v1", first) == first == lake.tag("v1")
    assert lake.tag("v2") >= second
    assert lake.releases()["name"].to_list() == ["v1", "v2"]
    with pytest.raises(OrchardError, match="release 'v1' is version"):
        lake.tag("v1", second)
    with pytest.raises(OrchardError, match="version 99 is not in the lake"):
        lake.tag("v3", 99)
    found = lake.diff("prompts", first, second).select("change", "prompt_id", "pool").rows()
    updates = [("update_preimage", "b", "p"), ("update_postimage", "b", "q")]
    assert found == [("delete", "a", "p"), *updates, ("insert", "d", "p")]
    assert lake.diff("prompts", second, second).is_empty()


def test_expiry_keeps_releases_and_what_is_current(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = [
        lake.write("prompts", prompts("a", str(i)), Commit("load")).version for i in range(4)
    ]
    lake.tag("v1", versions[1])
    assert lake.expire(1) == 0
    files = set((lake.home / "lake/files").rglob("*.parquet"))
    assert lake.expire(0) > 0
    assert set((lake.home / "lake/files").rglob("*.parquet")) == files, "too young to go"
    assert lake.read("prompts", version=versions[1])["prompt_id"].to_list() == ["a", "1"]
    assert lake.read("prompts", version=versions[3]).height == 2
    with pytest.raises(OrchardError, match=f"version {versions[0]} is not in the lake"):
        lake.read("prompts", version=versions[0])
    monkeypatch.setattr(releases, "FILE_AGE", timedelta(seconds=-5))
    lake.expire(0)
    assert len(list((lake.home / "lake/files").rglob("prompts/*.parquet"))) == 2
    assert lake.read("prompts", version=versions[1])["prompt_id"].to_list() == ["a", "1"]
    assert lake.read("prompts").height == 2
    assert lake.history("prompts")["version"].to_list() == versions


def test_a_moved_home_works(tmp_path: Path) -> None:
    with Lake(tmp_path / "it's old") as lake:
        version = lake.write("prompts", prompts("a"), Commit("load", fingerprint="f")).version
    shutil.move(tmp_path / "it's old", tmp_path / "new")
    with Lake(tmp_path / "new") as lake:
        assert_frame_equal(lake.read("prompts"), prompts("a"))
        assert lake.fresh("prompts", "f") == version
        lake.write("prompts", prompts("b"), Commit("load"))
        assert lake.read("prompts", version=version)["prompt_id"].to_list() == ["a"]
    assert not (tmp_path / "it's old").exists()


def test_tables_and_columns_declared_later_are_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tables.TABLES["prompts"]
    with Lake(tmp_path) as lake:
        version = lake.write("prompts", prompts("a"), Commit("load")).version
    later = type("Later", (old,), {"extra": kinds.number("later", nullable=True)})
    monkeypatch.setitem(tables.TABLES, "prompts", later)
    monkeypatch.setitem(tables.TABLES, "more", tables.TABLES["reference_logps"])
    with Lake(tmp_path) as lake:
        assert (
            lake.read("prompts")["extra"].to_list()
            == [None]
            == lake.read("prompts", version=version)["extra"].to_list()
        )
        assert lake.read("more", version=version).is_empty()
        lake.write("prompts", prompts("a").with_columns(extra=1.5), Commit("load"))
        assert lake.read("prompts")["extra"].to_list() == [1.5]


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    writers = [child(tmp_path, name, 20) for name in "ab"]
    for writer in writers:
        out, err = writer.communicate(timeout=120)
        assert writer.returncode == 0, err
        assert len(out.splitlines()) == 20
    with Lake(tmp_path) as lake:
        assert lake.read("reference_logps").height == 40
        assert lake.history("reference_logps").height == 40
        assert lake.history("reference_logps")["version"].n_unique() == 40


def test_a_killed_writer_leaves_every_acknowledged_commit(tmp_path: Path) -> None:
    acknowledged: list[list[str]] = []
    for count in (3, 6):
        writer = child(tmp_path, "a", 10_000)
        assert writer.stdout is not None
        acknowledged += [writer.stdout.readline().split() for _ in range(count)]
        writer.send_signal(signal.SIGKILL)
        out, _ = writer.communicate(timeout=30)
        acknowledged += [line.split() for line in out.splitlines() if line.count(" ") == 1]
    with Lake(tmp_path) as lake:
        for version, rows in acknowledged:
            assert lake.read("reference_logps", version=int(version)).height == int(rows)
        last = lake.history("reference_logps").tail(1)
        assert (
            lake.read("reference_logps").height == last["rows"].item() >= int(acknowledged[-1][1])
        )
        assert lake.write("reference_logps", reference(5), Commit("s")).changed
        assert lake.read("reference_logps").height == 5


def test_a_full_disk_is_one_line_and_harms_nothing(tmp_path: Path) -> None:
    with Lake(tmp_path) as lake:
        version = lake.write("reference_logps", reference(10), Commit("s", fingerprint="f")).version
        noise = pl.Series("text_id", [os.urandom(16).hex() for _ in range(100_000)])
        big = reference(noise.len()).with_columns(noise)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
            with pytest.raises(OrchardError, match="no space left for the lake") as caught:
                lake.write("reference_logps", big, Commit("s"))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, ignored)
        assert "\n" not in str(caught.value)
        assert lake.read("reference_logps").height == 10
        assert lake.fresh("reference_logps", "f") == version
        assert lake.write("reference_logps", big, Commit("s")).rows == 100_000


def test_a_failed_write_rolls_back_all_of_it(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.write("prompts", prompts("a"), Commit("load"))

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("pipeline.store.writing.record", fail)
        with pytest.raises(OrchardError, match="no space left"):
            lake.write("prompts", prompts("b", split="dev"), Commit("load"))
    assert lake.read("prompts")["prompt_id"].to_list() == ["a"]
    assert lake.read("rejects").is_empty()


def test_a_lock_that_never_comes_free_is_an_error(tmp_path: Path) -> None:
    with lock.locked(tmp_path / "lock"), pytest.raises(OrchardError, match="another process held"):
        with lock.locked(tmp_path / "lock", patience=0.05):
            pass
    with lock.locked(tmp_path / "lock", patience=0.05):
        pass


def test_options_hold(lake: Lake) -> None:
    lake.write("reference_logps", reference(1), Commit("s"))
    (path,) = (lake.home / "lake/files").rglob("reference_logps/*.parquet")
    assert lake.sql(f"SELECT DISTINCT compression FROM parquet_metadata('{path}')").item() == "ZSTD"
    assert not list((lake.home / "lake/files").rglob("commit_log/*.parquet")), (
        "bookkeeping stays in the catalog"
    )
    at = lake.history("reference_logps")["finished_at"].item()
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=1)
    assert layout.conform("reference_logps", reference(1)).height == 1


def test_not_a_catalog(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake/catalog.sqlite").write_bytes(b"something else" * 1000)
    with pytest.raises(OrchardError) as caught:
        Lake(tmp_path)
    assert "\n" not in str(caught.value)
