"""Chances of steps to end right, from few draws: empirical Bayes over siblings.

A step's value is a share of few rollouts, and the pairs made of it are picked by that share: eight
draws say 1.0 far too often. Here the steps of one group (siblings, or the leaves of one tree) have
chances drawn from Beta(m k, (1 - m) k) with a mean m and a sureness k of the group's own. How m and
k are spread over groups is fitted to all groups by maximum likelihood (EM over a grid, after
Robbins 1956 and Kiefer and Wolfowitz 1956; the grid and the form are our choice). Given that prior,
what the draws say of a step does not depend on how it was picked.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, xlog1py, xlogy

from pipeline.trees.node import Row

Numbers = NDArray[np.float64]

MEANS = 1 / (1 + np.exp(-np.linspace(-5, 5, 25)))  # of a group, even in log-odds
SURENESS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, np.inf)  # inf: all of a group are equal
SHAPES = [(mean, sure) for sure in SURENESS for mean in MEANS]  # the components of the prior
INNER = (np.arange(64) + 0.5) / 64
POINTS = np.concatenate([[0.0], INNER, [1.0]])  # chances; 0 and 1 are those of steps that end
ROUNDS = 300  # of EM
# Groups' worth of weight beside the trees: spread over the whole prior, and on equal chances, so
# that steps differ only where the trees say it. Our choice, by the simulated worlds of the tests.
EVEN, EQUAL = 2.0, 8.0


class Draws(NamedTuple):
    """What is known of a step: how many of its rollouts were right.

    ends: the response ends with it, and the verifier's word on it is all there is to know.
    """

    right: int
    drawn: int
    ends: bool = False


def draws_of(row: Row) -> Draws | None:
    """What is known of a row of `tree_nodes`; null where its value is no share of draws."""
    if row["valuation"] == "answer":
        return Draws(int(row["value"]), 1, ends=True)
    if row["valuation"] == "rollouts":
        return Draws(row["n_correct"], row["n_rollouts"])
    return None


@dataclass(frozen=True)
class Chances:
    """The chances of steps given their draws and those of their groups.

    group: the place of a step's group, by the step's id.
    kind: the place of its draws among all different ones, by its id.
    pattern: (groups,) the place of a group's draws, all of them, among all different ones.
    weights: (patterns, components) how likely a group is of each component of the prior.
    strengths: (components, kinds, kinds) the strength of one over another.
    means: (components, kinds) the expected chance.
    """

    group: Mapping[str, int]
    kind: Mapping[str, int]
    pattern: NDArray[np.int64]
    weights: Numbers
    strengths: Numbers
    means: Numbers

    def mean(self, step: str) -> float | None:
        """The expected chance of a step; null where nothing was drawn for it."""
        if step not in self.group:
            return None
        return float(self._weights(step) @ self.means[:, self.kind[step]])

    def strength(self, one: str, other: str) -> float | None:
        """How often, of two rollouts of which one is right, it is the one's.

        The expectation of c (1 - d) / (c (1 - d) + d (1 - c)) over the chances c and d of two steps
        of one group; null where nothing was drawn for one of them.

        Raises:
            ValueError: steps of two groups.
        """
        if one not in self.group or other not in self.group:
            return None
        if self.group[one] != self.group[other]:
            raise ValueError(f"{one} and {other} are of two groups")
        given = self.strengths[:, self.kind[one], self.kind[other]]
        return float(np.clip(self._weights(one) @ given, 0, 1))

    def _weights(self, step: str) -> Numbers:
        found: Numbers = self.weights[self.pattern[self.group[step]]]
        return found


def fit(groups: Iterable[Mapping[str, Draws]]) -> Chances:
    """The chances of all steps of all groups; a group gives its steps' draws by their ids."""
    kept = [group for group in groups if group]
    kinds = sorted({draws for group in kept for draws in group.values()})
    place = {draws: number for number, draws in enumerate(kinds)}
    counts = np.zeros((len(kept), len(kinds)))
    for number, group in enumerate(kept):
        for draws in group.values():
            counts[number, place[draws]] += 1
    likelihoods = np.empty((len(SHAPES), len(kinds)))
    densities = np.empty((len(SHAPES), len(kinds), len(POINTS)))
    for number, draws in enumerate(kinds):
        likelihoods[:, number], densities[:, number] = _given(draws)
    return Chances(
        {step: number for number, group in enumerate(kept) for step in group},
        {step: place[draws] for group in kept for step, draws in group.items()},
        *_components(counts, likelihoods),
        densities @ _odds() @ densities.transpose(0, 2, 1),
        densities @ POINTS,
    )


