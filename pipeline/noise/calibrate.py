"""From margins on any scale to probabilities that mean what they say, against labels that are partly wrong."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.optimize import minimize
from scipy.special import expit

from pipeline.noise.coding import Floats

STEEPEST = 30.0  # slope on margins of root mean square 1: a sign, in effect


@dataclass(frozen=True)
class Calibration:
    """P(chosen is better) = sigmoid(slope * margin); `label_eta` is the share of right labels that it assumes."""

    slope: float
    label_eta: float


def fit(margins: Floats) -> Calibration:
    """The slope under which margins explain the labels best, when a share of the labels is wrong.

    Every margin is that of the labelled side over the other, so the likelihood of a label is
    eta sigmoid(a m) + (1 - eta) sigmoid(-a m): LCPO's model with one annotator. No intercept: exchanging the sides
    must negate the log-odds. eta is held at 0.5 or more, else (a, eta) and (-a, 1 - eta) were the same; a voter
    that says the opposite of the truth has a negative slope. Constant margins of 0 give slope 0.
    """
    scale = float(np.sqrt(np.mean(np.square(margins)))) if len(margins) else 0.0
    if scale == 0.0:
        return Calibration(0.0, 0.5)
    m = margins / scale

    def loss(parameters: Floats) -> tuple[float, Floats]:
        a, eta = parameters
        up = expit(a * m)
        label = eta * up + (1 - eta) * (1 - up)
        gap = (2 * eta - 1) * up * (1 - up) * m
        return -float(np.log(label).mean()), -np.array([(gap / label).mean(), ((2 * up - 1) / label).mean()])

    bounds = [(-STEEPEST, STEEPEST), (0.5 + 1e-6, 1 - 1e-6)]
    found = [minimize(loss, (sign, 0.9), jac=True, bounds=bounds, method="L-BFGS-B") for sign in (1.0, -1.0)]
    best = min(found, key=lambda result: float(result.fun))
    return Calibration(float(best.x[0]) / scale, float(best.x[1]))


def calibrate(votes: pl.DataFrame) -> pl.DataFrame:
    """Votes with p = sigmoid(slope * margin), one slope a voter; votes that came without a margin stay.

    votes: pair_id, voter_id, p, margin, where the chosen side is the labelled one.
    """
    slopes = {
        str(voter): fit(rows["margin"].to_numpy()).slope
        for (voter,), rows in votes.filter(pl.col("margin").is_not_null()).group_by("voter_id")
    }
    slope = pl.col("voter_id").replace_strict(slopes, default=None, return_dtype=pl.Float64)
    odds = slope * pl.col("margin")
    return votes.with_columns(p=pl.coalesce(1 / (1 + (-odds).exp()), "p"))


def calibrated_prior(means: pl.DataFrame) -> pl.DataFrame:
    """(pair_id, p) from (pair_id, mean): the mean margin of several reward models as one calibrated probability.

    One prior and not a vote a model: models trained on the same pairs err together, and would be counted M times.
    """
    known = means.filter(pl.col("mean").is_not_null())
    slope = fit(known["mean"].to_numpy()).slope
    return known.select("pair_id", p=1 / (1 + (-slope * pl.col("mean")).exp()))
