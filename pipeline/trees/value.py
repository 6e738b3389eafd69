"""Values of thoughts: by rollouts and the verifier, by the model itself,
by votes, by a reward model.

Tree of thoughts (Yao et al. 2023, arXiv 2305.10601) has the model value a thought by words it
samples, or vote for the best of several. Our choices: the wording; probabilities of the words in
place of counts of samples, which needs one pass and has no noise; scores on the scale 1 to 5; every
vote held once with each thought in each seat, since a judge has a favourite seat. A terminal step
valued by the model is still checked where there is an answer, and the verdict is stored beside the
value, but the search does not see it.
"""

import asyncio
import math
import string
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain

from pipeline.engine.base import Prompt, Turn
from pipeline.trees.growth import Tree, Value
from pipeline.trees.node import Node, Problem

VERDICT = """Problem:
{question}

Solution so far:
{so_far}

Is every step so far right, so that going on from here leads to the right answer? \
Reply with Yes or No."""
SCORE = """Problem:
{question}

Solution so far:
{so_far}

How likely does this solution, carried on, reach the right answer? \
Reply with a digit: 1 (impossible) to 5 (sure)."""
VOTE = """Problem:
{question}

Beginnings of a solution:
{choices}

Which one is the best? Reply with its letter."""
SCORES = ("1", "2", "3", "4", "5")

Reward = Callable[[Problem, str], Awaitable[float]]


async def rollouts(tree: Tree, nodes: Sequence[Node]) -> list[Node]:
    """A terminal step is judged as it stands,
    any other by the share of its rollouts that are right (Tree-PLV).
    """

    async def one(node: Node) -> list[Node]:
        if not node.terminal:
            return await tree.roll_out(node, tree.rollouts)
        tree.judge(node)
        node.valued(float(bool(node.correct)), "answer")
        return []

    return list(chain.from_iterable(await asyncio.gather(*(one(node) for node in nodes))))


async def verdict(tree: Tree, nodes: Sequence[Node]) -> list[Node]:
    """The model's probability of Yes, of Yes and No,
    to the question whether the steps so far are right.
    """

    async def one(problem: Problem, so_far: str) -> float:
        yes, _ = await tree.engine.verdict(_ask(VERDICT, problem, so_far=so_far), ["Yes", "No"])
        return yes

    return await _by("verdict", one, tree, nodes)


async def score(tree: Tree, nodes: Sequence[Node]) -> list[Node]:
    """The expectation of the model's score from 1 to 5, scaled to 0 to 1."""

    async def one(problem: Problem, so_far: str) -> float:
        shares = await tree.engine.verdict(_ask(SCORE, problem, so_far=so_far), SCORES)
        return sum(share * place for place, share in enumerate(shares)) / (len(SCORES) - 1)

    return await _by("score", one, tree, nodes)


async def vote(tree: Tree, nodes: Sequence[Node]) -> list[Node]:
    """Each thought's mean probability of being named the best of the group.

    The group's values sum to 1.

    Values of different groups do not compare (ballots.py orders a whole tree's leaves). A thought
    that stands alone has the value 1 without a vote.
    """
    size = len(nodes)
    seats = (
        [[nodes[(turn + seat) % size] for seat in range(size)] for turn in range(size)]
        if size > 1
        else []
    )
    letters = string.ascii_uppercase[:size]
    ballots = [_ask(VOTE, tree.problem, choices=_listed(tree, letters, order)) for order in seats]
    results = await asyncio.gather(
        *(tree.engine.verdict(ballot, list(letters)) for ballot in ballots)
    )
    for place, node in enumerate(nodes):
        # In turn t the node sits in seat (place - t).
        shares = [shares[(place - turn) % size] for turn, shares in enumerate(results)]
        # fsum: the same shares in another order have the same sum, so that a judge without an
        # opinion makes ties.
        node.valued(min(1.0, math.fsum(shares) / size) if shares else 1.0, "vote")
        _judge(tree, node)
    return []


def reward_model(reward: Reward) -> Value:
    """Values by a reward model:
    a coroutine from the problem and the response so far to a number in [0, 1].
    """

    async def value(tree: Tree, nodes: Sequence[Node]) -> list[Node]:
        return await _by("reward", reward, tree, nodes)

    return value


async def _by(name: str, one: Reward, tree: Tree, nodes: Sequence[Node]) -> list[Node]:
    values = await asyncio.gather(*(one(tree.problem, tree.shown(node)) for node in nodes))
    for node, found in zip(nodes, values, strict=True):
        node.valued(min(1.0, max(0.0, found)), name)
        _judge(tree, node)
    return []


def _judge(tree: Tree, node: Node) -> None:
    if node.terminal:
        tree.judge(node)


def _ask(template: str, problem: Problem, *, so_far: str = "", choices: str = "") -> Prompt:
    """The prompt's last question alone:
    examples before it would ask for an answer and not for a judgement.
    """
    text = template.format(
        question=problem.question, so_far=so_far.strip() or "(nothing yet)", choices=choices
    )
    return Prompt((Turn(role="user", content=text),))


def _listed(tree: Tree, letters: str, nodes: Sequence[Node]) -> str:
    shown = [tree.shown(node).strip() for node in nodes]
    return "\n\n".join(f"{letter}.\n{text}" for letter, text in zip(letters, shown, strict=True))
