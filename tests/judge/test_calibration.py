"""Calibration of judges whose over-confidence is known."""

import numpy as np
import pytest
from scipy.special import expit, logit

from pipeline.judge.calibration import cross_fitted, fit, reliability, temperature


def overconfident(n: int, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """True P(a is better), spread evenly; labels drawn by a fixed generator.

    The judge says logits times `factor`.
    """
    rng = np.random.default_rng(0)
    true = rng.uniform(0.05, 0.95, n)
    return expit(factor * logit(true)), (rng.uniform(size=n) < true).astype(float)


def test_the_temperature_of_a_simulated_judge_is_found_and_the_error_falls() -> None:
    p, label = overconfident(4000, 3.0)
    assert temperature(p, label) == pytest.approx(3.0, rel=0.15)
    before = reliability(p, label).ece
    after = cross_fitted("temperature", [str(i) for i in range(len(p))], p, label)
    assert before > 0.12 and after < 0.03
    assert cross_fitted("isotonic", [str(i) for i in range(len(p))], p, label) < 0.04


def test_a_judge_below_chance_has_no_temperature_and_says_nothing_afterwards() -> None:
    p, label = overconfident(500, -1.0)
    assert temperature(p, label) is None
    assert set(fit("temperature", p, label)(p)) == {0.5}


def test_the_expected_calibration_error_of_four_pairs_by_hand() -> None:
    # confidence 0.9 (bin 8): one right, one wrong, so |0.5 - 0.9| = 0.4; 0.62 (bin 2): both right,
    # |1 - 0.62| = 0.38
    found = reliability(np.array([0.9, 0.1, 0.62, 0.38]), np.array([1.0, 1.0, 1.0, 0.0]))
    assert found.ece == pytest.approx((2 * 0.4 + 2 * 0.38) / 4)
    assert found.curve == [(pytest.approx(0.62), 1.0, 2), (pytest.approx(0.9), 0.5, 2)]


@pytest.mark.parametrize("kind", ["temperature", "isotonic"])
def test_which_side_is_called_a_does_not_matter(kind) -> None:
    p, label = overconfident(300, 2.0)
    mapped = fit(kind, p, label)
    points = np.linspace(0.05, 0.95, 19)
    assert mapped(1 - points) == pytest.approx(1 - mapped(points), abs=1e-6)


def test_one_kind_of_label_or_none_is_no_failure() -> None:
    assert temperature(np.array([0.9, 0.8]), np.array([1.0, 1.0])) > 0
    assert temperature(np.array([]), np.array([])) is None
    assert cross_fitted("isotonic", ["x"], np.array([0.9]), np.array([1.0])) <= 1
