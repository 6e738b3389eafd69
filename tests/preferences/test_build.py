"""Pairs worked out by hand from a small tree and a few responses."""

import math
from pathlib import Path

import polars as pl
import pytest

from pipeline import config, tables
from pipeline.config import Settings
from pipeline.errors import OrchardError
from pipeline.preferences.build import build
from pipeline.preferences.controls import flip_half
from pipeline.preferences.exchange import exchange, mislabel
from pipeline.store import Commit, Lake

SETTINGS = config.load("quick")


def frame(table: str, rows: list[dict[str, object]], **common: object) -> pl.DataFrame:
    return pl.DataFrame([{**common, **row} for row in rows], schema=tables.empty(table).schema)


def node(node_id: str, value: float | None, text: str = "", **more: object) -> dict[str, object]:
    n_correct = round((value or 0) * 8)
    return {
        "node_id": node_id,
        "value": value,
        "text": text or node_id,
        "n_correct": n_correct,
        **more,
    }


def with_preferences(**changes: object) -> Settings:
    own = SETTINGS.preferences.model_copy(update=changes)
    return SETTINGS.model_copy(update={"preferences": own})


@pytest.fixture
def lake(tmp_path: Path) -> Lake:  # the quick profile's margin is 3/8
    lake = Lake(tmp_path)
    prompts = [
        {
            "prompt_id": f"p{i}",
            "split": "train",
            "messages": [{"role": "user", "content": f"question {i}"}],
        }
        for i in (1, 2)
    ]
    pool = {
        "pool": "x",
        "task": "x",
        "answer": "7",
        "verifier": "number",
        "source": "test",
        "licence": "none",
    }
    step = {
        "tree_id": "t", "prompt_id": "p1", "policy_id": "m", "method": "best_first", "kind": "step",
        "parent_id": "root", "depth": 1, "draw": 0, "prefix": "", "n_rollouts": 8,
        "terminal": False, "merged": 1, "tokens": 1, "valuation": "rollouts",
    }  # fmt: skip
    nodes = [
        node("root", None, kind="root", parent_id=None, depth=0, n_rollouts=0, valuation=None),
        node("a", 1.0),
        node("b", 0.625),  # exactly 3/8 below a
        node("c", 0.25),  # exactly 3/8 below b
        node("d", 0.25),  # equal to c: no pair
        node("e", None, valuation=None),  # never valued: no pair
        node("a1", 0.5, parent_id="a", depth=2, prefix="a"),
        node("b1", 0.0, parent_id="b", depth=2, prefix="b"),  # another parent: no pair with a1
        node("a+", None, " right", kind="rollout", parent_id="a", correct=True, terminal=True),
        node("c-", None, " wrong", kind="rollout", parent_id="c", correct=False, terminal=False),
    ]
    lake.write("prompts", frame("prompts", prompts, **pool), Commit("test"))
    lake.write("tree_nodes", frame("tree_nodes", nodes, **step), Commit("test"))
    response = {
        "policy_id": "m", "on_policy": True, "draw": 0, "sampling": "{}", "tokens": 1,
        "prompt_tokens": 1, "logprob_mean": -1.0, "finish_reason": "stop",
    }  # fmt: skip
    responses = [
        {"response_id": "r1", "prompt_id": "p1", "text": "7", "correct": True},
        {"response_id": "r2", "prompt_id": "p1", "text": "8", "correct": False},
        # the same text again: counts once
        {"response_id": "r3", "prompt_id": "p1", "text": "8", "correct": False},
        {"response_id": "r4", "prompt_id": "p1", "text": "it is 7", "correct": True},
        # no wrong partner of its own prompt
        {"response_id": "r5", "prompt_id": "p2", "text": "7", "correct": True},
    ]
    lake.write("responses", frame("responses", responses, **response), Commit("test"))
    return lake


def test_siblings_at_least_the_margin_apart_make_pairs_and_nothing_else_does(lake: Lake) -> None:
    pairs = build("tree_plv", lake, with_preferences(max_pairs_per_prompt=9))
    found = {(r["chosen_id"], r["rejected_id"]): r["margin"] for r in pairs.to_dicts()}
    assert found == {
        ("a", "b"): 0.375,
        ("a", "c"): 0.75,
        ("a", "d"): 0.75,
        ("b", "c"): 0.375,
        ("b", "d"): 0.375,
    }
    strength = {(r["chosen_id"], r["rejected_id"]): r["strength"] for r in pairs.to_dicts()}
    # One tree says little: the plug-in, v+ (1 - v-) / (v+ (1 - v-) + v- (1 - v+)), says 0.83 of b
    # over c, and 1 of a over all.
    assert 0.5 < strength["b", "c"] == strength["b", "d"] < 0.75
    assert strength["a", "b"] < strength["a", "c"] == strength["a", "d"] < 0.95
    assert set(pairs["depth"]) == {0} and set(pairs["level"]) == {"step"}
    good, bad = tables.Preferences.filter(pairs)
    assert good.height == 5 and not bad.counts()
    few = build("tree_plv", lake, with_preferences(max_pairs_per_prompt=2))
    assert few.height == 2 and set(few["pair_id"]) < set(pairs["pair_id"])


