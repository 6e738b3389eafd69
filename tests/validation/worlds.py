"""Simulated leaderboards: policies whose true effects are known."""

from collections.abc import Mapping

import numpy as np
from scipy import stats

from pipeline.validation.ranked import Ranked, RankedBy
from pipeline.validation.scores import Scores
from pipeline.validation.seeds import gain
from pipeline.validation.statistics import _weights

RESAMPLES = 999
Table = np.ndarray  # (n,) or (S seeds, n prompts)


def bound(times: int, worlds: int) -> float:
    """The upper 95 % bound of a rate (Clopper and Pearson 1934)."""
    return float(stats.beta.ppf(0.95, times + 1, worlds - times)) if times < worlds else 1.0


def judged(worlds: Table) -> tuple[Table, Table, Table]:
    """p, low and high of `gain` for each world's differences (worlds, n prompts), all at once.

    The interval is `gain`'s to the last digit; the p-value has sign flips of its own.
    """
    count, n = worlds.shape
    _, shares = _weights(1, n, RESAMPLES, 0, 0)
    mean = worlds.mean(axis=1)
    wider = stats.t.ppf(0.975, n - 1) / stats.norm.ppf(0.975) * np.sqrt(n / (n - 1))
    ends = np.percentile(worlds @ shares.T, [2.5, 97.5], axis=1)
    low, high = mean + wider * (ends - mean)
    flips = np.random.default_rng(0).choice([-1.0, 1.0], (RESAMPLES, n))
    flipped, own = np.abs(worlds @ flips.T), np.abs(worlds.sum(axis=1))
    p = (1 + (flipped >= own[:, None] - 1e-9).sum(axis=1)) / (RESAMPLES + 1)
    options = {"resamples": RESAMPLES, "confidence": 0.95, "seed": 0}
    for world in range(5):  # that it is what the leaderboard does
        known = gain(worlds[world], np.zeros(n), **options)
        assert np.allclose((known.interval.low, known.interval.high), (low[world], high[world]))
        assert abs(known.p - p[world]) < 0.09
    return p, low, high


def ranked(
    weights: Mapping[str, float],
    values: Mapping[tuple[str, str], Table],
    names: Mapping[str, list[str]] | None = None,
) -> Ranked:
    """Policies with these values of each metric; names: of its prompts, else p0, p1, ..."""
    found = {
        (variant, metric): Scores(
            tuple((names or {}).get(metric) or prompts(np.atleast_2d(table).shape[1])),
            np.atleast_2d(table).astype(float),
        )
        for (variant, metric), table in values.items()
    }
    expected = {
        metric: frozenset(
            unit for (_, m), one in found.items() if m == metric for unit in one.units
        )
        for metric in weights
    }
    return Ranked(RankedBy(weights), found, expected)


def prompts(n: int, first: int = 0) -> list[str]:
    """Ids of prompts, in ascending order."""
    return [f"p{i:04}" for i in range(first, first + n)]
