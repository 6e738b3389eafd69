"""Many simulated worlds: what is drawn and true of the steps of greedy trees, without texts.

The laws are those of tests/trees/simulated.py. The search is written anew in a few lines, which
cost a thirtieth of the project's own; tests/trees/test_many_worlds.py holds one against the other.
"""

import random

import numpy as np

from pipeline.trees.chances import Draws, fit
from tests.trees.simulated import LAWS, Prompted

CHILDREN, ROLLOUTS, MARGIN, PER_PROMPT = 4, 8, 0.375, 4
Group = list[tuple[Draws, float]]  # sibling steps: what was drawn of each, and its true chance


def tree(law: str, rng: random.Random) -> list[Group]:
    """The siblings of each expansion, from the root down along the best child."""
    steps, length = LAWS[law], rng.randint(3, 6)
    prompt = Prompted(rng.gauss(0, 1), length, rng.randint(1, length))
    state, groups = steps.first(prompt), []
    for depth in range(1, length + 1):
        states = [steps.next(prompt, state, depth, rng) for _ in range(CHILDREN)]
        chances = [steps.chance(prompt, each, depth) for each in states]
        right = [sum(rng.random() < chance for _ in range(ROLLOUTS)) for chance in chances]
        groups.append([(Draws(n, ROLLOUTS), c) for n, c in zip(right, chances, strict=True)])
        if max(right) in (0, ROLLOUTS):  # decided
            return groups
        state = states[right.index(max(right))]
    chance = steps.chance(prompt, state, length)
    answers = {7 if rng.random() < chance else rng.randrange(7) for _ in range(CHILDREN)}
    groups.append([(Draws(int(a == 7), 1, ends=True), float(a == 7)) for a in answers])
    return groups


def strengths(law: str, trees: int, rng: random.Random) -> np.ndarray:
    """(pairs, 2) said and true strengths of a world's pairs: siblings at least 3/8 apart, at most
    four a tree by draw.
    """
    groups: list[dict[str, Draws]] = []
    pairs: list[tuple[str, str, float]] = []
    for number in range(trees):
        found = []
        for depth, group in enumerate(tree(law, rng)):
            name = [f"{number}.{depth}.{place}" for place in range(len(group))]
            groups.append({name[i]: draws for i, (draws, _) in enumerate(group)})
            found += [
                (name[i], name[j], odds(better, worse))
                for i, (one, better) in enumerate(group)
                for j, (other, worse) in enumerate(group)
                if one.right / one.drawn - other.right / other.drawn >= MARGIN
            ]
        pairs += rng.sample(found, min(PER_PROMPT, len(found)))
    chances = fit(groups)
    return np.array([(chances.strength(one, other), true) for one, other, true in pairs])


def odds(one: float, other: float) -> float:
    """How often, of two rollouts of which one is right, it is the first one's."""
    first, second = one * (1 - other), other * (1 - one)
    return first / (first + second) if first + second else 0.5
