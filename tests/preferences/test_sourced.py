"""Imported pairs as variants: sides, splits and ids by hand."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.sources import SOURCE_PAIRS, SOURCE_PROMPTS, SOURCE_RESPONSES, SOURCE_VOTES
from assets.steps import GRAPH
from pipeline import config, tables
from pipeline.config import SplitSettings
from pipeline.errors import OrchardError
from pipeline.preferences.registry import registry
from pipeline.preferences.sourced import variants
from pipeline.prompts.pools import split_of
from pipeline.sources.prompts import source_prompts
from pipeline.sources.tasks import TASKS, task_of
from pipeline.steps import RunContext, run_step
from pipeline.store import Commit, Lake
from tests.steps import world

ROWS = [
    {"prompt": "What is 2 + 2?", "first": "It is 4.", "second": "It is 5.", "label": "first"},
    {"prompt": "Write a poem about tea.", "first": "No.", "second": "Tea...", "label": "second"},
    {"prompt": "Say hi.", "first": "Hi.", "second": "Hello.", "label": "tie"},
    {"prompt": "Say bye.", "first": "Bye.", "second": "Bye-bye.", "label": 0.75},
    {"prompt": "Say no.", "first": "No.", "second": None, "label": "first"},
]
SOURCES = (SOURCE_PAIRS, SOURCE_RESPONSES, SOURCE_VOTES, SOURCE_PROMPTS)
ALL_TRAIN = {"validation": 0.0, "test": 0.0}


def _profile(folder: Path, rows: list[dict[str, Any]], **changes: object) -> Path:
    (folder / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    said = {"sources": [{"name": "mine_own", "path": str(folder / "mine.jsonl")}], **changes}
    said.setdefault("variants", [])  # one of the world's starts from a source of its own
    said.setdefault("validation", {"variants": ["outcome"]})
    return world.profile(folder, **{"splits": ALL_TRAIN, "selection": {}, **said})


def _run(folder: Path, path: Path) -> pl.DataFrame:
    """The pairs of the source as a run makes them."""
    settings = config.load(str(path))
    with Lake(folder) as lake:
        run = RunContext(settings, lake, world.Room(), folder, "run", GRAPH)  # type: ignore[arg-type]
        run_step(GRAPH.steps["prompts"], run)
        for step in SOURCES:
            run_step(step, run, "mine_own")
        run_step(GRAPH.steps["preferences"], run, "mine_own")
        return lake.read("preferences", where="variant = 'mine_own'").sort("chosen")


def test_each_row_with_a_better_side_is_a_pair_and_no_other(tmp_path: Path) -> None:
    pairs = _run(tmp_path, _profile(tmp_path, ROWS))
    sides = pairs.select("chosen", "rejected").rows()
    assert sides == [("Bye.", "Bye-bye."), ("It is 4.", "It is 5."), ("Tea...", "No.")]
    assert set(pairs["split"]) == {"train"} and pairs["chosen_ends"].all()
    assert pairs["strength"].is_null().all() and pairs["margin"].is_null().all()


def test_the_control_has_half_of_the_sides_exchanged(tmp_path: Path) -> None:
    own = _run(tmp_path, _profile(tmp_path, ROWS))
    settings = config.load(str(_profile(tmp_path, ROWS)))
    with Lake(tmp_path) as lake:
        control = variants(settings)["mine_own_shuffled"].build(lake, settings)
    pairs = [set(one.select("chosen", "rejected").rows()) for one in (own, control)]
    assert len(pairs[0] - pairs[1]) == len(ROWS[:3]) // 2
    assert {frozenset(one) for one in pairs[0]} == {frozenset(one) for one in pairs[1]}


def test_a_new_row_of_the_file_comes_with_the_next_run(tmp_path: Path) -> None:
    path = _profile(tmp_path, ROWS)
    assert _run(tmp_path, path).height == 3
    more = {"prompt": "Say yes.", "first": "Yes.", "second": "Nay.", "label": "first"}
    _profile(tmp_path, [*ROWS, more])
    assert _run(tmp_path, path).height == 4


def test_what_was_imported_by_hand_under_that_name_is_the_same_variant(tmp_path: Path) -> None:
    made = _run(tmp_path, _profile(tmp_path, ROWS))
    again = _profile(tmp_path, ROWS, sources=[{"name": "mine_own"}])
    settings = config.load(str(again))
    with Lake(tmp_path) as lake:
        assert SOURCE_PAIRS.parts is not None and SOURCE_PAIRS.parts(settings) == []
        found = variants(settings)["mine_own"].build(lake, settings)
    assert sorted(found["chosen"]) == sorted(made["chosen"])


def _made(folder: Path, rows: list[dict[str, Any]], table: str, name: str) -> pl.DataFrame:
    """The rows of a table of one variant of the source, as a run makes them."""
    settings = config.load(str(_profile(folder, rows, lists={"size": 3})))
    with Lake(folder) as lake:
        run = RunContext(settings, lake, world.Room(), folder, "run", GRAPH)  # type: ignore[arg-type]
        run_step(GRAPH.steps["prompts"], run)
        for step in SOURCES:
            run_step(step, run, "mine_own")
        run_step(GRAPH.steps[table], run, name)
        return lake.read(table)


def test_thumbs_are_single_texts_and_the_first_word_on_one_stands(tmp_path: Path) -> None:
    said = [("a", "fine", True), ("a", "bad", False), ("b", "fine", False), ("b", "fine", True)]
    keys = ("prompt", "completion", "label")
    rows = [dict(zip(keys, one, strict=True)) for one in said]
    found = _made(tmp_path, rows, "unpaired", "mine_own_thumbs")
    asked = [turns[0]["content"] for turns in found["messages"]]
    told = sorted(zip(asked, found["text"], found["desirable"], found["weight"], strict=True))
    # Of one good and two bad texts: (1/1)/(1/2) = 2, and 0 for a prompt without a good one.
    assert told == [("a", "bad", False, 2), ("a", "fine", True, 1), ("b", "fine", False, 0.5)]
    assert found["ends"].all() and found["policy_id"].is_null().all()


def test_a_list_keeps_its_ranks_and_ties_and_is_cut_to_the_size(tmp_path: Path) -> None:
    ranks = [("w", 1), ("x", 2), ("y", 2), ("z", 4)]
    answers = [{"answer": text, "model": text, "rank": rank} for text, rank in ranks]
    rows: list[dict[str, Any]] = [{"prompt": "Order them.", "answers": answers}]
    (row,) = _made(tmp_path, rows, "preference_lists", "mine_own_lists").to_dicts()
    items = [(item["text"], item["value"], item["rank"]) for item in row["items"]]
    # w beats three of three, x and y one of three, z none; of x and y one is left.
    assert [items[0], items[2]] == [("w", 1.0, 0), ("z", 0.0, 2)]
    assert items[1] in [("x", pytest.approx(1 / 3), 1), ("y", pytest.approx(1 / 3), 1)]
    orders = [(one["better"], one["worse"]) for one in row["orders"]]
    assert orders == [(0, 1), (0, 2), (1, 2)] and row["policy_id"] is None


def _imported(messages: list[list[dict[str, str]]]) -> pl.DataFrame:
    rows = [
        {"pair_id": f"p{n}", "prompt_id": f"id{n}", "messages": turns, "first_id": f"a{n}",
         "second_id": f"b{n}", "first": "x", "second": "y", "label": 1.0, "origin": "o"}
        for n, turns in enumerate(messages)
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=tables.empty("recorded_pairs").schema)


def _asked(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def test_a_conversation_has_the_id_and_split_of_the_pools_prompt_that_looks_the_same() -> None:
    columns = {"prompt_id": "pool's", "split": "test", "messages": _asked("Don't you know?")}
    prompts = pl.DataFrame([columns])
    found = source_prompts(
        _imported([_asked("Don\u2019t you know?"), _asked("Do you know?")]),
        tables.empty("recorded_responses"),
        prompts,
        SplitSettings(validation=0, test=0),
    )
    assert found.select("prompt_id", "split").rows() == [("pool's", "test"), ("id1", "train")]


@given(st.lists(st.sampled_from(["a b", "a\u00a0b", "caf\u00e9", "cafe\u0301", "c"]), max_size=5))
def test_prompts_that_look_the_same_are_in_one_split(texts: list[str]) -> None:
    splits = SplitSettings(validation=0.3, test=0.3)
    empty = tables.empty("prompts")
    none = tables.empty("recorded_responses")
    found = source_prompts(_imported([_asked(text) for text in texts]), none, empty, splits)
    look = [text.replace("\u00a0", " ").replace("e\u0301", "\u00e9") for text in texts]
    for column in ("prompt_id", "split"):
        said = dict(zip(look, found.sort("recorded_id")[column], strict=True))
        assert [said[text] for text in look] == found.sort("recorded_id")[column].to_list()
    first = {text: n for n, text in reversed([*enumerate(look)])}
    for text, n in first.items():
        assert found.sort("recorded_id")["split"][n] == split_of(_asked(texts[n]), splits), text


def test_no_pair_of_a_test_prompt_is_trained_on(tmp_path: Path) -> None:
    rows = [{**ROWS[0], "prompt": f"What is {n} + 2?"} for n in range(40)]
    splits = {"validation": 0.2, "test": 0.5}
    pairs = _run(tmp_path, _profile(tmp_path, rows, splits=splits))
    settings = SplitSettings(validation=0.2, test=0.5)
    expected = [split_of(_asked(row["prompt"]), settings) for row in rows]
    assert sorted(pairs["split"]) == sorted(split for split in expected if split != "test")
    with Lake(tmp_path) as lake:
        lake.write("preferences", pairs, Commit("again"), partition={"variant": "mine_own"})
        assert lake.query_file("leaked_pairs").is_empty()


def test_a_name_that_a_variant_has_is_refused(tmp_path: Path) -> None:
    path = _profile(tmp_path, ROWS, sources=[{"name": "outcome", "path": "x.jsonl"}])
    with pytest.raises(OrchardError, match="sources: the name 'outcome' is taken: choose another"):
        registry(config.load(str(path)))


@pytest.mark.parametrize(
    ("text", "task"),
    [
        ("Write a Python function that reverses a list.", "code"),
        ("Translate this to French: good morning", "translation"),
        ("Summarize the article below.", "summary"),
        ("What is 12 * 7?", "maths"),
        ("Rewrite the following sentence in a formal tone.", "rewriting"),
        ("Classify this tweet as positive or negative.", "extraction"),
        ("Write a short story about a fox.", "writing"),
        ("Suggest a name for my cat", "ideas"),
        ("Why is the sky blue?", "question"),
        ("hello there", "other"),
    ],
)
def test_what_a_prompt_asks_for_is_told_by_its_words(text: str, task: str) -> None:
    assert task_of(_asked(text)) == task and task in TASKS  # type: ignore[arg-type]
