"""Do a judge's probabilities mean what they say? Calibration against labelled pairs,
by scikit-learn.

A pair has no natural first side, so that p for a and 1 - p for b are the same statement: every map
here obeys f(1 - p) = 1 - f(p), by fitting each pair together with its mirror image.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import expit, logit

from pipeline.ids import unit_for
from pipeline.judge.strength import Calibration

BINS = 10
EDGE = 1e-4  # log-odds stay finite


@dataclass(frozen=True)
class Reliability:
    """Expected calibration error and the curve behind it."""

    ece: float
    curve: list[tuple[float, float, int]]  # per bin: mean confidence, share right, pairs


def fit(kind: Literal["temperature", "isotonic"], p: np.ndarray, label: np.ndarray) -> Calibration:
    """The map from p (n,) to calibrated P(a is better), fitted on labels (n,):
    1 where a is better, else 0.

    Without labels, and for a judge no better than chance, everything becomes 0.5.
    """
    if not len(p):
        return lambda new: np.full_like(new, 0.5)
    if kind == "isotonic":
        from sklearn.isotonic import IsotonicRegression

        monotone = IsotonicRegression(y_min=EDGE, y_max=1 - EDGE, out_of_bounds="clip")
        monotone.fit(np.r_[p, 1 - p], np.r_[label, 1 - label])
        return lambda new: np.asarray(monotone.predict(new))
    found = temperature(p, label)
    if found is None:
        return lambda new: np.full_like(new, 0.5)
    return lambda new: np.asarray(expit(_odds(new) / found))


def temperature(p: np.ndarray, label: np.ndarray) -> float | None:
    """T of p -> sigmoid(logit(p) / T) at the highest likelihood;
    None where the judge is no better than chance.

    Guo et al. 2017 (arXiv 1706.04599), here a logistic regression of the label on the log-odds
    without an intercept, with a little L2 (C = 100: our choice) that keeps T above 0 when every
    pair is judged right.
    """
    from sklearn.linear_model import LogisticRegression

    odds = _odds(p)
    if not len(p) or np.abs(odds).max() < 1e-12:
        return None
    model = LogisticRegression(fit_intercept=False, C=100.0)
    model.fit(np.r_[odds, -odds][:, None], np.r_[label, 1 - label])
    slope = float(model.coef_[0, 0])
    return 1 / slope if slope > 1e-6 else None


def reliability(p: np.ndarray, label: np.ndarray) -> Reliability:
    """Expected calibration error in 10 equal bins of the confidence max(p, 1 - p) in [0.5, 1].

    Naeini et al. 2015: the mean over pairs of |share right - mean confidence| of their bin. A tie
    is half right.
    """
    confidence = np.maximum(p, 1 - p)
    right = np.where(p == 0.5, 0.5, (p > 0.5) == (label > 0.5))
    place = np.minimum(((confidence - 0.5) * 2 * BINS).astype(int), BINS - 1)
    curve = [
        (
            float(confidence[place == i].mean()),
            float(right[place == i].mean()),
            int((place == i).sum()),
        )
        for i in range(BINS)
        if (place == i).any()
    ]
    return Reliability(
        sum(n * abs(share - mean) for mean, share, n in curve) / max(len(p), 1), curve
    )


def cross_fitted(
    kind: Literal["temperature", "isotonic"], ids: list[str], p: np.ndarray, label: np.ndarray
) -> float:
    """Expected calibration error after calibration,
    each half of the pairs (by hash) mapped by a fit on the other.
    """
    half = np.array([unit_for("calibration", one) < 0.5 for one in ids])
    mapped = np.empty_like(p)
    for mine in (half, ~half):
        if mine.any():
            mapped[mine] = fit(kind, p[~mine], label[~mine])(p[mine])
    return reliability(mapped, label).ece


def _odds(p: np.ndarray) -> np.ndarray:
    return np.asarray(logit(np.clip(p, EDGE, 1 - EDGE)))
