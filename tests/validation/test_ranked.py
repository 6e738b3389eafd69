"""What is ranked on, by hand; and in simulated worlds how often nothing is called something."""

import numpy as np
import polars as pl
import pytest
from scipy import stats

from pipeline.config import ValidationSettings
from pipeline.errors import OrchardError
from pipeline.validation.evaluate import Candidate, units
from pipeline.validation.leaderboard import rank
from pipeline.validation.ranked import Ranked, RankedBy
from tests.validation.worlds import bound, judged, prompts, ranked

WORLDS = 2000


def measured(variant: str, metric: str, values: dict[str, float], seed: int = 0) -> pl.DataFrame:
    frame = pl.DataFrame(
        {"unit_id": list(values), "value": [float(one) for one in values.values()]}
    )
    return units(Candidate(f"{variant}{seed}", variant, seed), metric, frame)


def test_pairs_of_one_prompt_are_one_value_and_a_reward_has_half_of_the_pairs_as_its_base() -> None:
    of = {"a1": "a", "a2": "a", "a3": "a", "b1": "b"}
    rows = pl.concat(
        [
            measured("base", "ranking_accuracy", {"a1": 1, "a2": 0, "a3": 0, "b1": 1}),
            measured("uf", "ranking_accuracy", {"a1": 1, "a2": 1, "a3": 0, "b1": 1}),
            measured("uf", "reward_accuracy", {"a1": 1, "a2": 1, "a3": 1, "b1": 0.5}),
        ]
    )
    found = Ranked.of(rows, RankedBy({"ranking_accuracy": 1.0}, of), [])
    assert found.differences("uf")[0] == pytest.approx([1 / 3, 0.0])
    assert found.value("base") == pytest.approx(2 / 3) and found.prompts("uf") == {"a", "b"}
    rewards = Ranked.of(rows, RankedBy({"reward_accuracy": 1.0}, of), [])
    assert rewards.differences("uf").tolist() == [[0.5, 0.0]] and rewards.value("base") == 0.5
    assert rewards.variants == ["base", "uf"]


def test_a_board_by_ranking_accuracy_needs_no_verifier_and_says_what_it_ranks_by() -> None:
    of = {f"x{i}": f"p{i // 2}" for i in range(16)}
    base = dict.fromkeys(of, 0.0)
    rows = pl.concat(
        [
            measured("base", "ranking_accuracy", base),
            measured("uf", "ranking_accuracy", {**base, **dict.fromkeys(list(of)[:12], 1.0)}),
        ]
    )
    runs = pl.DataFrame(schema={n: pl.Int64 for n in ("n_pairs", "n_tokens", "n_steps", "seconds")})
    runs = runs.with_columns(
        variant=pl.lit("", pl.String), prompt_ids=pl.lit(None, pl.List(pl.String)),
        length_ratio=pl.lit(None, pl.Float64),
    ).clear()  # fmt: skip
    by = RankedBy({"ranking_accuracy": 1.0}, of)
    settings = ValidationSettings(bootstrap=500)
    uf, first = rank(rows, runs, {}, settings, 0, tests=[], by=by).to_dicts()
    assert (uf["metric"], uf["value"], uf["gain"], uf["n_prompts"]) == (
        "ranking_accuracy", 0.75, 0.75, 8,
    )  # fmt: skip
    assert uf["accuracy"] is None and uf["ranking_accuracy"] == 0.75 and uf["verdict"] == "better"
    assert uf["conclusion"].startswith(
        "uf is better than the base model: gain in ranking_accuracy +0.750 ["
    )
    said = "base ranks 0.0% of the held-out pairs of 8 prompts right."
    assert first["conclusion"] == said


def test_what_was_not_measured_and_units_of_another_day_are_errors() -> None:
    by = RankedBy({"ranking_accuracy": 1.0}, {"x": "p"})
    with pytest.raises(OrchardError, match="base model has no evaluation by ranking_accuracy"):
        Ranked.of(measured("uf", "ranking_accuracy", {"x": 1}), by, [])
    with pytest.raises(OrchardError, match="no policy has an evaluation by win_rate: see"):
        Ranked.of(measured("uf", "kl", {"x": 1}), RankedBy({"win_rate": 1.0}), [])
    both = RankedBy({"ranking_accuracy": 0.5, "win_rate": 0.5}, {"x": "p"})
    rows = pl.concat([measured(name, "ranking_accuracy", {"x": 1}) for name in ("base", "uf")])
    with pytest.raises(OrchardError, match="no policy has an evaluation by win_rate"):
        Ranked.of(rows, both, [])
    with pytest.raises(OrchardError, match="'base' was evaluated on other prompts"):
        Ranked.of(measured("base", "ranking_accuracy", {"gone": 1}), by, [])


