"""What is erased is in no file of the home, and every other row is as it was, in all versions."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from assets.cli.main import app
from pipeline import tables
from pipeline.engine.cachefile import CacheFile
from pipeline.engine.session import cache_path
from pipeline.erasure.erase import _put_inlined_rows_into_files, erase
from pipeline.erasure.plan import embedded, planned
from pipeline.erasure.reach import Search
from pipeline.erasure.request import Request, search_for
from pipeline.errors import OrchardError
from pipeline.ids import content_id
from pipeline.live import preview_lock
from pipeline.lock import locked
from pipeline.store import Commit, Lake
from pipeline.store.database import Database
from pipeline.tables import TABLES
from pipeline.tables.links import LINKS, TEXTLESS
from tests.erasure.planted import (
    CANARY,
    GONE,
    GONE_ID,
    KEPT,
    KEPT_ID,
    POOLS,
    contents,
    files_with,
    id_of,
    plant_files,
    plant_lake,
    put,
    row,
)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("planted") / "home"
    plant_lake(home)
    plant_files(home)
    return home


@pytest.fixture
def home(tmp_path: Path, planted: Path) -> Path:
    return shutil.copytree(planted, tmp_path / "home")


@pytest.fixture(scope="module")
def before(planted: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[object, object]:
    copy = shutil.copytree(planted, tmp_path_factory.mktemp("before") / "home")
    return {**contents(copy)}


REQUESTS = {
    "prompt": Request("prompt", GONE_ID),
    "source": Request("source", POOLS[GONE]),
    "text": Request("text", CANARY),
}


def test_every_table_says_from_what_its_rows_are_made() -> None:
    assert set(TABLES) == set(LINKS) | TEXTLESS and not set(LINKS) & TEXTLESS


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_no_file_holds_it_and_other_rows_stay(
    home: Path, before: dict[object, object], request_: Request
) -> None:
    assert len(files_with(home)) > 2 * len(LINKS)
    erase(home, request_)
    assert files_with(home) == []
    after = contents(home)
    assert {key: after[key] for key in before} == before  # type: ignore[index]
    with Lake(home) as lake:
        assert lake.releases()["name"].to_list() == ["first", "second"]
        assert lake.verify().sound and not lake.verify().unsummed
        (entry,) = lake.read("erasures").to_dicts()
        assert entry["asked"] == request_.asked and entry["completions"] == 2
        assert json.loads(entry["rows"])["prompts"] == 2


def test_a_plan_says_all_and_changes_nothing(home: Path) -> None:
    files = {path: path.read_bytes() for path in sorted(home.rglob("*.parquet"))}
    said = CliRunner().invoke(app, ["erase", "--prompt", GONE_ID], env={"ORCHARD_HOME": str(home)})
    assert said.exit_code == 0, said.output
    lines = " ".join(said.output.split())
    assert "table preferences: 2 rows, 1 of them in today's files" in lines
    assert "releases among them: first, second" in lines
    assert "2 of 4 completions" in lines and "report: 1 removed" in lines
    assert "variant outcome, run r1, policies/outcome-s0-1: kept" in lines
    assert "Nothing was changed" in lines and CANARY not in lines
    assert {path: path.read_bytes() for path in sorted(home.rglob("*.parquet"))} == files
    assert (home / "report.html").exists()


def test_what_stays_in_the_cache_stands_in_a_row_that_stays(home: Path) -> None:
    erase(home, REQUESTS["prompt"])
    cache = CacheFile(cache_path(home))
    kept = [bytes([number]) * 16 for number in range(3) if cache.get(bytes([number]) * 16)]
    assert kept == [b"\x01" * 16] and cache.get(b"v" * 16) == [0.25, 0.75]
    cache.close()


def test_policies_that_learned_from_it_stay_unless_they_are_named(home: Path) -> None:
    found = erase(home, REQUESTS["prompt"])
    assert [one["run_id"] for one in found.note.trained] == ["r1"]
    assert (home / "policies" / "outcome-s0-1").is_dir()
    note = json.loads((home / "policies" / "outcome-s0-1.json").read_text())
    assert [one["prompt_id"] for one in note["rejects"]] == ["other"]


def test_policies_that_are_named_go_with_their_rows(home: Path) -> None:
    erase(home, REQUESTS["prompt"], with_policies=True)
    assert not list((home / "policies").iterdir())
    with Lake(home) as lake:
        assert lake.read("training_runs").is_empty()


def test_what_was_erased_does_not_come_in_again(home: Path) -> None:
    erase(home, REQUESTS["prompt"])
    with Lake(home) as lake:
        mine, other = row("prompts", GONE, 3), row("prompts", KEPT, 3)
        rows = put_frame("prompts", [{**mine, "split": "train"}, {**other, "split": "train"}])
        lake.write("prompts", rows, Commit("prompts"))
        assert lake.read("prompts")["prompt_id"].to_list() == [KEPT_ID]
        (reject,) = lake.read("rejects", where="step = 'prompts'").to_dicts()
        assert reject["reason"].startswith("erased on 20") and CANARY not in str(reject)
        derived = row("preferences", GONE, 3) | {"level": "response", "split": "train"}
        lake.write("preferences", put_frame("preferences", [derived]), Commit("preferences"))
        assert lake.read("preferences").is_empty()
    assert files_with(home) == []


def put_frame(table: str, rows: list[dict[str, object]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=tables.empty(table).schema)


@pytest.fixture(scope="module")
def database(planted: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    copy = shutil.copytree(planted, tmp_path_factory.mktemp("searched") / "home")
    with embedded(copy) as database:
        _put_inlined_rows_into_files(database)
        yield database


@pytest.mark.parametrize("table", sorted(name for name in LINKS if LINKS[name].own))
def test_one_row_is_found_in_all_versions_and_takes_nothing_of_others(
    database: Database, table: str
) -> None:
    """The row of each table in turn; what goes with it holds the same word."""
    own, search = row(table, GONE, 2, quiet=True), Search(database)
    search_for(search, Request("row", f"{table}:{own[LINKS[table].own[0][1]]}"))
    for name in LINKS:
        taken = search.taken(name, "* EXCLUDE (file, pos)")
        assert "kept" not in str(taken.to_dicts()), name
        assert name != table or taken.height == 2
    search.close()


def test_a_row_of_a_tree_takes_what_grew_from_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with Lake(home) as lake:
        root, step, leaf = (row("tree_nodes", KEPT, n) | {"node_id": f"n{n}"} for n in range(3))
        root["parent_id"], step["parent_id"], leaf["parent_id"] = None, "n0", "n1"
        put(lake, {"tree_nodes": [root, step, leaf]})
        pair = row("preferences", KEPT, 1)
        put(lake, {"preferences": [pair | {"chosen_id": "n2"}, pair | {"pair_id": "own"}]})
    erase(home, Request("row", "tree_nodes:n1"))
    with Lake(home) as lake:
        assert lake.read("tree_nodes")["node_id"].to_list() == ["n0"]
        assert lake.read("preferences")["pair_id"].to_list() == ["own"]


def test_what_is_not_there_is_one_line_and_changes_nothing(home: Path) -> None:
    for request_, line in (
        (Request("prompt", "nobody"), "prompt nobody: no version of any table has it"),
        (Request("row", "votes:1"), "row votes:1: no version of any table has it"),
        (Request("row", "nothing:1"), "expected TABLE:ID"),
        (Request("row", "pair_votes:1"), "its rows have no id"),
        (Request("text", "never said"), "no version of any table has it"),
    ):
        with pytest.raises(OrchardError, match=line):
            planned(home, request_, False)
    assert len(files_with(home)) > 2 * len(LINKS)


def test_a_duplicate_of_what_was_erased_is_refused_whatever_its_answer(tmp_path: Path) -> None:
    from pipeline.config import PoolSettings, Settings
    from pipeline.prompts.pools import load_pools
    from pipeline.store.refused import turns_id

    pool = tmp_path / "pool.jsonl"
    asked = [{"question": CANARY, "answer": str(n)} for n in range(2)]
    pool.write_text("\n".join(map(json.dumps, [*asked, {"question": "1 + 1", "answer": "2"}])))
    given = PoolSettings(name="p", source="file", path=str(pool))
    settings = Settings(profile="t", pools=(given,))
    name = turns_id([{"role": "user", "content": CANARY}])
    prompts, rejects = load_pools(settings, {name: "2026-11-29"})
    assert prompts.height == 1 and CANARY not in str(rejects.to_dicts())
    assert rejects["reason"].str.ends_with("erased on 2026-11-29").sum() == 2


def test_an_import_does_not_bring_it_back_not_even_as_a_reject(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from assets.cli.importing import bring
    from pipeline.config import JudgeSettings

    home = tmp_path / "home"
    monkeypatch.setenv("ORCHARD_HOME", str(home))
    path = tmp_path / "pairs.jsonl"
    own = {"prompt": f"Who is {CANARY}?", "chosen": "One.", "rejected": "Another."}
    rows = [own, own, {**own, "chosen": 3}, {**own, "prompt": "Who else?"}]
    path.write_text("\n".join(map(json.dumps, rows)))
    bring(path, JudgeSettings())
    erase(home, Request("text", CANARY))
    assert files_with(home) == []
    bring(path, JudgeSettings())
    assert files_with(home) == []
    with Lake(home) as lake:
        assert lake.read("recorded_pairs").height == 1
        assert lake.read("rejects")["reason"].str.starts_with("erased on").sum() > 0


def test_rejects_without_an_id_go_with_the_question_that_they_repeat(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with Lake(home) as lake:
        question = f"What does {CANARY} owe to the bank?"
        turns = [{"role": "user", "content": f"Answer briefly: {question}"}]
        put(lake, {"prompts": [row("prompts", GONE, 1) | {"messages": turns}]})
        copy = row("rejects", KEPT, 1) | {"row": json.dumps({"pool": "p", "question": question})}
        put(lake, {"rejects": [copy, row("rejects", KEPT, 2) | {"reject_id": content_id("own")}]})
    erase(home, Request("prompt", GONE_ID))
    assert files_with(home) == []
    with Lake(home) as lake:
        assert lake.read("rejects")["reject_id"].to_list() == [content_id("own")]


def test_ids_of_the_planted_home_are_of_one_prompt_each() -> None:
    assert id_of("prompt", GONE) != id_of("prompt", KEPT)


def test_what_was_a_pools_prompt_does_not_come_back_through_an_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from assets.cli.importing import bring
    from pipeline.config import JudgeSettings, PoolSettings, Settings
    from pipeline.prompts.pools import load_pools
    from pipeline.store import Commit

    home = tmp_path / "home"
    monkeypatch.setenv("ORCHARD_HOME", str(home))
    asked = f"Who is {CANARY}?"
    pool = tmp_path / "pool.jsonl"
    pool.write_text(json.dumps({"question": asked, "answer": "5"}))
    given = PoolSettings(name="p", source="file", path=str(pool))
    prompts, _ = load_pools(Settings(profile="t", pools=(given,)))
    with Lake(home) as lake:
        lake.write("prompts", prompts, Commit("test"))
    erase(home, Request("prompt", prompts["prompt_id"][0]))
    pairs = tmp_path / "pairs.jsonl"
    own = {"prompt": asked, "chosen": "One.", "rejected": "Another."}
    pairs.write_text("\n".join(map(json.dumps, [own, {**own, "prompt": "Who else?"}])))
    bring(pairs, JudgeSettings())
    assert files_with(home) == []
    with Lake(home) as lake:
        assert lake.read("recorded_pairs").height == 1


def test_an_erasure_waits_for_a_preview_which_would_keep_completions_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.erasure.erase.PREVIEW_SECONDS", 0.1)
    with Lake(tmp_path):
        pass
    request = Request("prompt", GONE_ID)
    with locked(preview_lock(tmp_path)), pytest.raises(OrchardError, match="preview.lock"):
        erase(tmp_path, request)
    with pytest.raises(OrchardError, match=GONE_ID):
        erase(tmp_path, request)
