"""Strengths of pairs of steps, from the draws of all trees (pipeline/trees/chances.py)."""

from collections.abc import Mapping

import polars as pl

from pipeline.store.reader import Reader
from pipeline.trees.chances import Chances, Draws, draws_of, fit


def steps_of(lake: Reader, method: str) -> pl.DataFrame:
    """What was drawn for the steps of all trees of one method."""
    query = """
        SELECT node_id, parent_id, merged, valuation, value, n_correct, n_rollouts
        FROM tree_nodes WHERE method = $method AND kind = 'step'
    """
    return lake.sql(query, {"method": method})


def of_siblings(steps: pl.DataFrame) -> Chances:
    """The chances of steps, each given its own draws and its siblings'."""
    groups: dict[str, dict[str, Draws]] = {}
    for row in steps.sort("parent_id", "node_id").iter_rows(named=True):
        draws = draws_of(row)
        if draws is not None:
            groups.setdefault(row["parent_id"], {})[row["node_id"]] = draws
    return fit(groups.values())


def with_strengths(pairs: pl.DataFrame, lake: Reader, method: str) -> pl.DataFrame:
    """Pairs of siblings with their strengths; null where values are no shares of rollouts."""
    chances = of_siblings(steps_of(lake, method)) if pairs.height else None
    given = [chances.strength(*ids) for ids in _ids(pairs)] if chances else []
    return pairs.with_columns(strength=pl.Series(given, dtype=pl.Float64))


def with_regret_strengths(
    pairs: pl.DataFrame, lake: Reader, method: str, scale: float
) -> pl.DataFrame:
    """Pairs of steps with P = sigmoid(scale * difference of their expected regrets).

    A step's regret is the mean of its parent's children less its own chance, chances being
    expectations given the draws: few draws say little.
    """
    gains = _gains(steps_of(lake, method)) if pairs.height else {}
    moved = [gains[chosen] - gains[rejected] for chosen, rejected in _ids(pairs)]
    return pairs.with_columns(
        strength=1 / (1 + (-scale * pl.Series(moved, dtype=pl.Float64)).exp())
    )


def _gains(steps: pl.DataFrame) -> Mapping[str, float]:
    """By how much each step is better than the mean of those below its parent."""
    chances = of_siblings(steps)
    means = [chances.mean(step) for step in steps["node_id"]]
    mean, times = pl.col("mean"), pl.col("merged")
    gained = (
        steps.with_columns(mean=pl.Series(means, dtype=pl.Float64))
        .filter(mean.is_not_null())
        .with_columns(gain=mean - ((mean * times).sum() / times.sum()).over("parent_id"))
    )
    return dict(gained.select("node_id", "gain").iter_rows())


def _ids(pairs: pl.DataFrame) -> list[tuple[str, str]]:
    return pairs.select("chosen_id", "rejected_id").rows()