def test_a_weighted_set_has_the_weighted_gain_and_the_error_of_what_it_is_made_of() -> None:
    rng = np.random.default_rng(0)
    one, two = rng.normal(0.1, 0.3, 40), rng.normal(0.3, 0.5, 25)
    values = {("uf", "accuracy"): one, ("base", "accuracy"): np.zeros(40), ("uf", "win_rate"): two}
    weights = {"accuracy": 0.6, "win_rate": 0.4}
    apart = ranked(weights, values, {"win_rate": prompts(25, 100)}).differences("uf")
    assert apart.shape == (1, 65)
    assert apart.mean() == pytest.approx(0.6 * one.mean() + 0.4 * (two.mean() - 0.5))
    # Two samples of prompts of their own: the variances add.
    few = [stats.t.ppf(0.975, n - 1) / stats.norm.ppf(0.975) for n in (40, 25)]
    known = few[0] ** 2 * 0.36 * one.var(ddof=1) / 40 + few[1] ** 2 * 0.16 * two.var(ddof=1) / 25
    assert apart.var() / 65 == pytest.approx(known)
    # The same prompts: the covariance counts too, as for the sum of each prompt's two values.
    values[("uf", "win_rate")] = same = 0.5 + one + rng.normal(0, 0.1, 40)
    shared = ranked(weights, values).differences("uf")[0]
    sums = 0.6 * one + 0.4 * (same - 0.5)
    assert shared.mean() == pytest.approx(sums.mean())
    assert shared.std() == pytest.approx(few[0] * sums.std(ddof=1))


def clustered(rng: np.random.Generator, clusters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(pairs,) that base and policy rank right, alike within a prompt; neither is better."""
    ability = rng.beta(1, 1, (2, len(clusters)))
    right = [rng.random(clusters.sum()) < np.repeat(one, clusters) for one in ability]
    return right[0].astype(float), right[1].astype(float)


def test_pairs_counted_alone_are_too_sure_and_prompts_are_not() -> None:
    rng = np.random.default_rng(3)
    clusters = np.tile([1, 2, 3, 4, 8], 8)  # pairs of each of 40 prompts
    ids = [f"x{i}" for i in range(clusters.sum())]
    of = dict(zip(ids, np.repeat(prompts(40), clusters), strict=True))
    first = np.concatenate([[0], clusters.cumsum()[:-1]])
    alone, together = [], []
    for world in range(WORLDS):
        base, own = clustered(rng, clusters)
        alone.append(own - base)
        together.append(np.add.reduceat(own - base, first) / clusters)
        if world < 3:
            metric = "ranking_accuracy"
            rows = [measured(name, metric, dict(zip(ids, values, strict=True)))
                    for name, values in (("base", base), ("uf", own))]  # fmt: skip
            made = Ranked.of(pl.concat(rows), RankedBy({metric: 1.0}, of), [])
            assert made.differences("uf")[0] == pytest.approx(together[-1])
    assert np.mean(judged(np.array(alone))[0] <= 0.05) > 0.15
    _fair(np.array(together), 0.0)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("truth", [0.0, 0.1])
def test_a_weighted_set_calls_nothing_something_rarely_and_holds_the_truth(
    shared: bool, truth: float
) -> None:
    rng = np.random.default_rng(4 + shared)
    n, m, metrics = 50, 50 if shared else 30, {"accuracy": 0.5, "win_rate": 0.5}
    names = {} if shared else {"win_rate": prompts(m, 500)}
    worlds = []
    for _ in range(WORLDS):
        skill = rng.uniform(0.1, 0.8, n)
        draws = {"base": rng.binomial(4, skill) / 4, "uf": rng.binomial(4, skill + truth) / 4}
        # Who answers a prompt right wins there more often: the two metrics go together.
        chance = 0.5 + 0.4 * (draws["uf"] - draws["base"]) if shared else 0.5 + 0.4 * truth
        values = {(k, "accuracy"): one for k, one in draws.items()}
        values["uf", "win_rate"] = (rng.random(m) < chance).astype(float)
        worlds.append(ranked(metrics, values, names).differences("uf")[0])
    _fair(np.array(worlds), 0.7 * truth)


def test_win_rates_call_nothing_something_rarely_and_hold_the_truth() -> None:
    rng = np.random.default_rng(6)
    for truth in (0.0, 0.15):  # two judges, half of whose verdicts flip with the order: ties
        votes = rng.choice(
            [0.0, 0.5, 1.0], (WORLDS, 40, 2), p=[0.25 - truth / 2, 0.5, 0.25 + truth / 2]
        )
        _fair(votes.mean(axis=2) - 0.5, truth / 2)


def _fair(worlds: np.ndarray, truth: float) -> None:
    """Asserts the issue's bars on (worlds, n) differences with this true mean."""
    p, low, high = judged(worlds)
    held = float(np.mean((low <= truth) & (truth <= high)))
    wrong = int((p <= 0.05).sum())
    print(f"nothing called something {wrong / WORLDS:.3f}, truth held {held:.3f}")
    assert truth or bound(wrong, WORLDS) < 0.065
    assert held >= 0.93


@pytest.mark.parametrize("metrics", [("accuracy", "win_rate"), ("win_rate", "accuracy")])
def test_a_metric_that_lacks_a_seed_leaves_the_others_as_many(metrics: tuple[str, str]) -> None:
    values = {
        ("base", "accuracy"): np.zeros(4),
        ("a", "accuracy"): np.array([[1.0, 1.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0]]),
        ("a", "win_rate"): np.array([[1.0, 0.5, 1.0]]),  # all comparisons of a seed failed
    }
    found = ranked(dict.fromkeys(metrics, 0.5), values).differences("a")
    assert found.shape == (1, 4) and found.mean() == pytest.approx(
        0.5 * 0.75 + 0.5 * (2.5 / 3 - 0.5)
    )
