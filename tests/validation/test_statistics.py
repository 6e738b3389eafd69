"""Intervals against a simulated truth and closed forms."""

import numpy as np

from pipeline.validation.statistics import Interval, paired_bootstrap, prompts_needed

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


def test_it_agrees_with_the_normal_interval_of_the_mean() -> None:
    rng = np.random.default_rng(2)
    difference = rng.normal(0.2, 1, 1000)
    interval = paired_bootstrap(difference, np.zeros(1000), **OPTIONS)
    half = 1.96 * difference.std() / np.sqrt(1000)
    assert abs(interval.low - (difference.mean() - half)) < 0.01
    assert abs(interval.high - (difference.mean() + half)) < 0.01


def test_pairing_removes_what_prompts_share() -> None:
    base = np.tile([0.0, 1.0], 50)
    interval = paired_bootstrap(np.clip(base + 0.1, 0, 2), base, **OPTIONS)
    assert interval.verdict == "better" and interval.high - interval.low < 1e-9


def test_verdicts_and_single_prompts() -> None:
    assert Interval(0.1, 0.05, 0.2).verdict == "better"
    assert Interval(-0.1, -0.2, -0.05).verdict == "worse"
    assert Interval(0.1, -0.1, 0.2).verdict == "not distinguishable"
    one = paired_bootstrap(np.array([1.0]), np.array([0.0]), **OPTIONS)
    assert one.verdict == "not distinguishable"


def test_prompts_needed_matches_the_textbook_formula() -> None:
    difference = np.array([0.5, -0.5, 0.6, -0.4])  # mean 0.05, sd 0.5802
    assert prompts_needed(difference, 0.95) == int(
        np.ceil(((1.959964 + 0.841621) * difference.std(ddof=1) / 0.05) ** 2)
    )
    assert prompts_needed(np.zeros(5), 0.95) is None
