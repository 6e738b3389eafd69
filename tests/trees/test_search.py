"""Searches of tree of thoughts in a maze whose values, expansions and ends are known."""

import pytest
from pydantic import ValidationError

from pipeline.config import ThoughtSettings, TreeSettings
from pipeline.engine.base import Sampling
from pipeline.trees.node import Node
from tests.scripted import ScriptedEngine
from tests.trees.mazes import expanded, grown, maze, thoughts


def search(**settings: object) -> list[Node]:
    return grown(thoughts(**settings), ScriptedEngine(maze))


def test_breadth_first_expands_the_best_of_each_depth() -> None:
    nodes = search(search="breadth_first", beam=2, max_depth=3)
    # Of b's and a's children aa has 1.0; bb and ab share 0.25, and bb was drawn earlier.
    assert expanded(nodes) == ["", "b\n", "a\n", "a\naa\n", "b\nbb\n"]
    values = {node.whole: (node.value, node.valuation) for node in nodes if node.kind == "step"}
    assert values["a\naa\n"] == (1.0, "rollouts") and values["b\nba\n"] == (0.0, "rollouts")
    assert values["a\naa\n#### 7"] == (1.0, "answer") and values["a\naa\n#### 8"] == (0.0, "answer")
    assert len(values) == 10 and sum(node.kind == "rollout" for node in nodes) == 4 * 8
    assert {node.method for node in nodes} == {"tot"}


def test_a_beam_of_one_is_led_astray_where_a_beam_of_two_is_not() -> None:
    one = search(search="breadth_first", beam=1, max_depth=3)
    assert expanded(one) == ["", "b\n", "b\nbb\n"]
    assert not any(node.correct for node in one if node.kind == "step")


def test_breadth_first_stops_within_a_level_when_the_budget_is_spent() -> None:
    assert expanded(search(search="breadth_first", beam=2, max_expansions=2)) == ["", "b\n"]


def test_depth_first_prunes_turns_back_and_ends_at_the_first_finished_thought() -> None:
    nodes = search(search="depth_first", threshold=0.25)
    assert expanded(nodes) == ["", "b\n", "b\nbb\n", "a\n", "a\naa\n"]
    nodes = search(search="depth_first", threshold=0.3)  # bb is pruned now
    assert expanded(nodes) == ["", "b\n", "a\n", "a\naa\n"]
    assert expanded(search(search="depth_first", threshold=0.8)) == [""]


def test_depth_first_takes_the_earlier_of_two_equals() -> None:
    def equal(prefix: str, sampling: Sampling, n: int) -> str:
        return (["b\n", "a\n"] if not prefix else ["#### 7", "c\n"])[n] if sampling.stop else "7"

    nodes = grown(thoughts(search="depth_first"), ScriptedEngine(equal))
    assert expanded(nodes) == ["", "b\n"]


def test_best_first_expands_the_best_open_thought_anywhere() -> None:
    nodes = search(search="best_first", max_expansions=4)
    assert expanded(nodes) == ["", "b\n", "a\n", "a\naa\n"]


@pytest.mark.parametrize(
    ("kind", "parents"),
    [
        # aa is 4 of 4, ba 0 of 4: neither is expanded. Breadth-first keeps its place in the beam.
        ("breadth_first", ["", "b\n", "a\n", "b\nbb\n"]),
        ("best_first", ["", "b\n", "a\n", "b\nbb\n", "a\nab\n"]),
        ("depth_first", ["", "b\n", "b\nbb\n", "a\n"]),  # at aa it ends
    ],
)
def test_a_step_whose_value_is_decided_is_not_expanded(kind: str, parents: list[str]) -> None:
    assert expanded(search(search=kind, skip_decided=True, max_depth=3)) == parents


def test_greedy_ends_at_a_decided_step_and_two_rollouts_decide_nothing() -> None:
    def sure(prefix: str, sampling: Sampling, n: int) -> str:
        if not sampling.stop:
            return "7" if prefix.startswith("a") or n == 0 else "8"
        return ["a\n", "b\n"][n]

    for rollouts, n in ((4, 1), (2, 3)):
        settings = TreeSettings(children=2, rollouts=rollouts, max_depth=9, max_expansions=3)
        assert len(expanded(grown(settings, ScriptedEngine(sure)))) == n


