"""Pairs compare responses.

What the model thought before them goes along, and is trained as asked.
"""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipeline import config, tables
from pipeline.engine.rendering import Renderer
from pipeline.preferences.build import build
from pipeline.preferences.lengths import with_tokens
from pipeline.preferences.lists import ranked_lists
from pipeline.preferences.unpaired import BCO, texts
from pipeline.preferences.voted import voted_on
from pipeline.store import Commit, Lake
from pipeline.training.tokens import tokenize
from pipeline.validation.rows import training_rows
from tests.engine.chats import OPENED, fast
from tests.preferences.forest import GROWN, PROMPTS
from tests.training.toy import frame, lists, pair, ranked, single, singles

SETTINGS = config.load("quick")
RIGHT, WRONG = "sure.</think>\n\n", "guess</think>"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    turn = {"role": "user", "content": "3 + 4"}
    prompt = {"prompt_id": "p1", "split": "train", "messages": [turn], "pool": "x", "task": "x",
              "answer": "7", "verifier": "number", "source": "test", "licence": "none"}  # fmt: skip
    common = {"prompt_id": "p1", "policy_id": "m", "on_policy": True, "draw": 0, "sampling": "{}",
              "tokens": 1, "prompt_tokens": 1, "logprob_mean": -1.0,
              "finish_reason": "stop"}  # fmt: skip
    responses = [
        {"response_id": "r1", "text": "7", "correct": True, "thought": RIGHT},
        {"response_id": "r2", "text": "8", "correct": False, "thought": WRONG},
    ]
    step = {"tree_id": "t", "prompt_id": "p1", "policy_id": "m", "method": "best_first",
            "kind": "step", "parent_id": "root", "depth": 1, "draw": 0, "prefix": "",
            "n_rollouts": 8, "terminal": False, "merged": 1, "tokens": 1}  # fmt: skip
    nodes = [
        {
            "node_id": "root",
            "kind": "root",
            "parent_id": None,
            "depth": 0,
            "text": "",
            "n_correct": 0,
        },
        {"node_id": "a", "text": "a\n", "value": 1.0, "n_correct": 8, "thought": RIGHT},
        {"node_id": "b", "text": "b\n", "value": 0.0, "n_correct": 0, "thought": WRONG},
    ]
    for table, rows, shared in (
        ("prompts", [prompt], {}),
        ("responses", responses, common),
        ("tree_nodes", nodes, step),
    ):
        filled = [{**shared, **row} for row in rows]
        made = pl.DataFrame(filled, schema=tables.empty(table).schema)
        lake.write(table, made, Commit("test"))
    for name in ("outcome", "tree_plv"):  # whose pairs others treat
        lake.write(
            "preferences", build(name, lake, SETTINGS), Commit("test"), partition={"variant": name}
        )
    return lake


def sides(pairs: pl.DataFrame) -> list[tuple[object, ...]]:
    return pairs.select("chosen_thought", "chosen", "rejected_thought", "rejected").rows()


@pytest.mark.parametrize(("name", "chosen", "rejected"), [
    ("outcome", "7", "8"), ("tree_plv", "a\n", "b\n"),
])  # fmt: skip
def test_pairs_compare_responses_and_keep_their_thoughts(
    lake: Lake, name: str, chosen: str, rejected: str
) -> None:
    settings = SETTINGS.model_copy(
        update={"preferences": SETTINGS.preferences.model_copy(update={"continuation": "step"})}
    )
    built = build(name, lake, settings)
    assert sides(built) == [(RIGHT, chosen, WRONG, rejected)]
    tables.Preferences.validate(built)


def test_a_pair_that_changes_its_sides_changes_its_thoughts(lake: Lake) -> None:
    noise = SETTINGS.noise.model_copy(update={"source": "outcome", "inject": 1.0})
    settings = SETTINGS.model_copy(update={"noise": noise})
    assert sides(voted_on(lake, settings)) == [(WRONG, "8", RIGHT, "7")]


def test_single_texts_and_lists_keep_theirs(lake: Lake) -> None:
    found = texts(lake, config.load("quick"), BCO).sort("text")
    assert found.select("text", "thought").rows() == [("7", RIGHT), ("8", WRONG)]
    thinking = GROWN.with_columns(
        thought=pl.when(pl.col("node_id").str.starts_with("a")).then(pl.lit(RIGHT))
    )
    ranked_, _ = ranked_lists(thinking, PROMPTS, size=10)
    (row,) = ranked_.to_dicts()
    known = {one["item_id"]: one["thought"] for one in row["thoughts"]}
    assert known == {"a1": RIGHT, "a2.1": RIGHT, "a3.0": RIGHT}
    plain, _ = ranked_lists(GROWN, PROMPTS, size=10)
    assert plain["thoughts"].to_list() == [None]


# A text without a thought stands where the template puts one: behind no open thought.
BARE = "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n"
CONTEXT = f"{BARE}<think>\n"


