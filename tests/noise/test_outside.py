"""Reward models on recorded pairs whose better side was drawn here."""

import json

import numpy as np
import polars as pl
import pytest

from pipeline import config, tables
from pipeline.config import NoiseSettings
from pipeline.noise.features import Features
from pipeline.noise.heads import fit_heads
from pipeline.noise.outside import checks, labelled_pairs, score_outside
from pipeline.tables import TABLES
from tests.noise.test_selftest import drawn

SETTINGS = NoiseSettings(models=3, folds=2, min_steps=150, learning_rate=5e-3)


def recorded(rows: list[dict[str, object]]) -> pl.DataFrame:
    common = {
        "messages": [{"role": "user", "content": "?"}],
        "first": "x",
        "second": "y",
        "first_id": "f",
        "second_id": "s",
        "origin": "bench",
    }
    filled = [
        {**common, "pair_id": f"r{i}", "prompt_id": f"q{i}", **row} for i, row in enumerate(rows)
    ]
    return pl.DataFrame(filled, schema=tables.empty("recorded_pairs").schema)


def test_only_pairs_with_texts_and_a_better_side_of_prompts_that_nobody_learnt_from() -> None:
    rows = [
        {"label": 1.0, "metadata": json.dumps({"subset": "chat", "n": 1})},
        {"label": 0.2, "metadata": None},
        {"label": 0.5},
        {"label": None},
        {"label": 1.0, "second": None},
        {"label": 1.0, "messages": None},
        {"label": 1.0, "prompt_id": "learnt"},
    ]
    learnt = pl.DataFrame({"prompt_id": ["learnt"]})
    found = labelled_pairs(recorded(rows), learnt)
    assert found.select("pair_id", "right", "subset").rows() == [
        ("r0", True, "chat"),
        ("r1", False, ""),
    ]


def test_heads_are_right_outside_where_the_reward_is_the_same_and_at_chance_where_it_is_not() -> (
    None
):
    features, pairs = drawn(400)
    rng = np.random.default_rng(1)
    width = features.matrix.shape[1]
    # what `drawn` rewards, found again from its pairs
    gap = (
        features.matrix[features.rows(pairs["chosen_text_id"].to_list())]
        - features.matrix[features.rows(pairs["rejected_text_id"].to_list())]
    )
    direction = np.linalg.lstsq(gap, np.ones(len(gap)), rcond=None)[0]
    texts = rng.normal(size=(800, width)).astype(np.float32)
    both = Features(
        [*features.ids, *(f"o{i:03d}" for i in range(800))],
        np.concatenate([features.matrix, texts]),
    )
    right = texts[:400] @ direction > texts[400:] @ direction
    right[200:] = rng.random(200) < 0.5  # the second subset's labels have nothing to do with it
    asked = pl.DataFrame(
        {
            "pair_id": [f"r{i:03d}" for i in range(400)],
            "chosen_text_id": [f"o{i:03d}" for i in range(400)],
            "rejected_text_id": [f"o{i + 400:03d}" for i in range(400)],
            "chosen_tokens": np.where(right, 9, 5),
            "rejected_tokens": 7,
            "origin": "bench",
            "subset": ["same"] * 200 + ["other"] * 200,
            "right": right,
        }
    )
    settings = config.load("quick").model_copy(update={"noise": SETTINGS})
    margins = score_outside(both, pairs, asked, settings, fit_heads(SETTINGS))
    said = [
        asked.with_columns(
            voter_id=pl.lit(f"head {m}"), kind=pl.lit("reward head"), margin=pl.Series(row)
        )
        for m, row in enumerate(margins)
    ]
    rows = checks(pl.concat(said), "outcome")
    good, bad = TABLES["voter_checks"].filter(rows)
    assert good.height == rows.height == 9 and not bad.counts()
    by_subset = dict(rows.group_by("subset").agg(pl.col("accuracy").mean()).iter_rows())
    assert by_subset["same"] > 0.85 and by_subset["other"] == pytest.approx(0.5, abs=0.1)
    assert by_subset[""] == pytest.approx((by_subset["same"] + by_subset["other"]) / 2)
    # length alone is right everywhere here, and stands beside each
    assert set(rows["longer_accuracy"]) == {1.0} and set(rows["n_pairs"]) == {200, 400}
    assert (rows["low"] < rows["accuracy"]).all() and (rows["accuracy"] < rows["high"]).all()
