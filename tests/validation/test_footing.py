"""What was equal between variants, in words."""

import polars as pl

from pipeline import tables
from pipeline.validation.footing import footing, unequal

EQUAL = {"n_pairs": 20, "n_train_prompts": 9, "n_tokens": 1000, "n_steps": 10, "n_seeds": 3}


def board(**rows: dict[str, int]) -> pl.DataFrame:
    base = {"variant": "base", **dict.fromkeys(EQUAL, 0)}
    known = tables.empty("leaderboard").select(*base).schema
    return pl.DataFrame(
        [base, *({"variant": n, **EQUAL, **row} for n, row in rows.items())], schema=known
    )


def test_equal_variants_are_said_to_be_equal_and_the_base_does_not_count() -> None:
    assert footing(board(a={}, b={"n_tokens": 1015})) == [
        "Every variant had 20 pairs, 9 training prompts, "
        "1,015 trained tokens, 10 optimiser steps, 3 training seeds (tokens within 2%)."
    ]
    assert unequal(board(a={}, b={})) == [] and footing(board()) == ["No variant was trained."]


def test_steps_that_differ_are_named_with_who_had_fewest_and_most() -> None:
    found = footing(board(a={}, stopped={"n_steps": 4, "n_tokens": 400}, b={}))
    assert found == [
        "Every variant had 20 pairs, 9 training prompts, 3 training seeds.",
        "Not equal: trained tokens, from 400 (stopped) to 1,000 (b).",
        "Not equal: optimiser steps, from 4 (stopped) to 10 (b).",
    ]
    assert unequal(board(a={}, stopped={"n_steps": 4})) == [
        "Not equal: optimiser steps, from 4 (stopped) to 10 (a)."
    ]


def test_a_column_that_an_older_leaderboard_lacks_is_left_out() -> None:
    older = board(a={}, b={"n_steps": 4}).with_columns(n_train_prompts=pl.lit(None, pl.Int64))
    assert footing(older) == [
        "Every variant had 20 pairs, 1,000 trained tokens, 3 training seeds (tokens within 2%).",
        "Not equal: optimiser steps, from 4 (b) to 10 (a).",
    ]
    assert unequal(older) == ["Not equal: optimiser steps, from 4 (b) to 10 (a)."]


def test_training_prompts_are_counted_because_a_recipe_may_leave_some_without_a_pair() -> None:
    assert unequal(board(a={"n_train_prompts": 56}, b={"n_train_prompts": 32})) == [
        "Not equal: training prompts, from 32 (b) to 56 (a)."
    ]
