"""Ranked lists of a small tree's paths, worked out by hand."""

import numpy as np
import polars as pl
import pytest

from pipeline import tables
from pipeline.preferences.lists import (
    LISTS,
    chosen_items,
    endings,
    of_variant,
    ranked,
    ranked_lists,
    renumbered,
    reward_factors,
    shuffle,
)
from pipeline.trees.similarity import Embed, States, centred, step_rewards
from tests.preferences.forest import GROWN, PROMPTS, build_lists, frame


def ids(items: list[dict[str, object]]) -> list[tuple[object, object, object]]:
    return [(item["item_id"], item["value"], item["rank"]) for item in items]


def test_every_leaf_is_a_finished_item_and_equal_values_share_a_rank() -> None:
    lists, rejects = ranked_lists(GROWN, PROMPTS, size=10)
    (row,) = lists.to_dicts()
    assert ids(row["items"]) == [
        ("a1", 1.0, 0),
        ("a3.0", 0.5, 1),
        ("b.1", 0.5, 1),
        ("a2.1", 0.25, 2),
        ("c.1", 0.0, 3),
    ]
    assert all(item["ends"] for item in row["items"])
    assert [item["text"] for item in row["items"]] == [
        "a\nis 7",
        "a\na3\nso 7",
        "b\nso 7",
        "a\na2\nso 8",
        "c\nso 9",
    ]
    assert row["items"][2]["steps"][-1] == {"text": "so 7", "value": None, "reward": None}
    best = row["items"][0]
    assert best["text"] == "a\nis 7" and best["ends"] and best["reward"] is None
    assert best["steps"] == [
        {"text": "a\n", "value": 0.75, "reward": None},
        {"text": "is 7", "value": 1.0, "reward": None},
    ]
    # The other tree's paths are all wrong: it orders nothing.
    assert [(reject.row_id, reject.reason) for reject in rejects] == [
        ("flat", "no order: no two of the tree's finished responses differ in value")
    ]


def test_values_that_differ_by_their_rounding_alone_are_ties() -> None:
    third = (
        pl.when(pl.col("node_id") == "b").then(0.33333333333333337).otherwise(0.3333333333333333)
    )
    kept = GROWN.filter(pl.col("node_id").str.contains("^(root|b|c)"))
    lists, (reject,) = ranked_lists(kept.with_columns(value=third), PROMPTS, size=5)
    assert lists.is_empty() and reject.reason.startswith("no order")


def test_the_order_of_rows_does_not_matter() -> None:
    lists, _ = build_lists(GROWN, PROMPTS, ["best_first"], 4, None)
    again, _ = build_lists(GROWN.reverse(), PROMPTS.reverse(), ["best_first"], 4, None)
    assert lists.equals(again) and lists.height == 3
    good, bad = tables.PreferenceLists.filter(lists)
    assert good.height == 3 and not bad.counts()


def test_a_shorter_list_keeps_the_best_the_worst_and_the_spread() -> None:
    items = ranked([{"item_id": str(v), "value": v} for v in (1.0, 0.9, 0.85, 0.5, 0.1, 0.0)])
    assert [item["value"] for item in chosen_items(items, 2)] == [1.0, 0.0]
    assert [item["value"] for item in chosen_items(items, 3)] == [1.0, 0.5, 0.0]
    chosen = chosen_items(items, 4)  # 0.85 is 0.15 from its nearest, 0.9 and 0.1 only 0.1
    assert [(item["value"], item["rank"]) for item in chosen] == [
        (1.0, 0),
        (0.85, 1),
        (0.5, 2),
        (0.0, 3),
    ]


def test_the_same_text_counts_once_and_the_one_that_the_search_finished_stays() -> None:
    kept = GROWN.filter(pl.col("node_id").str.contains("^(root|b|c)"))
    twin = kept.filter(pl.col("node_id") == "b").with_columns(
        node_id=pl.lit("z"), text=pl.lit("b\nso 7 "), terminal=True
    )
    lists, _ = ranked_lists(pl.concat([kept, twin]), PROMPTS, size=5)
    assert ids(lists["items"][0].to_list()) == [("z", 0.5, 0), ("c.1", 0.0, 1)]
    other = twin.with_columns(text=pl.lit("so 7"))  # of equal value: it comes first
    lists, _ = ranked_lists(pl.concat([kept, other]), PROMPTS, size=5)
    assert ids(lists["items"][0].to_list()) == [("z", 0.5, 0), ("b.1", 0.5, 0), ("c.1", 0.0, 1)]


