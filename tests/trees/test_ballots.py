"""Leaves of trees that were voted on, in the order of the votes: each worked out by hand."""

import random
from collections.abc import Sequence
from typing import Any

import pytest

from pipeline.preferences.lists import ranked_lists
from pipeline.trees.ballots import placed
from pipeline.trees.forest import plant
from pipeline.trees.paths import best, paths
from tests.trees.mazes import JudgingEngine, thoughts
from tests.trees.test_best_first import prompt_rows


def node(name: str, value: float, parent: str = "root", draw: int = 0) -> dict[str, Any]:
    return {"node_id": name, "parent_id": parent, "value": value, "draw": draw}


def tiers(*nodes: dict[str, Any]) -> list[set[str]]:
    """The leaves with equal places, the worst first; their places are k / (n + 1)."""
    values = placed(nodes)
    levels = sorted(set(values.values()))
    assert levels == pytest.approx(
        [place / (len(levels) + 1) for place in range(1, len(levels) + 1)]
    )
    return [{leaf for leaf, value in values.items() if value == level} for level in levels]


def test_one_group_is_ordered_by_its_votes() -> None:
    assert tiers(node("a", 0.5), node("b", 0.2), node("c", 0.2), node("d", 0.1)) == [
        {"d"},
        {"b", "c"},
        {"a"},
    ]
    assert placed([]) == {}


def test_a_later_vote_stands_above_what_was_voted_out_before_whatever_the_shares() -> None:
    first = node("a", 0.3), node("b", 0.27), node("c", 0.22), node("d", 0.21)
    # one group
    second = (
        node("aa", 0.4, "a"),
        node("ab", 0.25, "a"),
        node("ba", 0.2, "b"),
        node("bb", 0.15, "b"),
    )
    assert tiers(*first, *second) == [{"d"}, {"c"}, {"bb"}, {"ba"}, {"ab"}, {"aa"}]


def test_a_finished_thought_stands_where_its_own_vote_put_it() -> None:
    second = node("aa", 0.9, "a"), node("ab", 0.1, "a")
    assert tiers(node("end", 0.6), node("a", 0.4), *second) == [{"ab"}, {"aa"}, {"end"}]
    assert tiers(node("end", 0.4), node("a", 0.6), *second) == [{"end"}, {"ab"}, {"aa"}]


def test_a_leaf_that_no_vote_sets_apart_from_what_went_on_has_no_place() -> None:
    second = node("aa", 0.9, "a"), node("ba", 0.1, "b")
    assert tiers(node("a", 0.4), node("tied", 0.4), node("b", 0.2), *second) == [{"ba"}, {"aa"}]
    # Above b and below a: aa may come from the one and ba from the other.
    assert tiers(node("a", 0.5), node("between", 0.3), node("b", 0.2), *second) == [{"ba"}, {"aa"}]


def test_votes_among_siblings_compare_paths_where_they_part() -> None:
    """Depth-first: the votes below a and below b are two groups, each of which sums to 1."""
    first = node("a", 0.5), node("b", 0.3), node("c", 0.2)
    below = node("aa", 0.6, "a"), node("ab", 0.4, "a"), node("ba", 0.9, "b"), node("bb", 0.1, "b")
    assert tiers(*first, *below) == [{"c"}, {"bb"}, {"ba"}, {"ab"}, {"aa"}]


def test_the_best_path_and_the_list_of_a_tree_follow_the_votes() -> None:
    """A judge that is always right: a over d and 7 over every other answer.

    Eight shares are smaller than four.
    """

    def script(prefix: str, sampling: object, n: int) -> str:
        below = {"": ["a\n", "b\n", "c\n", "d\n"], "a\n": ["#### 7", "#### 8", "#### 9", "#### 6"]}
        return below.get(prefix, ["#### 1", "#### 2", "#### 3", "#### 5"])[n]

    weights = {"a": 1.3, "b": 1.1, "c": 1.0, "d": 0.9, "a\n#### 7": 1.4}

    def judge(text: str, words: Sequence[str]) -> list[float]:
        shown = text.split("Beginnings of a solution:\n")[1].split("\n\nWhich one")[0].split("\n\n")
        given = [weights.get(choice.split("\n", 1)[1], 1.0) for choice in shown]
        return [weight / sum(given) for weight in given]

    prompts = prompt_rows("3 + 4")
    rows, _ = plant(
        JudgingEngine(script, judge), prompts, thoughts(value="vote", children=4, max_depth=3), 1
    )
    top = best(paths(rows.to_dicts()))
    assert top is not None and top.text == "a\n#### 7"
    (row,) = ranked_lists(rows, prompts, size=20)[0].to_dicts()
    found = [(item["text"], round(item["value"], 6)) for item in row["items"]]
    # c and d have the places 0.4 and 0.2, but nothing finishes them
    assert found[0] == ("a\n#### 7", 0.8)
    assert {value for _, value in found[1:]} == {0.6} and len(found) == 8


@pytest.mark.parametrize("seed", range(10))
def test_a_judge_with_a_favourite_seat_and_no_opinion_orders_nothing(seed: int) -> None:
    drawn = [random.Random(f"{seed} {seat}").random() for seat in range(5)]
    seats = [share / sum(drawn) for share in drawn]

    def script(prefix: str, sampling: object, n: int) -> str:
        return ["a\n", "b\n", "c\n", "d\n", "e\n"][n]

    settings = thoughts(value="vote", children=5, max_depth=1, max_expansions=1)
    prompts = prompt_rows("3 + 4", verifier=None)
    rows, _ = plant(JudgingEngine(script, lambda text, words: seats), prompts, settings, 1)
    assert rows.filter(rows["kind"] == "step")["value"].n_unique() == 1
    lists, (reject,) = ranked_lists(rows, prompts, 5)
    assert lists.is_empty() and reject.reason.startswith("no order")
