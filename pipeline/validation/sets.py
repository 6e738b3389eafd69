"""Evaluation sets: what is only for tests, and the metrics that are measured on each.

A metric with the name of a set, such as accuracy@gsm8k_test, is measured on that set alone; without
one it is measured on the profile's own held-out prompts and pairs, which are never of a set.
"""

from collections.abc import Mapping

import polars as pl

from pipeline.config import Settings
from pipeline.prompts.pools import evaluation_pools
from pipeline.sources.pair_sets import pair_sets

MARK = "@"


def evaluation_sets(settings: Settings) -> list[str]:
    """Names of the profile's evaluation sets: pools of prompts, and sets of pairs."""
    return [*evaluation_pools(settings), *pair_sets(settings)]


def on_set(metric: str, name: str | None) -> str:
    """A metric on an evaluation set; null: on the profile's own held-out prompts and pairs."""
    return metric if name is None else f"{metric}{MARK}{name}"


def split_name(metric: str) -> tuple[str, str | None]:
    """A metric without its set, and the set."""
    bare, mark, name = metric.partition(MARK)
    return bare, name if mark else None


def bare(metric: str) -> str:
    """A metric without the set that it is measured on."""
    return split_name(metric)[0]


def by_set(evaluations: pl.DataFrame, sets: Mapping[str, str]) -> pl.DataFrame:
    """Rows of `evaluations`, the metrics of units of a set with its name; sets: unit -> its set."""
    if not sets:
        return evaluations
    own = pl.col("unit_id").replace_strict(sets, default=None, return_dtype=pl.String)
    return evaluations.with_columns(
        metric=pl.when(own.is_null())
        .then("metric")
        .otherwise(pl.format(f"{{}}{MARK}{{}}", "metric", own))
    )
