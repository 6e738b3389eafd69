"""Length-controlled wins against a known length bias, brute force, and an independent fit."""

import numpy as np
import pytest
from scipy import optimize

from pipeline.validation.length_control import PRIOR, RIDGE, at_equal_length, length_controlled
from tests.validation.worlds import bound, judged


def sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-x)))


def drawn(
    rng: np.random.Generator, n: int, theta: float, phi: float, shift: float
) -> tuple[np.ndarray, np.ndarray]:
    """Wins of answers that are longer by `shift` standard deviations, for a judge that likes it."""
    longer = 30 * rng.normal(shift, 1, n)
    return (rng.random(n) < sigmoid(theta + phi * np.tanh(longer / 30))).astype(float), longer


def test_the_regression_is_the_minimum_of_its_loss() -> None:
    won, longer = drawn(np.random.default_rng(0), 30, 0.5, 1.0, 0.7)
    bent = np.tanh(longer / longer.std())

    def loss(point: np.ndarray) -> float:
        theta, phi = point
        logits = theta + phi * bent
        fit = np.sum(won * np.logaddexp(0, -logits) + (1 - won) * np.logaddexp(0, logits))
        prior = PRIOR * (np.logaddexp(0, -theta) + np.logaddexp(0, theta)) / 2
        return float(fit + prior + RIDGE * phi**2 / 2)

    known = optimize.minimize(loss, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-8})
    (theta,), _ = at_equal_length(won, bent, np.ones((1, 30)))
    assert theta == pytest.approx(known.x[0], abs=1e-4)


def test_the_values_mean_theta_and_spread_as_its_jackknife() -> None:
    won, longer = drawn(np.random.default_rng(1), 25, 0.2, 1.0, 0.5)
    bent = np.tanh(longer / longer.std())
    values = length_controlled(won, longer)
    each = [at_equal_length(np.delete(won, i), np.delete(bent, i), np.ones((1, 24)))[0][0]
            for i in range(25)]  # fmt: skip
    (whole,), _ = at_equal_length(won, bent, np.ones((1, 25)))
    assert values.mean() == pytest.approx(whole)
    jackknife = np.sqrt(24 / 25 * np.sum((np.array(each) - np.mean(each)) ** 2))
    assert values.std(ddof=1) / 5 == pytest.approx(jackknife)


def test_who_wins_all_or_none_and_who_wins_alone_have_finite_values() -> None:
    for won in (np.ones(12), np.zeros(12), np.ones(1), np.ones(0)):
        values = length_controlled(won, np.arange(float(len(won))))
        assert len(values) == len(won) and np.isfinite(values).all()
    assert length_controlled(np.full(6, 0.5), np.zeros(6)) == pytest.approx(0)


def test_a_length_bias_is_taken_out_and_nothing_is_called_something_rarely() -> None:
    """A judge that likes length, and answers no better but a standard deviation longer."""
    rng = np.random.default_rng(2)
    values, raw = [], []
    for _ in range(2000):
        won, longer = drawn(rng, 40, 0.0, 1.5, 1.0)
        values.append(length_controlled(won, longer))
        raw.append(won - 0.5)
    worlds = np.array(values)
    p, low, high = judged(worlds)
    # The plain win rate takes the length for quality.
    assert np.mean(judged(np.array(raw))[0] <= 0.05) > 0.4
    assert abs(worlds.mean()) < 0.06 and bound(int((p <= 0.05).sum()), 2000) < 0.065
    assert np.mean((low <= 0) & (high >= 0)) >= 0.93
