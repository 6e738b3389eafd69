"""Values and generators of thoughts, against numbers worked out by hand."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from pipeline.config import ThoughtSettings
from pipeline.engine.base import Completion, Sampling
from pipeline.trees.forest import plant
from pipeline.trees.generate import sample
from pipeline.trees.growth import Plan, Tree
from pipeline.trees.node import Node, Problem
from pipeline.trees.search import breadth_first
from pipeline.trees.steps import share_tokens, split_path
from pipeline.trees.value import reward_model, score, verdict, vote
from tests.scripted import ScriptedEngine
from tests.trees.mazes import PROBLEM, JudgingEngine, expanded, grown, maze, thoughts
from tests.trees.test_best_first import prompt_rows


def valued(value, judge, texts: Sequence[str]) -> list[Node]:  # type: ignore[no-untyped-def]
    settings = ThoughtSettings()
    plan = Plan("tot", breadth_first(1), sample, value)
    tree = Tree(JudgingEngine(maze, judge), PROBLEM, settings, plan, 1)
    nodes = [
        tree.root.child("step", draw, text, text.startswith("####"), 1)
        for draw, text in enumerate(texts)
    ]
    assert asyncio.run(value(tree, nodes)) == []
    return nodes


def test_a_verdict_is_the_probability_of_yes_for_the_steps_so_far() -> None:
    nodes = valued(
        verdict,
        lambda text, words: [0.8, 0.2] if "so far:\na\n" in text else [0.1, 0.9],
        ["a\n", "b\n"],
    )
    assert [(n.value, n.valuation, n.n_rollouts) for n in nodes] == [
        (0.8, "verdict", 0),
        (0.1, "verdict", 0),
    ]


def test_a_score_is_the_expectation_over_the_digits_scaled_to_one() -> None:
    spread = {"a": [0, 0, 0.5, 0, 0.5], "b": [1, 0, 0, 0, 0], "c": [0, 0, 0, 0, 1]}
    nodes = valued(
        score, lambda text, words: spread[text.split("so far:\n")[1][0]], ["a\n", "b\n", "c\n"]
    )
    assert [node.value for node in nodes] == pytest.approx([0.75, 0, 1])  # (0.5 * 2 + 0.5 * 4) / 4


def test_votes_cancel_a_judges_favourite_seat_and_sum_to_one() -> None:
    first_seat = valued(vote, lambda text, words: [1.0, 0.0, 0.0], ["a\n", "b\n", "c\n"])
    assert [node.value for node in first_seat] == pytest.approx([1 / 3] * 3)

    def knows_b(text: str, words: Sequence[str]) -> list[float]:
        seats = [line for line in text.split("\n") if line in "abc" and line]
        return [0.8 if seat == "b" else 0.1 for seat in seats]

    nodes = valued(vote, knows_b, ["a\n", "b\n", "c\n"])
    assert [node.value for node in nodes] == pytest.approx([0.1, 0.8, 0.1])
    assert [node.value for node in valued(vote, None, ["a\n"])] == [1.0]


def test_a_reward_model_is_any_coroutine_and_is_kept_in_range() -> None:
    async def length(problem: Problem, so_far: str) -> float:
        return len(so_far.strip()) / 2

    nodes = valued(reward_model(length), None, ["a\n", "bbbb\n"])
    assert [(n.value, n.valuation) for n in nodes] == [(0.5, "reward"), (1.0, "reward")]


def test_the_search_does_not_see_the_verifiers_word_where_the_model_values() -> None:
    (node,) = valued(verdict, lambda text, words: [0.2, 0.8], ["#### 7"])
    assert (node.value, node.answer, node.correct) == (0.2, "7", True)


def test_the_models_own_values_lead_the_search() -> None:
    def likes_a(text: str, words: Sequence[str]) -> list[float]:
        return [0.9, 0.1] if text.split("so far:\n")[1].startswith("a") else [0.2, 0.8]

    engine = JudgingEngine(maze, likes_a)
    nodes = grown(thoughts(value="verdict", beam=1), engine)
    assert expanded(nodes) == ["", "a\n", "a\naa\n"]
    assert not any(node.kind == "rollout" for node in nodes)


def test_a_breadth_first_vote_is_held_over_the_whole_level() -> None:
    engine = JudgingEngine(maze)
    grown(thoughts(value="vote", beam=2, max_depth=2), engine)
    assert len(engine.asked) == 2 + 4  # each of 2, then of 4 thoughts once in each seat
    assert sum("D.\n" in text for text in engine.asked) == 4


def test_proposed_thoughts_are_the_lines_of_one_listing_without_their_numbers() -> None:
    engine = JudgingEngine(maze, listing="1. a\n\n2) b\n- c\n3. a\n")
    settings = thoughts(children=3, generate="propose", max_depth=1)
    nodes = grown(settings, engine)
    steps = [node for node in nodes if node.kind == "step"]
    assert [(node.text, node.value) for node in steps] == [
        ("a\n", 0.5),
        ("b\n", 0.75),
        ("c\n", 0.0),
    ]
    # a token a character here
    assert sum(node.tokens for node in steps) == len("1. a\n\n2) b\n- c\n3. a\n")


def test_a_proposed_line_that_the_token_limit_cut_is_no_step() -> None:
    class Limited(JudgingEngine):
        def _complete(self, text: str, sampling: Sampling) -> Completion:
            whole = super()._complete(text, sampling)
            return replace(whole, finish_reason="length") if text == self.listing else whole

    settings = thoughts(children=3, generate="propose", max_depth=1)
    # the '7' of '#### 17' was not written
    nodes = grown(settings, Limited(maze, listing="1. a\n2. #### 1"))
    assert [(n.text, n.terminal) for n in nodes if n.kind == "step"] == [("a\n", False)]
    nodes = grown(settings, Limited(maze, listing="1. a\n2. #### 1\n"))  # cut after a whole line
    assert [(n.text, n.terminal) for n in nodes if n.kind == "step"] == [
        ("a\n", False),
        ("#### 1", True),
    ]


def test_a_pool_without_answers_needs_the_models_own_values() -> None:
    def judge(text: str, words: Sequence[str]) -> list[float]:
        return [1 / len(words)] * len(words)

    prompts = prompt_rows("write a poem", verifier=None)
    for value in ("verdict", "score", "vote"):
        settings = thoughts(value=value)
        rows, rejects = plant(JudgingEngine(maze, judge), prompts, settings, 1)
        assert not rejects and rows["correct"].null_count() == rows.height > 1, value
    rows, rejects = plant(ScriptedEngine(maze), prompts, ThoughtSettings(), 1)
    assert rows.is_empty()
    assert rejects[0].reason == (
        "no verifier: rollouts need checkable answers; the model's own values do not "
        "(thoughts.value: verdict, score or vote, without a probe)"
    )
    assert rejects[0].step == "thoughts" and rejects[0].row["method"] == "tot"


def test_no_budget_is_a_reject_that_says_so() -> None:
    rows, rejects = plant(
        ScriptedEngine(maze), prompt_rows("x"), ThoughtSettings(max_expansions=0), 1
    )
    assert rows.is_empty()
    assert (
        rejects[0].reason
        == "no budget: max_expansions or max_tokens allows not even the first expansion"
    )


@pytest.mark.parametrize("nothing", ["max_expansions", "max_tokens"])
def test_no_budget_has_no_probe_either(nothing: str) -> None:
    engine = ScriptedEngine(maze)
    rows, (reject,) = plant(engine, prompt_rows("x"), ThoughtSettings(probe=4, **{nothing: 0}), 1)
    assert rows.is_empty() and reject.reason.startswith("no budget") and not engine.calls


def test_steps_of_a_path_join_to_the_text_and_share_its_tokens() -> None:
    assert split_path("a\n\nb", "\n") == ["a\n", "\n", "b"] and split_path("", "\n") == []
    assert share_tokens(10, ["aaaa", "b", "aaaaa"]) == [4, 1, 5]
    assert sum(share_tokens(7, ["x", "y", "z"])) == 7