@pytest.mark.parametrize(("thoughts", "before", "learned"), [
    ("learned", "", "hm</think>\n\n"), ("read", "hm</think>\n\n", ""), ("left_out", "", ""),
])  # fmt: skip
def test_training_reads_what_the_model_said(thoughts: Any, before: str, learned: str) -> None:
    tokenizer = fast(OPENED)
    thought = "hm</think>\n\n"
    mark = tokenizer.convert_tokens_to_ids("</think>")
    pairs = frame([pair("q", "yes", "no", chosen_thought=thought, rejected_thought=None)])
    listed = lists([{**ranked("q", ["yes", "no"], [1.0, 0.0])}])
    first = listed["items"][0][0]["item_id"]
    with_thoughts = listed.with_columns(
        thoughts=pl.Series(
            [[{"item_id": first, "thought": thought}]], dtype=listed.schema["thoughts"]
        )
    )
    rows = singles([single("q", "yes", True)]).with_columns(thought=pl.lit(thought))
    for table in (pairs, with_thoughts, rows):
        (example,) = tokenize(table, tokenizer, 256, thoughts=thoughts).examples
        context, text = example.texts[0]
        wanted_context = BARE if thoughts == "left_out" else CONTEXT + before
        assert tokenizer.decode(context) == wanted_context
        assert tokenizer.decode(text) == learned + "yes<|im_end|>"
        wanted = 0 if thoughts == "left_out" else 1
        assert (*context, *text).count(mark) == wanted  # a mark is the token that it was
    context, text = tokenize(pairs, tokenizer, 256, thoughts=thoughts).examples[0].texts[1]
    assert (tokenizer.decode(context), tokenizer.decode(text)) == (BARE, "no<|im_end|>")


def test_a_thought_before_a_shared_prefix_is_context() -> None:
    tokenizer = fast(OPENED)
    row = pair(
        "q", "yes", "no", prefix="So ", chosen_thought="hm</think>", rejected_thought="hm</think>"
    )
    (example,) = tokenize(frame([row]), tokenizer, 256).examples
    assert tokenizer.decode(example.texts[0][0]) == CONTEXT + "hm</think>So "
    assert tokenizer.decode(example.texts[0][1]) == "yes<|im_end|>"
    assert example.texts[0][0] == example.texts[1][0]


@pytest.mark.parametrize("thoughts", ["learned", "read", "left_out"])
def test_the_budget_counts_the_tokens_that_are_learned(
    thoughts: Any, tmp_path: Path, lake: Lake
) -> None:
    fast(OPENED).save_pretrained(tmp_path / "tokenizer")
    renderer = Renderer(tmp_path / "tokenizer")
    pairs = frame([pair("q", "yes", "no", chosen_thought=RIGHT, rejected_thought=None)])
    (example,) = tokenize(pairs, renderer.tokenizer, 256, thoughts=thoughts).examples
    counted = with_tokens(pairs, renderer, thoughts)
    assert counted.select("chosen_tokens", "rejected_tokens").row(0) == tuple(
        len(text) for _, text in example.texts
    )
    training = SETTINGS.training.model_copy(update={"thoughts": thoughts})
    settings = SETTINGS.model_copy(update={"training": training})
    rows = texts(lake, config.load("quick"), BCO)
    lake.write("unpaired", rows, Commit("test"))
    budget = training_rows(lake, "bco", renderer.length, settings).sort("row_id")
    read = tokenize(rows.sort("unpaired_id"), renderer.tokenizer, 256, thoughts=thoughts)
    assert budget["text_tokens"].to_list() == [len(one.texts[0][1]) for one in read.examples]


# "yes" and the end of the turn, sampled in ids that its text does not give: y, e, s apart are what
# it gives, so these stand for a longer token's.
ODD = [300, 301, 258]


def test_a_response_is_trained_in_the_tokens_that_were_sampled() -> None:
    tokenizer = fast(OPENED)
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    ids = [*ODD[:2], end]
    row = pair("q", "yes", "no", chosen_token_ids=ids, rejected_token_ids=None)
    (example,) = tokenize(frame([row]), tokenizer, 256).examples
    assert [text for _, text in example.texts][0] == tuple(ids)  # with one end, and its own
    single_ = singles([single("q", "yes", True)]).with_columns(
        token_ids=pl.Series([ids[:2]], dtype=pl.List(pl.Int64))
    )
    (example,) = tokenize(single_, tokenizer, 256).examples
    assert example.texts[0][1] == tuple(ids)  # it ends, by another draw of the same text
    thinking = pair(
        "q", "yes", "no", chosen_token_ids=ids, rejected_token_ids=None,
        chosen_thought="hm</think>", rejected_thought=None,
    )  # fmt: skip
    (example,) = tokenize(frame([thinking]), tokenizer, 256, thoughts="read").examples
    assert tokenizer.decode(example.texts[0][1]) == "yes<|im_end|>"  # the ids hold the thought too


def test_token_ids_go_with_their_side(lake: Lake) -> None:
    odd = lake.read("responses").with_columns(
        token_ids=pl.when(pl.col("text") == "7").then(pl.lit(ODD, dtype=pl.List(pl.Int64)))
    )
    lake.write("responses", odd, Commit("test"))
    outcome = build("outcome", lake, SETTINGS)
    lake.write("preferences", outcome, Commit("test"), partition={"variant": "outcome"})
    noise = SETTINGS.noise.model_copy(update={"source": "outcome", "inject": 1.0})
    flipped = voted_on(lake, SETTINGS.model_copy(update={"noise": noise}))
    assert flipped.select("chosen_token_ids", "rejected_token_ids").row(0) == (None, ODD)
    assert texts(lake, config.load("quick"), BCO).sort("text")["token_ids"].to_list() == [ODD, None]
