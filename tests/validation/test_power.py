"""The textbook's numbers, a simulation of the power that is promised, and what seeds do to both."""

import numpy as np
import pytest

from pipeline.validation.power import Power
from pipeline.validation.seeds import Spread, gain
from pipeline.validation.statistics import paired_bootstrap, sign_flip_p, verdict


def test_prompts_needed_matches_the_textbook_formula() -> None:
    difference = np.array([0.5, -0.5, 0.6, -0.4])  # sd 0.5802
    spread = difference.std(ddof=1)
    assert Power(0.95).prompts_needed(difference, 0.05) == int(
        np.ceil(((1.959964 + 0.841621) * spread / 0.05) ** 2)
    )
    # Five comparisons: the level is 0.01, z = 2.575829.
    five = Power(0.95, 0.8, comparisons=5)
    assert five.prompts_needed(difference, 0.05) == int(
        np.ceil(((2.575829 + 0.841621) * spread / 0.05) ** 2)
    )
    assert five.detectable(difference) == pytest.approx((2.575829 + 0.841621) * spread / 2)
    assert (
        Power(0.95).prompts_needed(np.zeros(5), 0.05) is None
        and Power(0.95).detectable(np.zeros(1)) is None
    )


def test_as_many_prompts_as_it_says_show_the_true_gain_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)

    def gains(n: int, gain: float) -> np.ndarray:
        """Differences of four draws each of a policy and the base model,
        on prompts of different difficulty.
        """
        ability = rng.uniform(0.1, 0.7, n)
        return rng.binomial(4, ability + gain) / 4 - rng.binomial(4, ability) / 4

    needed = Power(0.95, 0.8).prompts_needed(gains(20_000, 0.0), 0.1)
    # E[a(1 - a)] = 0.21, so the variance is 2 * 0.21 / 4 = 0.105 and n = 2.8016^2 * 0.105 / 0.1^2 =
    # 82.4.
    assert needed is not None and abs(needed - 82.4) < 4
    verdicts = []
    for i in range(300):
        found = gains(needed, 0.1)
        interval = paired_bootstrap(found, np.zeros(needed), resamples=400, confidence=0.95, seed=0)
        p = sign_flip_p(found, np.zeros(needed), resamples=400, seed=i)
        verdicts.append(verdict(interval, p, 0.95))
    assert 0.73 <= verdicts.count("better") / 300 <= 0.87  # 0.8 and three standard errors


def test_what_is_needed_and_what_can_be_shown_are_one_formula_with_seeds_too() -> None:
    rng = np.random.default_rng(8)
    apart = (
        np.array([[0.0], [0.1], [0.2]]) + rng.normal(0.1, 0.3, 200) + rng.normal(0, 0.1, (3, 200))
    )
    power = Power(0.95)
    least = power.detectable(apart)
    assert least is not None and power.prompts_needed(apart, least + 1e-9) == 200
    # Never below what the seeds alone add: their standard deviation 0.1 (one of three seeds), over
    # sqrt(3).
    assert least > power.z * 0.09 / np.sqrt(3)
    assert power.prompts_needed(apart, 0.1) is None and (power.prompts_needed(apart, 2.0) or 0) < 10
    # other variants' seeds hardly differ
    calm = Spread(seeds=0.0, rest=0.01, seeds_df=10.0, rest_df=100.0)
    assert (power.detectable(apart, calm) or 1) < least


def test_with_seeds_the_detectable_gain_is_found_as_often_as_it_says() -> None:
    rng = np.random.default_rng(9)
    seeds, prompts, between = 4, 50, 0.05

    def drawn(truth: float) -> np.ndarray:
        by_seed = rng.normal(0, between, seeds)[:, None]
        return truth + rng.normal(0, 0.3, prompts) + by_seed + rng.normal(0, 0.2, (seeds, prompts))

    # 3,000 seeds tell how far seeds are apart; the variance is 0.3^2 / 50 + 0.2^2 / 200 + 0.05^2 /
    # 4.
    spread = Spread.pooled([drawn(0.0) for _ in range(1000)])
    power = Power(0.95)
    least = float(np.mean([power.detectable(drawn(0.0), spread) or 0.0 for _ in range(200)]))
    assert least == pytest.approx(power.z * np.sqrt(0.0018 + 0.0002 + 0.000625), rel=0.03)
    options = {"resamples": 10, "confidence": 0.95, "seed": 0, "spread": spread}
    shown = sum(
        gain(drawn(least), np.zeros(prompts), **options).interval.low > 0 for _ in range(600)
    )
    assert 0.74 <= shown / 600 <= 0.86  # 0.8, and the t's wider tails
