"""What was equal between variants, in words."""

from typing import Any

import polars as pl

from pipeline import tables
from pipeline.config import TrainingSettings
from pipeline.config.training import merged
from pipeline.validation.footing import footing, unequal

EQUAL = {"n_pairs": 20, "n_train_prompts": 9, "n_tokens": 1000, "n_steps": 10, "n_seeds": 3}

RUNS = tables.empty("training_runs")


def board(**rows: dict[str, int]) -> pl.DataFrame:
    base = {"variant": "base", **dict.fromkeys(EQUAL, 0)}
    known = tables.empty("leaderboard").select(*base).schema
    return pl.DataFrame(
        [base, *({"variant": n, **EQUAL, **row} for n, row in rows.items())], schema=known
    )


def test_equal_variants_are_said_to_be_equal_and_the_base_does_not_count() -> None:
    assert footing(board(a={}, b={"n_tokens": 1015}), RUNS) == [
        "Every variant had 20 pairs, 9 training prompts, "
        "1,015 trained tokens, 10 optimiser steps, 3 training seeds (tokens within 2%)."
    ]
    assert unequal(board(a={}, b={}), RUNS) == [] and footing(board(), RUNS) == [
        "No variant was trained."
    ]


def test_steps_that_differ_are_named_with_who_had_fewest_and_most() -> None:
    found = footing(board(a={}, stopped={"n_steps": 4, "n_tokens": 400}, b={}), RUNS)
    assert found == [
        "Every variant had 20 pairs, 9 training prompts, 3 training seeds.",
        "Not equal: trained tokens, from 400 (stopped) to 1,000 (b).",
        "Not equal: optimiser steps, from 4 (stopped) to 10 (b).",
    ]
    assert unequal(board(a={}, stopped={"n_steps": 4}), RUNS) == [
        "Not equal: optimiser steps, from 4 (stopped) to 10 (a)."
    ]


def test_a_column_that_an_older_leaderboard_lacks_is_left_out() -> None:
    older = board(a={}, b={"n_steps": 4}).with_columns(n_train_prompts=pl.lit(None, pl.Int64))
    assert footing(older, RUNS) == [
        "Every variant had 20 pairs, 1,000 trained tokens, 3 training seeds (tokens within 2%).",
        "Not equal: optimiser steps, from 4 (b) to 10 (a).",
    ]
    assert unequal(older, RUNS) == ["Not equal: optimiser steps, from 4 (b) to 10 (a)."]


def test_training_prompts_are_counted_because_a_recipe_may_leave_some_without_a_pair() -> None:
    assert unequal(board(a={"n_train_prompts": 56}, b={"n_train_prompts": 32}), RUNS) == [
        "Not equal: training prompts, from 32 (b) to 56 (a)."
    ]


def test_training_settings_that_differ_are_named_with_what_each_variant_had() -> None:
    def run(variant: str, **changes: Any) -> dict[str, Any]:
        settings = merged(TrainingSettings(), changes)
        return {"variant": variant, "settings": settings.model_dump_json()}

    runs = pl.DataFrame(
        [
            run("a"),
            run("b", learning_rate=1e-5, loss="simpo", losses={"simpo_gamma": 1.0}),
            run("gone", beta=0.9),
        ]
    )
    assert unequal(board(a={}, b={}), runs) == [
        "Not equal: learning rate, 2e-05 (a), 1e-05 (b).",
        "Not equal: simpo gamma, 0.5 (a), 1.0 (b).",
    ]
    assert unequal(board(a={}), runs) == []