def test_a_leaf_that_no_fitting_rollout_finishes_is_no_item() -> None:
    """a2 is wrong in three of four, and its only rollouts that end are right or think anew."""
    thinks = pl.when(pl.col("node_id") == "a2.1").then(pl.lit("<think>so</think>"))
    ends = pl.col("terminal") & ~pl.col("node_id").is_in(["a2.2", "a2.3"])
    lists, _ = ranked_lists(GROWN.with_columns(thought=thinks, terminal=ends), PROMPTS, size=10)
    assert [i["item_id"] for i in lists["items"][0].to_list()] == ["a1", "a3.0", "b.1", "c.1"]
    without, (first, _) = ranked_lists(GROWN.filter(pl.col("kind") != "rollout"), PROMPTS, size=10)
    assert without.is_empty() and first.reason.startswith("no order")
    assert endings(lists) == {"share_of_items_that_end": 1, "share_completed_by_a_rollout": 0.75}


def test_a_shuffled_list_has_the_same_items_and_values_in_another_match() -> None:
    real, _ = ranked_lists(GROWN, PROMPTS, size=10)
    mixed = shuffle(real)
    before, after = real["items"][0].to_list(), mixed["items"][0].to_list()
    assert [(i["value"], i["rank"]) for i in after] == [(i["value"], i["rank"]) for i in before]
    assert {i["item_id"] for i in after} == {i["item_id"] for i in before}
    assert {i["item_id"]: i["text"] for i in after} == {i["item_id"]: i["text"] for i in before}
    many = pl.concat([real.with_columns(prompt_id=pl.lit(f"p{n}")) for n in range(300)])
    firsts = [items[0]["item_id"] for items in shuffle(many)["items"].to_list()]
    # 60 expected each
    assert all(30 < firsts.count(name) < 90 for name in ("a1", "a2.1", "a3.0", "b.1", "c.1"))


def test_lists_have_a_name_and_a_control() -> None:
    assert {name for name, variant in LISTS.items() if variant.shuffled} == {
        "tpo_shuffled",
        "tpo_tot_shuffled",
    }
    lists, _ = build_lists(GROWN, PROMPTS, ["best_first", "tot"], 5, None)
    # there are no trees of thoughts here
    assert sorted(lists["variant"]) == ["tpo", "tpo_no_rewards", "tpo_shuffled"]
    assert lists["list_id"].n_unique() == 3


def test_step_rewards_are_one_plus_the_cosine_to_the_step_in_the_same_place() -> None:
    reference = np.array([[1.0, 0.0], [0.0, 2.0]])
    assert step_rewards(reference, reference) == pytest.approx([2, 2])
    assert step_rewards(-reference, reference) == pytest.approx([0, 0])
    assert step_rewards(np.array([[0.0, 3.0], [1.0, 1.0]]), reference) == pytest.approx(
        [1, 1 + 0.5**0.5]
    )
    assert step_rewards(np.zeros((1, 2)), reference[:1]) == [1.0]  # nothing to compare: cosine 0
    # Steps beyond the shorter path belong to its last: (0, 1) + (1, 0) against (0, 2).
    longer = np.array([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    assert step_rewards(longer, reference) == pytest.approx([2, 1 + 0.5**0.5, 1 + 0.5**0.5])
    # A shorter path: its one step against the sum of the reference's, (1, 2).
    assert step_rewards(np.array([[1.0, 0.0]]), reference) == pytest.approx([1 + 5**-0.5])


def embedding(shift: float) -> Embed:
    """States of known steps, one token each, that share a direction of this length."""
    one = {"a\n": [1.0, 0.0], "b\n": [0.0, 1.0], "is 7": [0.0, 1.0]}

    def embed(messages, paths) -> list[States]:  # type: ignore[no-untyped-def]
        assert messages[0]["content"] == "3 + 4"
        return [
            States(
                np.array([[*one.get(step, [1.0, 1.0]), shift] for step in steps]),
                np.ones(len(steps), dtype=np.int64),
            )
            for steps in paths
        ]

    return embed


@pytest.mark.parametrize("shift", [0.0, 20.0])
def test_a_lists_rewards_compare_with_its_best_item_whatever_all_states_share(shift: float) -> None:
    lists, _ = ranked_lists(GROWN, PROMPTS, size=10, embed=embedding(shift))
    items = {item["item_id"]: item for item in lists["items"][0].to_list()}
    # 12 steps: (1, 0) of a three times, (0, 1) of "is 7" and of b, (1, 1) of seven others.
    mean = np.array([10 / 12, 9 / 12])

    def cosine(one: list[float], other: list[float], n: int = 1) -> float:
        first, second = np.array(one) - n * mean, np.array(other) - mean
        return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))

    assert items["a1"]["reward"] == pytest.approx(2)
    rewards = [step["reward"] for step in items["b.1"]["steps"]]
    assert rewards == pytest.approx([1 + cosine([0, 1], [1, 0]), 1 + cosine([1, 1], [0, 1])])
    # a2 and its rest count as the second step
    rewards = [step["reward"] for step in items["a2.1"]["steps"]]
    assert rewards == pytest.approx([2, *[1 + cosine([2, 2], [0, 1], 2)] * 2])


