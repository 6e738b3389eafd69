"""Intervals, tests and sample sizes: means over prompts and seeds, paired."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import stats

Numbers = npt.NDArray[np.float64]
CELLS = 1_000_000  # of resampling weights held at once


@dataclass(frozen=True)
class Interval:
    """A mean with its bootstrap interval."""

    mean: float
    low: float
    high: float


def verdict(interval: Interval, p: float, confidence: float) -> str:
    """better, worse, or not distinguishable:
    whether the interval excludes zero and the corrected p-value agrees.
    """
    if p > 1 - confidence or interval.low <= 0 <= interval.high:
        return "not distinguishable"
    return "better" if interval.low > 0 else "worse"


def bootstrap(values: Numbers, *, resamples: int, confidence: float, seed: int) -> Interval | None:
    """Percentile bootstrap interval of the mean; null with one unit, of which nothing can be said.

    values: (n units,) or (S seeds, n units). Units and seeds are drawn with replacement, each on
    its own (a crossed design), so that the interval holds the chance of the seeds too. With two or
    three seeds that part is rough.
    """
    table = np.atleast_2d(np.asarray(values, dtype=np.float64))
    mean = float(table.mean())
    if table.shape[1] < 2:
        return None
    if np.ptp(table) == 0:
        return Interval(mean, mean, mean)
    tail = 100 * (1 - confidence) / 2
    low, high = np.percentile(_resampled(table, resamples, seed), [tail, 100 - tail])
    return Interval(mean, float(low), float(high))


def _resampled(table: Numbers, resamples: int, seed: int) -> Numbers:
    """(resamples,) means of the table with its rows and its columns drawn anew."""
    seeds, units = table.shape
    most = max(1, CELLS // units)
    found = []
    for part, left in enumerate(range(resamples, 0, -most)):
        rows, columns = _weights(seeds, units, min(left, most), seed, part)
        found.append(np.sum((rows @ table) * columns, axis=1))
    return np.concatenate(found)


@lru_cache(maxsize=16)  # many metrics have the same units
def _weights(seeds: int, units: int, size: int, seed: int, part: int) -> tuple[Numbers, Numbers]:
    """(size, seeds) and (size, units): how often each was drawn, as shares."""
    rng = np.random.default_rng([seed, part])
    rows = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=size) / seeds
    return rows, rng.multinomial(units, np.full(units, 1 / units), size=size) / units


def paired_bootstrap(
    values: Numbers, baseline: Numbers, *, resamples: int, confidence: float, seed: int
) -> Interval:
    """Bootstrap interval of a mean difference in accuracy.

    The percentile interval, expanded about the mean by t / z * sqrt(n / (n - 1)) (Hesterberg 2015,
    arXiv 1411.5279): as it is, it is too narrow for few prompts, and held the truth of win rates in
    92.6 % of simulated worlds of 40 prompts. With one prompt it is all that a difference can be.

    values: (n prompts,) or (S seeds, n prompts); baseline: (n prompts,), the same prompts in the
    same order.
    """
    difference = np.asarray(values, dtype=np.float64) - np.asarray(baseline, dtype=np.float64)
    found = bootstrap(difference, resamples=resamples, confidence=confidence, seed=seed)
    if found is None:
        return Interval(float(difference.mean()), -1.0, 1.0)
    n, side = difference.shape[-1], 0.5 + confidence / 2
    wider = float(stats.t.ppf(side, n - 1) / stats.norm.ppf(side) * np.sqrt(n / (n - 1)))
    low, high = (found.mean + wider * (end - found.mean) for end in (found.low, found.high))
    return Interval(found.mean, low, high)


def sign_flip_p(values: Numbers, baseline: Numbers, *, resamples: int, seed: int) -> float:
    """Two-sided p-value of the mean difference:
    each prompt's sign is as likely as its opposite if nothing differs.

    values: as in `paired_bootstrap`; seeds are averaged first. Exact up to about 13 prompts with
    10,000 resamples, else Monte Carlo (Fisher's randomisation test for pairs).
    """
    table = np.atleast_2d(np.asarray(values, dtype=np.float64))
    difference = table.mean(axis=0) - np.asarray(baseline, dtype=np.float64)
    if len(difference) < 2 or not difference.any():
        return 1.0
    result = stats.permutation_test(
        (difference,),
        np.mean,
        permutation_type="samples",
        n_resamples=resamples,
        vectorized=True,
        batch=1000,
        rng=np.random.default_rng(seed),
    )
    return float(result.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values of several comparisons (Holm 1979):
    the family-wise error stays below the level asked for.
    """
    order = np.argsort(p_values, kind="stable")
    factors = len(p_values) - np.arange(len(p_values))
    stepped = np.minimum(
        1.0, np.maximum.accumulate(factors * np.asarray(p_values, dtype=np.float64)[order])
    )
    adjusted = np.empty(len(p_values))
    adjusted[order] = stepped
    return [float(p) for p in adjusted]
