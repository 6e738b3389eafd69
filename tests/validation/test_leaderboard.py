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


def scores(variant: str, seed: int, values: list[float], metric: str = "accuracy") -> pl.DataFrame:
    units = pl.DataFrame({"unit_id": [f"p{i}" for i in range(len(values))], "value": values})
    return rows(
        Candidate(f"{variant}{seed}", variant, seed), metric, units.with_columns(n=pl.lit(4), tokens=pl.lit(40))
    )


RUNS = tables.empty("training_runs")


def test_seeds_are_averaged_before_pairing_and_gains_are_per_prompt() -> None:
    evaluations = pl.concat(
        [
            scores("base", 0, [0.0, 0.5, 0.25, 0.25] * 2),
            scores("good", 0, [0.5, 1.0, 0.75, 1.0] * 2),
            scores("good", 1, [0.5, 1.0, 1.0, 0.75] * 2),
            scores("good", 0, [1.0, 0.0, 0.5], "reward_accuracy"),
            scores("same", 0, [0.25, 0.25, 0.0, 0.5] * 2),
        ]
    )
    board = rank(evaluations, RUNS, {"good": 2_000_000}, SETTINGS, 0)
    assert board["variant"].to_list() == ["good", "base", "same"]
    good, base, same = board.to_dicts()
    assert good["accuracy"] == 0.8125 and good["gain"] == 0.5625 and good["verdict"] == "better"
    # Both seeds gain 0.5625: what is left is the t test over prompts. Two variants are compared (Holm).
    known = stats.ttest_1samp([0.5, 0.5, 0.625, 0.625] * 2, 0.0)
    assert good["p_value"] == pytest.approx(known.pvalue) and good["p_holm"] == 2 * good["p_value"]
    assert good["seed_sd"] == 0 and same["seed_sd"] is None and same["p_holm"] == 1.0
    assert good["gain_per_million_tokens"] == pytest.approx(0.28125)
    assert good["reward_accuracy"] == 0.5 and good["reward_pairs"] == 3 and good["response_tokens"] == 10
    assert base["verdict"] == "baseline" and base["gain"] == 0 and base["reward_accuracy"] is None
    assert same["verdict"] == "not distinguishable" and same["gain"] == 0
    assert same["gain_low"] < 0 < same["gain_high"]
    assert not tables.Leaderboard.filter(board)[1].counts()


def test_other_prompts_or_no_base_are_errors() -> None:
    with pytest.raises(OrchardError, match="base model has no evaluation"):
        rank(scores("good", 0, [1.0]), RUNS, {}, SETTINGS, 0)
    both = pl.concat([scores("base", 0, [1.0]), scores("good", 0, [1.0, 0.0])])
    with pytest.raises(OrchardError, match="'good' was evaluated on other prompts"):
        rank(both, RUNS, {}, SETTINGS, 0)
