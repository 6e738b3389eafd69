"""A policy whose every partial solution has a known chance of ending right,
grown into trees by the project's own search.

Three laws of what a step does. `Walk`: each step moves the log-odds of a right end by a normal
draw. `Critical`: one step of a solution decides, and no other matters. `Null`: no step matters.
A step's text carries its state, so that the truth of every node can be read from its row.
"""

import asyncio
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

import duckdb
import numpy as np
import polars as pl

from pipeline import tables
from pipeline.config import TreeSettings
from pipeline.engine.base import Completion, Prompt, Sampling, Usage
from pipeline.ids import unit_for
from pipeline.store.files import query_text
from pipeline.trees.growth import grow
from pipeline.trees.node import Node, Problem, Row
from pipeline.trees.plans import plan_of

SETTINGS = TreeSettings(children=4, rollouts=8, max_depth=8, max_expansions=8)
POINTS, WEIGHTS = np.polynomial.hermite_e.hermegauss(21)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@dataclass(frozen=True)
class Prompted:
    """What is fixed for a prompt: a normal draw, its number of steps, and the one that decides."""

    level: float
    length: int
    critical: int


class Law(Protocol):
    """What a step does to the chance of a right end."""

    def first(self, prompt: Prompted) -> float: ...

    def next(self, prompt: Prompted, state: float, depth: int, rng: random.Random) -> float: ...

    def chance(self, prompt: Prompted, state: float, depth: int) -> float: ...


@lru_cache(maxsize=1 << 16)
def _after_walk(log_odds: float, left: int, size: float) -> float:
    ends = log_odds + POINTS * size * math.sqrt(left)
    return float((WEIGHTS / (1 + np.exp(-ends))).sum())


@dataclass(frozen=True)
class Walk:
    """Log-odds that move by a normal draw of this size with each step."""

    size: float = 0.9
    mean: float = 0.5  # log-odds of the bare question

    def first(self, prompt: Prompted) -> float:
        return self.mean + 1.5 * prompt.level

    def next(self, prompt: Prompted, state: float, depth: int, rng: random.Random) -> float:
        return state + rng.gauss(0, self.size)

    def chance(self, prompt: Prompted, state: float, depth: int) -> float:
        return _after_walk(state, prompt.length - depth, self.size)


@dataclass(frozen=True)
class Critical:
    """The chance jumps to `low` or `high` at one step; `high` has odds of the prompt's own."""

    low: float = 0.1
    high: float = 0.9

    def first(self, prompt: Prompted) -> float:
        return 0.0

    def next(self, prompt: Prompted, state: float, depth: int, rng: random.Random) -> float:
        if depth != prompt.critical:
            return state
        return 1.0 if rng.random() < sigmoid(prompt.level) else -1.0

    def chance(self, prompt: Prompted, state: float, depth: int) -> float:
        if state == 0:
            share = sigmoid(prompt.level)
            return share * self.high + (1 - share) * self.low
        return self.high if state > 0 else self.low


@dataclass(frozen=True)
class Null:
    """The chance is the prompt's, whatever was said."""

    def first(self, prompt: Prompted) -> float:
        return 0.3 + 1.2 * prompt.level

    def next(self, prompt: Prompted, state: float, depth: int, rng: random.Random) -> float:
        return state

    def chance(self, prompt: Prompted, state: float, depth: int) -> float:
        return sigmoid(state)


LAWS: dict[str, Law] = {"walk": Walk(), "critical": Critical(), "null": Null()}
EASY = Walk(mean=2.5)  # 85 % of rollouts are right


