"""Intervals over prompts, paired."""

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

    @property
    def verdict(self) -> str:
        """better, worse, or not distinguishable: whether the interval excludes zero."""
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "not distinguishable"


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


def prompts_needed(difference: npt.NDArray[np.float64], confidence: float, power: float = 0.8) -> int | None:
    """How many prompts a two-sided paired test of this mean difference would take; null where it is zero.

    Normal approximation: n = ((z_confidence + z_power) * sd / mean)^2.
    """
    mean, spread = float(np.mean(difference)), float(np.std(difference, ddof=1)) if len(difference) > 1 else 0.0
    if mean == 0 or spread == 0:
        return None
    z = stats.norm.ppf(0.5 + confidence / 2) + stats.norm.ppf(power)
    return int(np.ceil((z * spread / mean) ** 2))
