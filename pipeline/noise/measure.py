"""How well a score finds wrong labels, with intervals."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from pipeline.noise.coding import Floats
from pipeline.noise.intervals import wilson

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Measured:
    """A number in [low, high] with the confidence asked for."""

    value: float
    low: float
    high: float
    n: int


def auroc(score: Floats, positive: Mask, confidence: float = 0.95) -> Measured:
    """P(a wrong label scores higher than a right one), ties half; interval by DeLong et al. 1988.

    Midranks give the placements of each pair among those of the other class (Sun and Xu 2014).
    """
    wrong, right = score[positive], score[~positive]
    m, n = len(wrong), len(right)
    if m == 0 or n == 0:
        return Measured(0.5, 0.0, 1.0, m + n)
    ranks = stats.rankdata(np.concatenate([wrong, right]))
    # (m,) share of right labels below each wrong one
    above = (ranks[:m] - stats.rankdata(wrong)) / n
    below = 1 - (ranks[m:] - stats.rankdata(right)) / m
    value = float(above.mean())
    variance = (above.var(ddof=1) / m if m > 1 else 0.25) + (
        below.var(ddof=1) / n if n > 1 else 0.25
    )
    half = float(stats.norm.ppf(0.5 + confidence / 2) * np.sqrt(variance))
    return Measured(value, max(0.0, value - half), min(1.0, value + half), m + n)


def precision_at(
    score: Floats, positive: Mask, k: int, tie_break: Floats, confidence: float = 0.95
) -> Measured:
    """Share of wrong labels among the k pairs of the highest score;
    equal scores by `tie_break`; Wilson's interval.
    """
    top = np.lexsort((tie_break, -score))[:k]
    value = float(positive[top].mean())
    low, high = wilson(np.array([value]), np.array([float(k)]), confidence)
    return Measured(value, float(low[0]), float(high[0]), k)


def mean_of(
    values: Floats, groups: npt.NDArray[np.int64], seed: int, confidence: float = 0.95
) -> Measured:
    """Mean over groups (prompts) of their means; percentile bootstrap interval over groups."""
    each = np.bincount(groups, values) / np.bincount(groups)
    value = float(each.mean())
    if len(each) < 2 or np.ptp(each) == 0:
        return Measured(value, value, value, len(values))
    rng = np.random.default_rng(seed)
    found = stats.bootstrap(
        (each,),
        np.mean,
        n_resamples=2000,
        confidence_level=confidence,
        method="percentile",
        rng=rng,
    )
    return Measured(
        value,
        float(found.confidence_interval.low),
        float(found.confidence_interval.high),
        len(values),
    )
