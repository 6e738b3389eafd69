"""A small maze whose every value is known, and an engine that also judges by a script."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from pipeline.config import GrowthSettings, ThoughtSettings
from pipeline.engine.base import Completion, Prompt, Sampling
from pipeline.trees.growth import grow
from pipeline.trees.node import Node, Problem
from pipeline.trees.plans import plan_of
from tests.scripted import Script, ScriptedEngine

# (text of the question put, words) to their probabilities
Judge = Callable[[str, Sequence[str]], list[float]]


class JudgingEngine(ScriptedEngine):
    """Also answers verdicts, and requests whose question is not the problem's,
    from scripts of their own.
    """

    def __init__(self, script: Script, judge: Judge | None = None, listing: str = "") -> None:
        super().__init__(script)
        self.judge = judge
        self.listing = listing
        self.asked: list[str] = []

    async def verdict(self, prompt: Prompt, words: Sequence[str]) -> list[float]:
        self.asked.append(prompt.messages[-1]["content"])
        return (
            self.judge(self.asked[-1], words)
            if self.judge
            else await super().verdict(prompt, words)
        )

    async def sample(
        self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int]
    ) -> list[Completion]:
        if self.listing and not sampling.stop and "Write " in prompt.messages[-1]["content"]:
            return [self._complete(self.listing, sampling) for _ in seeds]
        return await super().sample(prompt, sampling, seeds)


def last_word(text: str | None) -> tuple[str | None, bool]:
    last = text.split()[-1] if text and text.split() else None
    return last, last == "7"


PROBLEM = Problem(
    "p1", ({"role": "user", "content": "3 + 4"},), "tree", last_word, lambda text: "####" in text
)

# Steps below each prefix, and how many of the four rollouts after a step are right.
NEXT = {
    "": ["a\n", "b\n"],
    "a\n": ["aa\n", "ab\n"],
    "b\n": ["ba\n", "bb\n"],
    "a\naa\n": ["#### 7", "#### 8"],
    "b\nbb\n": ["x\n", "y\n"],
}
RIGHT = {"a\n": 2, "b\n": 3, "a\naa\n": 4, "a\nab\n": 1, "b\nba\n": 0, "b\nbb\n": 1}


def maze(prefix: str, sampling: Sampling, n: int) -> str:
    if sampling.stop:
        return NEXT.get(prefix, ["dead\n", "end\n"])[n]
    return "7" if n < RIGHT.get(prefix, 0) else "8"


def thoughts(**settings: Any) -> ThoughtSettings:
    """Settings that fit the maze; steps of which all rollouts are right are expanded too."""
    own = {"children": 2, "rollouts": 4, "max_depth": 4, "max_expansions": 10}
    return ThoughtSettings(**{**own, "skip_decided": False, **settings})


def grown(
    settings: GrowthSettings, engine: ScriptedEngine, problem: Problem = PROBLEM
) -> list[Node]:
    return asyncio.run(grow(engine, problem, settings, plan_of(settings), run_seed=1))


def expanded(nodes: list[Node]) -> list[str]:
    """Texts of the expanded nodes, in the order in which they were."""
    found = [node for node in nodes if node.expanded_order is not None]
    return [node.whole for node in sorted(found, key=lambda node: node.expanded_order or 0)]