def _components(counts: Numbers, likelihoods: Numbers) -> tuple[NDArray[np.int64], Numbers]:
    """(groups,) each group's pattern of draws, and (patterns, components) P(component | pattern)
    under the prior that EM fits.

    counts: (groups, kinds) steps of each kind of draws; likelihoods: (components, kinds), logs.
    """
    if not len(counts):
        return np.zeros(0, dtype=np.int64), np.zeros((0, len(SHAPES)))
    patterns, number, times = np.unique(counts, axis=0, return_inverse=True, return_counts=True)
    logs = patterns @ likelihoods.T  # (patterns, components)
    likelihood = np.exp(logs - logs.max(axis=1, keepdims=True))
    equal = np.array([np.isinf(sure) for _, sure in SHAPES])
    beside = EVEN / len(SHAPES) + EQUAL * equal / equal.sum()
    prior = np.full(len(SHAPES), 1 / len(SHAPES))
    for _ in range(ROUNDS):
        share = _normalised(likelihood * prior)
        prior = (times @ share + beside) / (times.sum() + beside.sum())
    return number.reshape(-1), _normalised(likelihood * prior)


def _normalised(rows: Numbers) -> Numbers:
    found: Numbers = rows / rows.sum(axis=1, keepdims=True)
    return found


def _odds() -> Numbers:
    """(points, points) the strength of a chance over another; one half where both are sure."""
    one: Numbers = POINTS[:, None] * (1 - POINTS)
    both = one + one.T
    found: Numbers = np.divide(one, both, out=np.full(one.shape, 0.5), where=both > 0)
    return found


@lru_cache(maxsize=512)
def _given(draws: Draws) -> tuple[Numbers, Numbers]:
    """(components,) the log-likelihood of a step's draws, (components, points) of its chance."""
    likelihoods = [_log_likelihood(*shape, draws) for shape in SHAPES]
    return np.array(likelihoods), np.array([_density(*shape, draws) for shape in SHAPES])


def _log_likelihood(mean: float, sure: float, draws: Draws) -> float:
    right, wrong = draws.right, draws.drawn - draws.right
    if np.isinf(sure):
        return float(xlogy(right, mean) + xlog1py(wrong, -mean))
    a, b = mean * sure, (1 - mean) * sure
    return float(betaln(a + right, b + wrong) - betaln(a, b))


def _density(mean: float, sure: float, draws: Draws) -> Numbers:
    """(points,) of a step's chance, given a component of the prior and its draws; sums to 1."""
    found = np.zeros(len(POINTS))
    if draws.ends:
        found[-1 if draws.right else 0] = 1
    elif np.isinf(sure):  # the mean itself, between two points
        above = int(np.clip(np.searchsorted(INNER, mean), 1, len(INNER) - 1))
        share = np.clip((mean - INNER[above - 1]) * len(INNER), 0, 1)
        found[above : above + 2] = 1 - share, share
    else:
        a, b = mean * sure + draws.right, (1 - mean) * sure + draws.drawn - draws.right
        logs = (a - 1) * np.log(INNER) + (b - 1) * np.log1p(-INNER)
        found[1:-1] = np.exp(logs - logs.max())
        found /= found.sum()
    return found
