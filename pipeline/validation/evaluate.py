"""One policy on held-out prompts and pairs: rows of `evaluations`."""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from pipeline import responses, tables
from pipeline.config import SamplingSettings
from pipeline.engine.base import Engine
from pipeline.ids import content_id


@dataclass(frozen=True)
class Candidate:
    """A policy under test."""

    policy_id: str
    variant: str
    seed: int


def accuracy(
    engine: Engine,
    candidate: Candidate,
    prompts: pl.DataFrame,
    sampling: SamplingSettings,
    run_seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> pl.DataFrame:
    """Share of right draws per test prompt, answers sampled from the policy.

    An empty or failed draw counts as wrong. The seeds of the draws are the same for every policy.
    """
    checkable = prompts.filter(pl.col("verifier").is_not_null())
    drawn, _ = responses.draw(engine, checkable, sampling, run_seed, progress)
    right = drawn.group_by("prompt_id").agg(right=pl.col("correct").sum(), tokens=pl.col("tokens").sum())
    units = checkable.select("prompt_id").join(right, on="prompt_id", how="left", maintain_order="left")
    values = units.select(
        unit_id="prompt_id",
        value=pl.col("right").fill_null(0) / sampling.n,
        n=pl.lit(sampling.n),
        tokens=pl.col("tokens").fill_null(0),
    )
    return rows(candidate, "accuracy", values)


def rows(candidate: Candidate, metric: str, values: pl.DataFrame) -> pl.DataFrame:
    """Rows of `evaluations` from columns unit_id, value, n, tokens."""
    ids = [
        content_id(candidate.policy_id, candidate.variant, candidate.seed, metric, unit) for unit in values["unit_id"]
    ]
    schema = tables.empty("evaluations").schema
    frame = values.with_columns(
        evaluation_id=pl.Series(ids, dtype=pl.String),
        policy_id=pl.lit(candidate.policy_id),
        variant=pl.lit(candidate.variant),
        seed=pl.lit(candidate.seed),
        metric=pl.lit(metric),
    )
    return frame.select(pl.col(name).cast(kind) for name, kind in schema.items())