@pytest.mark.parametrize("kind", ["breadth_first", "depth_first", "best_first", "branches"])
def test_no_budget_and_one_thought_and_a_silent_model_end_every_search(kind: str) -> None:
    assert len(search(search=kind, max_expansions=0)) == 1
    assert len(search(search=kind, max_tokens=0)) == 1
    assert [node.kind for node in search(search=kind, children=1, max_expansions=1)].count(
        "step"
    ) == 1
    settings = thoughts(search=kind)
    assert len(grown(settings, ScriptedEngine(lambda prefix, sampling, n: ""))) == 1


def test_a_model_that_repeats_itself_is_not_followed_round_and_round() -> None:
    def circle(prefix: str, sampling: Sampling, n: int) -> str:
        return "again\n" if sampling.stop else "7"

    nodes = grown(thoughts(search="depth_first"), ScriptedEngine(circle))
    assert expanded(nodes) == ["", "again\n"]  # its child says the same: valued, but not expanded


def test_a_model_that_never_ends_a_step_is_cut_and_bounded_by_depth() -> None:
    class Endless(ScriptedEngine):
        def _complete(self, text, sampling):  # type: ignore[no-untyped-def]
            from dataclasses import replace

            return replace(super()._complete(text, sampling), finish_reason="length")

    def words(prefix: str, sampling: Sampling, n: int) -> str:
        return f" on{len(prefix)}{n} and"

    nodes = grown(thoughts(search="best_first", max_depth=2), Endless(words))
    steps = [node for node in nodes if node.kind == "step"]
    assert max(step.depth for step in steps) == 2 and not any(step.terminal for step in steps)


def test_a_model_that_answers_before_reasoning_ends_there() -> None:
    def hasty(prefix: str, sampling: Sampling, n: int) -> str:
        return "#### 7\nbecause 3 + 4 is 7"

    nodes = grown(thoughts(), ScriptedEngine(hasty))
    assert [(n.text, n.terminal, n.value) for n in nodes if n.kind == "step"] == [
        ("#### 7", True, 1.0)
    ]


def test_a_probe_decides_about_rollouts_or_a_tree_and_no_step_reads_it() -> None:
    def hard(prefix: str, sampling: Sampling, n: int) -> str:
        return ["a\n", "b\n"][n] if sampling.stop else ("7" if prefix and n == 9 else "8")

    settings = thoughts(probe=5, if_flat="more", flat_rollouts=10)
    nodes = grown(settings.model_copy(update={"max_expansions": 1}), ScriptedEngine(hard))
    assert (nodes[0].n_rollouts, nodes[0].n_correct, nodes[0].value) == (5, 0, 0.0)
    assert [(n.n_rollouts, n.value) for n in nodes if n.kind == "step"] == [(10, 0.1), (10, 0.1)]
    skipped = grown(settings.model_copy(update={"if_flat": "skip"}), ScriptedEngine(hard))
    assert [node.kind for node in skipped] == ["root"] + ["rollout"] * 5
    kept = grown(
        settings.model_copy(update={"if_flat": "keep", "max_expansions": 1}), ScriptedEngine(hard)
    )
    assert [n.n_rollouts for n in kept if n.kind == "step"] == [4, 4]


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValidationError, match="votes compare one group only"):
        ThoughtSettings(search="best_first", value="vote")
    with pytest.raises(ValidationError, match="a vote over 27 thoughts: at most 26 have a letter"):
        ThoughtSettings(children=9, beam=3, value="vote")
    with pytest.raises(ValidationError, match="children"):
        ThoughtSettings(children=0)


def test_shares_stay_unbiased_where_a_probe_decides_about_the_number_of_rollouts() -> None:
    """Rollouts right with probability 0.3:
    the mean value of 1,600 steps is within 4 standard errors of it.

    More rollouts for a step that was itself all right or all wrong would give 0.335, six standard
    errors off.
    """
    import random

    rng = random.Random(1)

    def chance(prefix: str, sampling: Sampling, n: int) -> str:
        return ["a\n", "b\n"][n] if sampling.stop else ("7" if rng.random() < 0.3 else "8")

    settings = thoughts(max_expansions=1, probe=4, if_flat="more", flat_rollouts=16)
    steps = [
        n for _ in range(800) for n in grown(settings, ScriptedEngine(chance)) if n.kind == "step"
    ]
    assert {n.n_rollouts for n in steps} == {4, 16}
    mean = sum(n.value or 0 for n in steps) / len(steps)
    assert abs(mean - 0.3) < 4 * (0.3 * 0.7 / (len(steps) * 4)) ** 0.5
