"""From margins on any scale to probabilities that mean what they say,
against labels that are partly wrong.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.optimize import minimize
from scipy.special import expit

from pipeline.noise.coding import Floats

STEEPEST = 30.0  # slope on margins of root mean square 1: a sign, in effect
# standard deviation of such a slope's normal prior, mean 0: our choice, felt by small sets only
USUAL = 5.0
NOTHING = 1e-6  # nats a label: below this the slope is as good as unknown, and 0 is said
# kinds of voters that learnt from the labels which they are compared with
OWN = ("reward head", "fine-tuned")


@dataclass(frozen=True)
class Calibration:
    """P(chosen is better) = sigmoid(slope * margin).

    `label_eta` is the share of right labels that it assumes.
    """

    slope: float
    label_eta: float


def fit(margins: Floats, *, contrary: bool = True, label_eta: float | None = None) -> Calibration:
    """The slope under which margins explain the labels best, when a share of the labels is wrong.

    Every margin is that of the labelled side over the other, so the likelihood of a label is
    eta sigmoid(a m) + (1 - eta) sigmoid(-a m): LCPO's model with one annotator. No intercept:
    exchanging the sides must negate the log-odds. eta is held at 0.5 or more, else (a, eta) and
    (-a, 1 - eta) were the same; a voter that says the opposite of the truth has a negative slope.
    Constant margins of 0 give slope 0. A wide prior on the slope, and one right and one wrong
    pseudo label, keep a few dozen margins from being believed without a limit.

    contrary: False where the voter learnt from these labels themselves: it cannot know better by
    contradicting them,
        a negative slope is chance (small folds do that), and 0 is returned for it.
    label_eta: the share of right labels where it is known; null: it is fitted too.
    """
    n = max(len(margins), 1)
    scale = float(np.sqrt(np.mean(np.square(margins)))) if len(margins) else 0.0
    if scale == 0.0:
        return Calibration(0.0, 0.5)
    m = margins / scale

    def loss(parameters: Floats) -> tuple[float, Floats]:
        a, eta = parameters
        up = expit(a * m)
        label = eta * up + (1 - eta) * (1 - up)
        gap = (2 * eta - 1) * up * (1 - up) * m
        pull = (a / USUAL) ** 2 / 2 - np.log(eta) - np.log(1 - eta)
        slopes = np.array([a / USUAL**2, 1 / (1 - eta) - 1 / eta]) / n
        found = np.array([(gap / label).mean(), ((2 * up - 1) / label).mean()])
        return float(pull) / n - float(np.log(label).mean()), slopes - found

    held = None if label_eta is None else min(max(label_eta, 0.5 + 1e-6), 1 - 1e-6)
    etas = (0.5 + 1e-6, 1 - 1e-6) if held is None else (held, held)
    bounds = [(-STEEPEST if contrary else 0.0, STEEPEST), etas]
    signs = (1.0, -1.0) if contrary else (1.0,)
    found = [
        minimize(loss, (sign, held or 0.9), jac=True, bounds=bounds, method="L-BFGS-B")
        for sign in signs
    ]
    best = min(found, key=lambda result: float(result.fun))
    a, eta = float(best.x[0]), float(best.x[1])
    up = expit(a * m)
    # over knowing nothing, nats a label
    gain = float(np.log(eta * up + (1 - eta) * (1 - up)).mean()) + np.log(2)
    return Calibration(a / scale, eta) if gain > NOTHING else Calibration(0.0, 0.5)


def calibrate(votes: pl.DataFrame) -> pl.DataFrame:
    """Votes with p = sigmoid(slope * margin), one slope a voter.

    Votes that came without a margin stay.

    votes: pair_id, voter_id, p, margin, where the chosen side is the labelled one; and perhaps
    kind.
    """
    slopes = {
        str(voter): fit(rows["margin"].to_numpy(), contrary=not _own(rows)).slope
        for (voter,), rows in votes.filter(pl.col("margin").is_not_null()).group_by("voter_id")
    }
    slope = pl.col("voter_id").replace_strict(slopes, default=None, return_dtype=pl.Float64)
    odds = slope * pl.col("margin")
    return votes.with_columns(p=pl.coalesce(1 / (1 + (-odds).exp()), "p"))


def _own(votes: pl.DataFrame) -> bool:
    return "kind" in votes.columns and votes["kind"][0] in OWN


def calibrated_prior(means: pl.DataFrame) -> pl.DataFrame:
    """(pair_id, p) from (pair_id, mean):
    the mean margin of several reward models as one calibrated probability.

    One prior and not a vote a model: models trained on the same pairs err together, and would be
    counted M times.
    No rows where they agree with the labels no more often than chance: even odds would be a number
    without a reason.
    """
    known = means.filter(pl.col("mean").is_not_null())
    slope = fit(known["mean"].to_numpy(), contrary=False).slope
    if slope <= 0:
        known = known.clear()
    return known.select("pair_id", p=1 / (1 + (-slope * pl.col("mean")).exp()))
