"""The leaderboard worked out by hand."""

import polars as pl
import pytest
from scipy import stats

from pipeline import tables
from pipeline.config import ValidationSettings
from pipeline.errors import OrchardError
from pipeline.validation.evaluate import Candidate, rows
from pipeline.validation.leaderboard import rank

SETTINGS = ValidationSettings(bootstrap=1000)
RUNS = tables.empty("training_runs")


def scores(
    variant: str, seed: int, values: list[float | None], metric: str = "accuracy"
) -> pl.DataFrame:
    """Null: the prompt's request failed, so that it has no row."""
    units = pl.DataFrame(
        {"unit_id": [f"p{i}" for i in range(len(values))], "value": values}
    ).drop_nulls()
    return rows(
        Candidate(f"{variant}{seed}", variant, seed),
        metric,
        units.with_columns(n=pl.lit(4), tokens=pl.lit(40)),
    )


def prompts(n: int) -> list[str]:
    return [f"p{i}" for i in range(n)]


def test_seeds_are_averaged_before_pairing_and_gains_are_per_prompt() -> None:
    evaluations = pl.concat(
        [
            scores("base", 0, [0.0, 0.5, 0.25, 0.25] * 2),
            scores("good", 0, [0.5, 1.0, 0.75, 1.0] * 2),
            scores("good", 1, [0.5, 1.0, 1.0, 0.75] * 2),
            scores("good", 0, [1.0, 0.0, 0.5], "reward_accuracy"),
            scores("good", 0, [1.0, 0.0, 1.0, 1.0] * 2, "greedy"),
            scores("same", 0, [0.25, 0.25, 0.0, 0.5] * 2),
        ]
    )
    runs = pl.DataFrame(
        [
            {
                "variant": "good",
                "seed": s,
                "n_pairs": 3,
                "n_tokens": 9,
                "prompt_ids": ["p", "q"],
                "n_steps": 2,
                "length_ratio": 1.5,
                "seconds": 900.0,
            }
            for s in (0, 1)
        ]
    )
    tokens = {"good": 2_000_000}
    board = rank(evaluations, runs, tokens, SETTINGS, 0, tests=prompts(8), tokens_per_second=1000.0)
    assert board["variant"].to_list() == ["good", "base", "same"]
    good, base, same = board.to_dicts()
    assert good["accuracy"] == 0.8125 and good["gain"] == 0.5625 and good["verdict"] == "better"
    # Both seeds gain 0.5625: what is left is the t test over prompts. Two variants are compared
    # (Holm).
    known = stats.ttest_1samp([0.5, 0.5, 0.625, 0.625] * 2, 0.0)
    assert good["p_value"] == pytest.approx(known.pvalue) and good["p_holm"] == 2 * good["p_value"]
    assert good["seed_sd"] == 0 and same["seed_sd"] is None and same["p_holm"] == 1.0
    assert (
        good["method"]
        == "t over prompts and seeds (Satterthwaite), for other prompts and other training seeds"
    )
    assert same["method"].startswith(
        "paired bootstrap and sign flips over prompts, for other prompts, for the one"
    )
    assert (good["policy_ids"], base["policy_ids"]) == (["good0", "good1"], ["base0"])
    assert (good["n_train_prompts"], base["n_train_prompts"]) == (2, 0)
    assert good["gain_per_million_tokens"] == pytest.approx(0.28125)
    # 2,000 s of sampling and 900 s of training one seed.
    assert good["data_seconds"] == 2000 and good["gain_per_hour"] == pytest.approx(
        0.5625 / 2900 * 3600
    )
    assert (
        good["reward_accuracy"] == 0.5
        and good["reward_pairs"] == 3
        and good["response_tokens"] == 10
    )
    assert good["greedy"] == 0.75 and base["greedy"] is None
    assert base["verdict"] == "baseline" and base["gain"] == 0 and base["reward_accuracy"] is None
    assert (
        same["verdict"] == "not distinguishable"
        and same["gain"] == 0
        and same["gain_per_hour"] is None
    )
    assert same["gain_low"] < 0 < same["gain_high"]
    assert not tables.Leaderboard.filter(board)[1].counts()


def test_the_sentence_says_how_many_prompts_it_would_take() -> None:
    evaluations = pl.concat(
        [scores("base", 0, [0.25, 0.5] * 4), scores("same", 0, [0.5, 0.25] * 4)]
    )
    base, same = (
        rank(evaluations, RUNS, {}, SETTINGS, 0, tests=prompts(8)).sort("variant").to_dicts()
    )
    # Differences 0.25 and -0.25: sd 0.2673; n = (2.8016 * 0.2673 / 0.05)^2 = 224.3; with 8 prompts
    # 0.2647.
    assert same["prompts_needed"] == 225 and same["detectable_gain"] == pytest.approx(
        0.2647, abs=1e-3
    )
    assert same["conclusion"].startswith(
        "same is not distinguishable from the base model at this size: gain +0.000 ["
    )
    assert same["conclusion"].endswith(
        "on 8 prompts; so many show a true gain of 0.265 or more with 80% power, "
        "and one of 0.05 would take about 225."
    )
    assert base["conclusion"] == "base answers 37.5% of the draws on 8 test prompts right."
    assert base["prompts_needed"] is None


def test_where_seeds_differ_too_much_the_sentence_asks_for_seeds() -> None:
    evaluations = pl.concat(
        [
            scores("base", 0, [0.5] * 8),
            scores("wild", 0, [0.0, 0.25] * 4),
            scores("wild", 1, [1.0, 0.75] * 4),
        ]
    )
    wild = (
        rank(evaluations, RUNS, {}, SETTINGS, 0, tests=prompts(8))
        .filter(pl.col("variant") == "wild")
        .to_dicts()[0]
    )
    assert wild["prompts_needed"] is None and wild["detectable_gain"] > 1
    assert wild["conclusion"].endswith("and one of 0.05 would take more training seeds.")


def test_a_failed_request_is_no_wrong_answer_and_leaves_the_pair_out() -> None:
    evaluations = pl.concat(
        [
            scores("base", 0, [0.5, 0.5, None, 0.5]),
            scores("good", 0, [None, 1.0, 1.0, 1.0]),
            scores("good", 1, [1.0, 1.0, 1.0, None]),
        ]
    )
    board = rank(evaluations, RUNS, {}, SETTINGS, 0, tests=prompts(4))
    good = board.row(0, named=True)
    assert good["variant"] == "good" and good["gain"] == 0.5 and good["accuracy"] == 1.0
    assert good["n_prompts"] == 1 and good["n_failed"] == 3  # p1 alone has the base and both seeds
    assert board["n_failed"].to_list() == [3, 1] and good["verdict"] == "not distinguishable"


def test_other_prompts_no_pair_or_no_base_are_errors() -> None:
    with pytest.raises(OrchardError, match="base model has no evaluation"):
        rank(scores("good", 0, [1.0]), RUNS, {}, SETTINGS, 0, tests=prompts(1))
    both = pl.concat([scores("base", 0, [1.0]), scores("good", 0, [1.0, 0.0])])
    with pytest.raises(OrchardError, match="'good' was evaluated on other prompts"):
        rank(both, RUNS, {}, SETTINGS, 0, tests=prompts(1))
    apart = pl.concat([scores("base", 0, [1.0, None]), scores("good", 0, [None, 1.0])])
    with pytest.raises(
        OrchardError, match="'good': no test prompt was answered by it and by the base model"
    ):
        rank(apart, RUNS, {}, SETTINGS, 0, tests=prompts(2))
