"""Intervals, tests and sample sizes against a simulated truth and closed forms."""

import numpy as np
import pytest
from scipy import stats

from pipeline.validation.statistics import (
    Interval,
    bootstrap,
    holm,
    paired_bootstrap,
    sign_flip_p,
    verdict,
)

OPTIONS = {"resamples": 2000, "confidence": 0.95, "seed": 0}


def test_the_interval_covers_the_true_difference_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(300):
        base = rng.binomial(4, 0.3, 60) / 4
        better = rng.binomial(4, 0.4, 60) / 4
        interval = paired_bootstrap(better, base, **{**OPTIONS, "resamples": 500})
        covered += interval.low <= 0.1 <= interval.high
    assert 0.90 <= covered / 300 <= 0.98


def test_it_agrees_with_the_normal_interval_of_the_mean_and_with_scipys_bootstrap() -> None:
    rng = np.random.default_rng(2)
    difference = rng.normal(0.2, 1, 1000)
    interval = paired_bootstrap(difference, np.zeros(1000), **OPTIONS)
    half = 1.96 * difference.std() / np.sqrt(1000)
    assert abs(interval.low - (difference.mean() - half)) < 0.01
    assert abs(interval.high - (difference.mean() + half)) < 0.01
    skewed = rng.exponential(1, 25)
    other = stats.bootstrap(
        (skewed,), np.mean, n_resamples=20_000, method="percentile", rng=rng
    ).confidence_interval
    own = bootstrap(skewed, resamples=20_000, confidence=0.95, seed=0)
    assert own is not None and (own.low, own.high) == pytest.approx(other, abs=0.01)


def test_a_resampling_in_parts_says_what_one_at_once_says(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(3).normal(size=50)
    whole = bootstrap(values, resamples=4000, confidence=0.9, seed=1)
    monkeypatch.setattr("pipeline.validation.statistics.CELLS", 2500)  # 50 resamples at a time
    parts = bootstrap(values, resamples=4000, confidence=0.9, seed=1)
    assert (
        whole
        and parts
        and (parts.low, parts.high) == pytest.approx((whole.low, whole.high), abs=0.02)
    )


def test_the_interval_over_prompts_and_seeds_covers_where_prompts_alone_are_too_sure() -> None:
    rng = np.random.default_rng(4)
    both, prompts = 0, 0
    for _ in range(200):  # every seed moves all prompts together; the true gain is 0.1
        table = 0.1 + rng.normal(0, 0.1, (8, 1)) + rng.normal(0, 0.3, (8, 40))
        options = {"resamples": 400, "confidence": 0.95, "seed": 0}
        crossed, single = bootstrap(table, **options), bootstrap(table.mean(axis=0), **options)
        assert crossed and single
        both += crossed.low <= 0.1 <= crossed.high
        prompts += single.low <= 0.1 <= single.high
    assert 0.85 <= both / 200 <= 0.99 and prompts / 200 < 0.75


def test_pairing_removes_what_prompts_share_and_one_unit_has_no_interval() -> None:
    base = np.tile([0.0, 1.0], 50)
    interval = paired_bootstrap(np.clip(base + 0.1, 0, 2), base, **OPTIONS)
    assert interval.low > 0 and interval.high - interval.low < 1e-9
    assert bootstrap(np.array([[3.0], [4.0]]), **OPTIONS) is None


def test_a_verdict_needs_the_interval_and_the_corrected_p_value() -> None:
    above, below, across = (
        Interval(0.1, 0.05, 0.2),
        Interval(-0.1, -0.2, -0.05),
        Interval(0.1, -0.1, 0.2),
    )
    assert verdict(above, 0.01, 0.95) == "better" and verdict(below, 0.01, 0.95) == "worse"
    assert verdict(above, 0.06, 0.95) == "not distinguishable" == verdict(across, 0.01, 0.95)
    one = paired_bootstrap(np.array([1.0]), np.array([0.0]), **OPTIONS)
    assert one.low < 0 < one.high


def test_the_sign_flip_p_value_is_exact_for_few_prompts_and_uniform_where_nothing_differs() -> None:
    # Differences 1, 2, 3, -4: |sum| = 2; of the 16 sign patterns those with |sum| >= 2 are all but
    # |sum| = 0 (two).
    assert sign_flip_p(np.array([1.0, 2, 3, -4]), np.zeros(4), resamples=1000, seed=0) == 14 / 16
    assert (
        sign_flip_p(np.array([[0.0, 1, 3, -5], [2, 3, 3, -3]]), np.zeros(4), resamples=1000, seed=0)
        == 14 / 16
    )
    assert sign_flip_p(np.ones(5), np.ones(5), resamples=1000, seed=0) == 1.0
    rng = np.random.default_rng(3)
    ps = [sign_flip_p(rng.normal(size=30), np.zeros(30), resamples=300, seed=i) for i in range(300)]
    assert 0.02 <= np.mean(np.array(ps) <= 0.05) <= 0.09


def test_holm_is_the_worked_example() -> None:
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1; then never falling.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0] and holm([]) == []
