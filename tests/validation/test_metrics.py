"""The long table of metrics: categories, changes and their correction."""

import numpy as np
import polars as pl

from pipeline import tables
from pipeline.config import ValidationSettings
from pipeline.validation.evaluate import Candidate, units
from pipeline.validation.metrics import summarise

SETTINGS = ValidationSettings(bootstrap=1000)
SUMS = [f"s{i}" for i in range(12)]
WORDS = [f"w{i}" for i in range(12)]
CATEGORIES = {
    **dict.fromkeys(SUMS, "sums"),
    **dict.fromkeys(WORDS, "words"),
    "pair": "pairs of outcome",
}


def scores(
    variant: str, names: list[str], values: list[float], metric: str = "accuracy", seed: int = 0
) -> pl.DataFrame:
    frame = pl.DataFrame({"unit_id": names, "value": values})
    return units(Candidate(f"{variant}{seed}", variant, seed), metric, frame)


def test_a_variant_that_gains_overall_may_fall_in_one_category() -> None:
    jitter = np.tile([0.0, 0.01, 0.02], 4)
    base = scores("base", SUMS + WORDS, [0.5] * 24)
    mixed = scores("mixed", SUMS + WORDS, [*(0.9 + jitter), *(0.3 + jitter)])
    same = scores("same", SUMS + WORDS, [*(0.49 + jitter), *(0.49 + jitter)])
    found = summarise(pl.concat([base, mixed, same]), CATEGORIES, SETTINGS, 0)
    assert not tables.Metrics.filter(found)[1].counts()
    row = {(r["variant"], r["category"]): r for r in found.iter_rows(named=True)}
    # the leaderboard's question
    assert row["mixed", "all"]["change"] > 0 and row["mixed", "all"]["verdict"] is None
    assert (
        row["mixed", "words"]["verdict"] == "worse" and row["mixed", "sums"]["verdict"] == "better"
    )
    assert (
        row["same", "words"]["verdict"] == "not distinguishable"
        and row["base", "words"]["p_value"] is None
    )
    assert row["mixed", "words"]["n"] == 12 and row["mixed", "words"]["base"] == 0.5
    # Two variants in two categories are four comparisons; all 2^12 sign patterns are too many for
    # 1,000 resamples.
    assert row["mixed", "words"]["p_holm"] >= 3 * row["mixed", "words"]["p_value"]


def test_changes_are_paired_by_unit_and_what_the_base_lacks_has_none() -> None:
    found = summarise(
        pl.concat(
            [
                scores("base", ["s0", "s1"], [10.0, 30.0], "answer_tokens"),
                scores("good", ["s1", "s2"], [33.0, 50.0], "answer_tokens"),
                scores("good", ["s1", "s2"], [0.5, 0.25], "kl"),
                scores("good", ["s2", "s1"], [0.25, 1.0], "kl", seed=1),
                scores("good", ["pair"], [1.0], "reward_accuracy"),
            ]
        ),
        CATEGORIES,
        SETTINGS,
        0,
    )
    row = {(r["variant"], r["metric"]): r for r in found.iter_rows(named=True)}
    tokens, kl, reward = (
        row["good", "answer_tokens"],
        row["good", "kl"],
        row["good", "reward_accuracy"],
    )
    assert (
        tokens["value"] == 41.5
        and tokens["base"] == 30
        and tokens["change"] == 3
        and tokens["change_low"] is None
    )
    assert (
        kl["value"] == 0.5
        and kl["n_seeds"] == 2
        and kl["base"] is None
        and kl["low"] >= 0.25
        and kl["high"] <= 1
    )
    assert reward["split"] == "validation" and reward["low"] is None and kl["split"] == "test"
    assert set(found["category"]) == {"all"}  # each metric has units of one category only
