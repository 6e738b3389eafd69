"""How often a policy would win with answers as long as the base model's, in log-odds.

Dubois et al. 2024 (arXiv 2404.04475, eq. 2) without the term of an instruction's difficulty, which
takes many models on one set of prompts:
logit P(win) = theta + phi * tanh(difference of lengths / its standard deviation).
theta is the log-odds of winning at equal length, and sigmoid(theta) the length-controlled win rate.
We compare theta itself: its error is nearly the same wherever it lies, that of a rate is not, and
tests on the rate called nothing something in 12 % of simulated worlds of 40 prompts.
"""

import numpy as np
import numpy.typing as npt
import polars as pl

Numbers = npt.NDArray[np.float64]
# Our choice, against separation: half a comparison won and half lost at equal length, and a normal
# prior on phi with variance 4.
PRIOR, RIDGE = 1.0, 0.25
STEPS = 15  # of Newton's method; it has converged long before
FEW = 4  # from a solution nearby


def length_controlled(won: Numbers, longer: Numbers) -> Numbers:
    """(n,) values, one per prompt, whose mean is theta and whose standard error is its jackknife's.

    So they are compared and resampled as the values of any other metric are:
    theta + (n - 1) * (mean of the thetas without one prompt - theta without this prompt).

    Args:
        won: (n,) 1 won, 0 lost, 0.5 tied, or a mean of these over judges.
        longer: (n,) tokens of the policy's answer minus those of the base model's.
    """
    n = len(won)
    bent = np.tanh(longer / (float(longer.std()) or 1.0)) if n else longer
    whole = at_equal_length(won, bent, np.ones((1, n)))
    without, _ = at_equal_length(won, bent, 1.0 - np.eye(n), start=whole, steps=FEW)
    return np.asarray(whole[0] + (n - 1) * (without.mean() - without)) if n else won


def at_equal_length(
    won: Numbers,
    bent: Numbers,
    weights: Numbers,
    start: tuple[Numbers, Numbers] | None = None,
    steps: int = STEPS,
) -> tuple[Numbers, Numbers]:
    """(k,) theta and (k,) phi of the logistic regression, for each row of weights (k, n).

    bent: (n,) tanh of the scaled differences of lengths. start: theta and phi nearby.
    """
    theta, phi = (np.zeros(len(weights)) + one for one in start or (0.0, 0.0))
    for _ in range(steps):
        p = _sigmoid(theta[:, None] + phi[:, None] * bent)  # (k, n)
        prior = _sigmoid(theta)
        miss = weights * (won - p)
        information = weights * p * (1 - p)
        slope_theta = miss.sum(axis=1) + PRIOR * (0.5 - prior)
        slope_phi = miss @ bent - RIDGE * phi
        a = information.sum(axis=1) + PRIOR * prior * (1 - prior)
        b = information @ bent
        c = information @ bent**2 + RIDGE
        determinant = a * c - b * b
        theta = theta + np.clip((c * slope_theta - b * slope_phi) / determinant, -1, 1)
        phi = phi + np.clip((a * slope_phi - b * slope_theta) / determinant, -1, 1)
    return theta, phi


def controlled(win_rate: pl.DataFrame, longer: pl.DataFrame) -> pl.DataFrame:
    """(unit_id, value) of `length_controlled`, given (unit_id, value) of both."""
    both = win_rate.join(longer.select("unit_id", longer="value"), on="unit_id")
    values = length_controlled(both["value"].to_numpy(), both["longer"].to_numpy())
    return both.select("unit_id", value=pl.Series(values, dtype=pl.Float64))


def _sigmoid(x: Numbers) -> Numbers:
    return np.asarray(1 / (1 + np.exp(-x)))