def test_centred_states_spread_the_factors_that_plain_ones_do_not() -> None:
    lists, _ = ranked_lists(GROWN, PROMPTS, size=10, embed=embedding(20.0))
    found = reward_factors(lists)
    assert found["reward_factor_lowest"] < 0.9 and found["reward_factor_highest"] > 1.2  # type: ignore[operator]
    one, other = np.array([[1.0, 0.0, 20.0]]), np.array([[0.0, 1.0, 20.0]])
    assert step_rewards(one, other)[0] > 1.99  # as of nearly equal steps
    apart = centred([States(one, np.array([1])), States(other, np.array([1]))])
    assert step_rewards(*apart) == [pytest.approx(0)]
    plain = of_variant(lists, "tpo_no_rewards")
    assert set(reward_factors(plain).values()) == {None}
    (before,), (after,) = lists["items"].to_list(), plain["items"].to_list()
    assert [{**item, "reward": None, "steps": None} for item in before] == [
        {**item, "steps": None} for item in after
    ]


def test_restarted_step_numbers_are_put_right_and_other_texts_left() -> None:
    assert renumbered(["Step 1: a\n", "Step 1: b\n", "step 2: c"]) == [
        "Step 1: a\n",
        "Step 2: b\n",
        "step 3: c",
    ]
    assert renumbered(["**Step 3**: a", "no label", "Step 1. b"]) == [
        "**Step 3**: a",
        "no label",
        "Step 4. b",
    ]
    assert renumbered(["4 + 3 = 7\n", "The answer is 7."]) == ["4 + 3 = 7\n", "The answer is 7."]


@pytest.mark.parametrize(
    "steps",
    [
        ["Step 1: add\nStep 2: carry\n\n", "Step 3: done"],  # two labels in one step
        # no label
        ["Step 1: take 3\n", "Step 2: as found in\n", "step 1 above, 3 + 4 = 7\n", "Step 3: so 7"],
        ["Step 2 is easy: 4\n", "Step 4: so 4"],
        ["Step 1: a\n", "then b\n", "Step 3: c"],  # one without a label
        ["Step 0: a\n", "Step 1: b\n"],
    ],
)
def test_right_step_numbers_are_left_alone(steps: list[str]) -> None:
    assert renumbered(steps) == steps


def test_labels_inside_a_step_are_put_right_too() -> None:
    steps = ["Step 1: a\nStep 2: b\n\n", "Step 1: c\nStep 2: d\n\n", "Step 3: e"]
    assert renumbered(steps) == [
        "Step 1: a\nStep 2: b\n\n",
        "Step 3: c\nStep 4: d\n\n",
        "Step 5: e",
    ]


def test_no_trees_give_no_lists() -> None:
    lists, rejects = build_lists(tables.empty("tree_nodes"), PROMPTS, ["best_first"], 5, None)
    assert lists.is_empty() and not rejects
    assert lists.schema == frame("preference_lists", []).schema
