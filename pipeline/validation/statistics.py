"""Intervals over prompts, paired."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats


@dataclass(frozen=True)
class Interval:
    """A mean with its bootstrap interval."""

    mean: float
    low: float
    high: float


def verdict(interval: Interval, p: float, confidence: float) -> str:
    """better, worse, or not distinguishable: whether the interval excludes zero and the corrected p-value agrees."""
    if p > 1 - confidence or interval.low <= 0 <= interval.high:
        return "not distinguishable"
    return "better" if interval.low > 0 else "worse"


def paired_bootstrap(
    values: npt.NDArray[np.float64], baseline: npt.NDArray[np.float64], *, resamples: int, confidence: float, seed: int
) -> Interval:
    """Percentile bootstrap interval of the mean difference, prompts drawn with replacement.

    values, baseline: (n prompts,), the same prompts in the same order, each a mean over draws and seeds.
    """
    difference = np.asarray(values, dtype=np.float64) - np.asarray(baseline, dtype=np.float64)
    mean = float(difference.mean())
    if len(difference) < 2 or np.ptp(difference) == 0:
        return Interval(mean, mean, mean) if len(difference) > 1 else Interval(mean, -1.0, 1.0)
    result = stats.bootstrap(
        (difference,), np.mean, n_resamples=resamples, confidence_level=confidence, method="percentile",
        vectorized=True, batch=1000, rng=np.random.default_rng(seed),
    )  # fmt: skip
    return Interval(mean, float(result.confidence_interval.low), float(result.confidence_interval.high))


def sign_flip_p(
    values: npt.NDArray[np.float64], baseline: npt.NDArray[np.float64], *, resamples: int, seed: int
) -> float:
    """Two-sided p-value of the mean difference: each prompt's sign is as likely as its opposite if nothing differs.

    Exact up to about 13 prompts with 10,000 resamples, else Monte Carlo (Fisher's randomisation test for pairs).
    """
    difference = np.asarray(values, dtype=np.float64) - np.asarray(baseline, dtype=np.float64)
    if len(difference) < 2 or not difference.any():
        return 1.0
    result = stats.permutation_test(
        (difference,), np.mean, permutation_type="samples", n_resamples=resamples, vectorized=True, batch=1000,
        rng=np.random.default_rng(seed),
    )  # fmt: skip
    return float(result.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values of several comparisons (Holm 1979): the family-wise error stays below the level asked for."""
    order = np.argsort(p_values, kind="stable")
    factors = len(p_values) - np.arange(len(p_values))
    stepped = np.minimum(1.0, np.maximum.accumulate(factors * np.asarray(p_values, dtype=np.float64)[order]))
    adjusted = np.empty(len(p_values))
    adjusted[order] = stepped
    return [float(p) for p in adjusted]


def prompts_needed(difference: npt.NDArray[np.float64], confidence: float, power: float = 0.8) -> int | None:
    """How many prompts a two-sided paired test of this mean difference would take; null where it is zero.

    Normal approximation: n = ((z_confidence + z_power) * sd / mean)^2.
    """
    mean, spread = float(np.mean(difference)), float(np.std(difference, ddof=1)) if len(difference) > 1 else 0.0
    if mean == 0 or spread == 0:
        return None
    z = stats.norm.ppf(0.5 + confidence / 2) + stats.norm.ppf(power)
    return int(np.ceil((z * spread / mean) ** 2))
