"""Trees of a model that thinks first: what they search, judge and show is its response."""

from collections.abc import Sequence
from dataclasses import replace

import polars as pl
import pytest

from pipeline import tables
from pipeline.config import GrowthSettings, ThoughtSettings, TreeSettings
from pipeline.engine.base import Completion, Prompt, Sampling
from pipeline.trees.node import Node
from tests.scripted import ScriptedEngine
from tests.trees.mazes import JudgingEngine, grown, thoughts

# What the model says in its first and its second draw; an answer is weighed in the first thought.
FIRST = "is it 5?\n#### 5\nno\n</think>\n\na\n#### 7"
SECOND = "hm\n</think>\n\nb\n#### 8"
THOUGHTS = ["is it 5?\n#### 5\nno\n</think>\n\n", "hm\n</think>\n\n"]
SETTINGS = TreeSettings(children=2, rollouts=2, max_depth=4, max_expansions=2)


class Thinker(JudgingEngine):
    """Goes on with one of its texts; where the template opens the thought they lack its mark."""

    def __init__(self, opened: bool, texts: Sequence[str] = (FIRST, SECOND)) -> None:
        super().__init__(self._rest)
        self.opened = opened
        self.texts = [text if opened else f"<think>{text}" for text in texts]

    def _rest(self, prefix: str, sampling: Sampling, n: int) -> str:
        if prefix == "":
            return self.texts[n % len(self.texts)]
        return next(text for text in self.texts if text.startswith(prefix))[len(prefix) :]

    async def sample(
        self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int]
    ) -> list[Completion]:
        drawn = await super().sample(prompt, sampling, seeds)
        return [replace(one, opened=self.opened) for one in drawn]


opened = pytest.mark.parametrize("opened", [False, True])


def mark(opened: bool) -> str:
    return "" if opened else "<think>"


def seen(nodes: list[Node], kind: str = "step") -> list[tuple[str | None, str, str]]:
    return [(node.thought, node.prefix, node.text) for node in nodes if node.kind == kind]


@opened
def test_a_thought_is_no_step_and_its_answer_none(opened: bool) -> None:
    nodes = grown(SETTINGS, Thinker(opened))
    first, second = (mark(opened) + thought for thought in THOUGHTS)
    assert seen(nodes) == [(first, "", "a\n"), (second, "", "b\n"), (first, "a\n", "#### 7")]
    steps = [node for node in nodes if node.kind == "step"]
    assert [node.value for node in steps] == [1.0, 0.0, 1.0]
    assert [node.terminal for node in steps] == [False, False, True]
    assert steps[2].whole == mark(opened) + FIRST and steps[2].answer == "7"
    # A rollout goes on behind the thought, and has it too.
    assert seen(nodes, "rollout")[0] == (first, "a\n", "#### 7")
    assert len({node.node_id for node in nodes}) == len(nodes)


@opened
def test_steps_inside_a_thought_by_a_setting(opened: bool) -> None:
    settings = SETTINGS.model_copy(update={"inside_thoughts": True, "max_expansions": 3})
    nodes = grown(settings, Thinker(opened))
    assert {node.thought for node in nodes} == {None}
    texts = [node.text for node in nodes if node.kind == "step"]
    assert texts[:2] == [mark(opened) + "is it 5?\n", mark(opened) + "hm\n"]
    weighed = [node for node in nodes if node.kind == "step" and node.text == "#### 5\n"]
    assert weighed and not any(node.terminal for node in weighed)
    assert {node.answer for node in nodes if node.kind == "rollout"} == {"7", "8"}


@opened
def test_rollouts_of_the_bare_question_have_their_thought_apart(opened: bool) -> None:
    settings = SETTINGS.model_copy(update={"probe": 2, "max_expansions": 1})
    nodes = grown(settings, Thinker(opened))
    first, second = (mark(opened) + thought for thought in THOUGHTS)
    probe = [node for node in nodes if node.kind == "rollout"][:2]
    assert seen(probe, "rollout") == [(first, "", "a\n#### 7"), (second, "", "b\n#### 8")]
    assert [node.answer for node in probe] == ["7", "8"]


@opened
def test_a_thought_without_an_end_gives_no_step_and_no_answer(opened: bool) -> None:
    engine = Thinker(opened, ["#### 7\n#### 7"])
    settings = SETTINGS.model_copy(update={"probe": 1})
    nodes = grown(settings, engine)
    assert [node.kind for node in nodes] == ["root", "rollout"]
    assert (nodes[1].answer, nodes[1].correct, nodes[1].text) == (None, False, "")


@opened
def test_branches_keep_the_thought_of_the_path_that_they_leave(opened: bool) -> None:
    settings = ThoughtSettings(
        search="branches", children=2, branches=2, rollouts=2, max_expansions=8
    )
    nodes = grown(settings, Thinker(opened))
    first = mark(opened) + THOUGHTS[0]
    assert (first, "a\n", "#### 7") in seen(nodes)
    assert all(node.thought for node in nodes if node.kind != "root")


@opened
@pytest.mark.parametrize("value", ["verdict", "score", "vote"])
def test_judges_of_steps_are_shown_responses(opened: bool, value: str) -> None:
    engine = Thinker(opened)
    grown(thoughts(value=value, children=2, max_depth=1, max_expansions=1), engine)
    assert engine.asked
    assert not any("think>" in text or "is it 5?" in text for text in engine.asked)
    assert any("a" in text for text in engine.asked)


@pytest.mark.parametrize("settings", [SETTINGS, thoughts()])
def test_rows_are_sound(settings: GrowthSettings) -> None:
    nodes = grown(settings, Thinker(opened=False))
    schema = tables.empty("tree_nodes").schema
    frame = pl.DataFrame([node.row() for node in nodes], schema=schema)
    assert tables.TABLES["tree_nodes"].validate(frame).height == len(nodes) > 1


def test_a_model_that_does_not_think_is_asked_what_it_was_always_asked() -> None:
    def plain(prefix: str, sampling: Sampling, n: int) -> str:
        return "a\n#### 7" if prefix == "" else "#### 7"

    engine = ScriptedEngine(plain)
    nodes = grown(SETTINGS, engine)
    assert {node.thought for node in nodes} == {None}
    stops = [sampling.stop for _, sampling, _ in engine.calls]
    assert stops == [("\n",), (), ("\n",)]