@dataclass
class SimulatedPolicy:
    """An engine: a step is a line with its state, the last line states the answer, 7 if right."""

    law: Law
    seed: int = 0
    cut: float = 0.0  # share of rollouts that the token limit cuts
    policy_id: str = "simulated@0"
    usage: Usage = field(default_factory=Usage)

    def prompted(self, prompt_id: str) -> Prompted:
        rng = random.Random(f"{self.seed} {prompt_id}")
        length = rng.randint(3, 6)
        return Prompted(rng.gauss(0, 1), length, rng.randint(1, length))

    def state(self, prompt: Prompted, said: str) -> tuple[float, int]:
        """The state and the number of steps after what was said."""
        lines = said.splitlines()
        last = float(lines[-1].split()[1]) if lines else self.law.first(prompt)
        return last, len(lines)

    def chance(self, prompt_id: str, said: str) -> float:
        """The chance that a response that begins so ends right."""
        prompt = self.prompted(prompt_id)
        return self.law.chance(prompt, *self.state(prompt, said))

    async def sample(
        self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int]
    ) -> list[Completion]:
        fixed = self.prompted(prompt.messages[-1]["content"])
        state, depth = self.state(fixed, prompt.prefix)
        return [
            self._drawn(fixed, state, depth, bool(sampling.stop), random.Random(seed))
            for seed in seeds
        ]

    def _drawn(
        self, prompt: Prompted, state: float, depth: int, step: bool, rng: random.Random
    ) -> Completion:
        if step and depth < prompt.length:
            moved = self.law.next(prompt, state, depth + 1, rng)
            text = f"{depth + 1} {moved:.4f} {rng.randrange(10**9)}"
            return Completion(text, (0,) * 8, (), "stop", "\n", 3)
        if not step and rng.random() < self.cut:
            return Completion("a line without an", (0,) * 8, (), "length", None, 3)
        right = rng.random() < self.law.chance(prompt, state, depth)
        rest = "" if step else f"rest {rng.randrange(10**9)}\n"
        text = f"{rest}The answer is {7 if right else rng.randrange(7)}"
        return Completion(text, (0,) * 8, (), "stop", None, 3)


def judge(text: str | None) -> tuple[str | None, bool]:
    """The answer of a response of the simulated policy, and whether it is right."""
    answer = (text or "").rpartition("The answer is ")[2] if "The answer is" in (text or "") else ""
    return answer or None, answer == "7"


@dataclass(frozen=True)
class World:
    """Trees of a simulated policy as rows, with the true chance of every step."""

    nodes: pl.DataFrame  # of tree_nodes
    prompts: pl.DataFrame
    chance: dict[str, float]  # by node id, steps only
    tokens: int

    def query(self, name: str, **parameters: object) -> pl.DataFrame:
        """The rows of sql/<name>.sql over these trees."""
        with duckdb.connect() as connection:
            connection.register("tree_nodes", self.nodes.to_arrow())
            connection.register("prompts", self.prompts.to_arrow())
            return connection.execute(query_text(name), parameters).pl()

    def chances(self, pairs: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """The true chances of pairs' chosen and rejected steps."""
        chosen, rejected = (
            np.array([self.chance[key] for key in pairs[f"{side}_id"]])
            for side in ("chosen", "rejected")
        )
        return chosen, rejected

    def odds(self, pairs: pl.DataFrame) -> np.ndarray:
        """The true strength of pairs: of two rollouts that differ, how often the chosen one's
        is right; one half where both always end alike.
        """
        chosen, rejected = self.chances(pairs)
        one, other = chosen * (1 - rejected), rejected * (1 - chosen)
        return np.divide(one, one + other, out=np.full(len(one), 0.5), where=one + other > 0)


@lru_cache(maxsize=8)
def world(
    law: str, trees: int, settings: TreeSettings = SETTINGS, *, seed: int = 0, cut: float = 0.0
) -> World:
    """Trees of so many prompts under one law."""
    engine = SimulatedPolicy(EASY if law == "easy" else LAWS[law], seed, cut)
    plan = plan_of(settings)

    async def one(number: int) -> list[Node]:
        name = f"p{number}"
        problem = Problem(
            name, ({"role": "user", "content": name},), f"t{number}", judge,
            lambda text: "The answer is" in text,
        )  # fmt: skip
        return await grow(engine, problem, settings, plan, run_seed=seed)

    async def every() -> list[Node]:
        return [node for number in range(trees) for node in await one(number)]

    nodes = asyncio.run(every())
    rows: list[Row] = [node.row() for node in nodes]
    chance = {
        node.node_id: float(bool(node.correct))
        if node.terminal
        else engine.chance(node.prompt_id, node.whole)
        for node in nodes
        if node.kind == "step"
    }
    prompts = [_prompt(f"p{number}") for number in range(trees)]
    return World(
        pl.DataFrame(rows, schema=tables.empty("tree_nodes").schema),
        pl.DataFrame(prompts, schema=tables.empty("prompts").schema),
        chance,
        sum(node.tokens for node in nodes),
    )


def _prompt(name: str) -> Row:
    return {
        "prompt_id": name, "pool": "simulated", "task": "x",
        "split": "train" if unit_for("split", name) < 0.8 else "validation",
        "messages": [{"role": "user", "content": name}], "answer": "7", "verifier": "number",
        "source": "test", "licence": "none",
    }  # fmt: skip