def test_a_continuation_takes_the_winners_right_and_the_losers_wrong_rollout(lake: Lake) -> None:
    pairs = build(
        "tree_plv", lake, with_preferences(continuation="rollout", max_pairs_per_prompt=9)
    )
    row = pairs.filter((pl.col("chosen_id") == "a") & (pl.col("rejected_id") == "c")).to_dicts()[0]
    assert (row["chosen"], row["rejected"], row["chosen_ends"], row["rejected_ends"]) == (
        "a right",
        "c wrong",
        True,
        False,
    )
    other = pairs.filter((pl.col("chosen_id") == "b") & (pl.col("rejected_id") == "d")).to_dicts()[
        0
    ]
    # no rollout of the wanted verdict: the step alone
    assert (other["chosen"], other["rejected"]) == ("b", "d")


def test_outcome_pairs_stay_within_a_prompt_and_count_equal_texts_once(lake: Lake) -> None:
    pairs = build("outcome", lake, SETTINGS)
    assert pairs.select("prompt_id", "chosen", "rejected").rows() == [("p1", "7", "8")]
    assert pairs["chosen_ends"].to_list() == [True]


def test_the_control_exchanges_exactly_half_and_keeps_the_same_sides(lake: Lake) -> None:
    real, control = build("tree_plv", lake, SETTINGS), build("tree_plv_shuffled", lake, SETTINGS)
    assert control["flipped"].sum() == real.height // 2
    sides = {frozenset(row) for row in real.select("chosen", "rejected").rows()}
    assert {frozenset(row) for row in control.select("chosen", "rejected").rows()} == sides
    keys = pl.concat_list("chosen_id", "rejected_id").list.sort().alias("sides")
    claimed = [rows.sort(keys).select("strength", "margin").rows() for rows in (real, control)]
    assert claimed[0] == claimed[1]  # the wrong label is as sure as the right one was


def test_under_a_soft_loss_a_wrong_label_costs_what_it_claims() -> None:
    # One pair of P(chosen is better) 0.9, whose chosen text's log-ratio is 1 nat above the other's.
    common = {
        "prompt_id": "p",
        "split": "train",
        "chosen_ends": True,
        "rejected_ends": True,
        "strength": 0.9,
    }
    sides = {
        "chosen": "good",
        "rejected": "bad",
        "chosen_id": "g",
        "rejected_id": "b",
        "margin": 2.0,
    }
    pair = pl.DataFrame([{**common, **sides}])

    def loss(rows: pl.DataFrame) -> float:
        (row,) = rows.to_dicts()
        h = 1.0 if row["chosen"] == "good" else -1.0
        return row["strength"] * math.log1p(math.exp(-h)) + (1 - row["strength"]) * math.log1p(
            math.exp(h)
        )

    every = pl.Series([True])
    wrong = mislabel(pair, every)
    # 0.8 * [log(1 + e) - log(1 + 1/e)] = 0.8, where the exchange of the strength too leaves the
    # same number.
    assert loss(wrong) - loss(pair) == pytest.approx(0.8) and loss(
        exchange(pair, every)
    ) == pytest.approx(loss(pair))
    assert wrong.select("chosen_id", "margin", "flipped").rows() == [("b", 2.0, True)]


def test_which_half_is_exchanged_does_not_depend_on_the_order_of_rows(lake: Lake) -> None:
    real = build("tree_plv", lake, SETTINGS)
    flipped = [set(flip_half(rows).filter("flipped")["pair_id"]) for rows in (real, real.reverse())]
    assert flipped[0] == flipped[1]


def test_an_unknown_variant_lists_the_known_ones(lake: Lake) -> None:
    says = "unknown variant 'tree': use one of .*outcome, outcome_shuffled, .*tree_plv"
    with pytest.raises(OrchardError, match=says):
        build("tree", lake, SETTINGS)


def test_no_trees_and_no_responses_give_no_pairs(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    for name in ("outcome", "tree_plv", "tree_plv_shuffled"):
        assert build(name, lake, SETTINGS).is_empty()
