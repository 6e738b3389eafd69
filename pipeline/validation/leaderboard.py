"""From evaluations and training runs to one row per variant."""

from collections.abc import Mapping
from typing import cast

import numpy as np
import polars as pl

from pipeline import tables
from pipeline.config import ValidationSettings
from pipeline.errors import OrchardError
from pipeline.validation.seeds import Spread, crossed
from pipeline.validation.seeds import gain as gain_of
from pipeline.validation.statistics import Interval, holm, verdict

Row = dict[str, object]


def rank(
    evaluations: pl.DataFrame,
    runs: pl.DataFrame,
    data_tokens: Mapping[str, int],
    settings: ValidationSettings,
    seed: int,
) -> pl.DataFrame:
    """Rows of `leaderboard`, the best variant first.

    data_tokens: sampled tokens that each variant's data cost.

    Raises:
        OrchardError: the base model was not evaluated, or on other prompts than a variant.
    """
    scores = _per_prompt(evaluations)
    if "base" not in scores:
        raise OrchardError("the base model has no evaluation: materialise `evaluations` first")
    spread = _spread(evaluations, scores)
    rows = [_row(name, evaluations, scores, runs, data_tokens, settings, seed, spread) for name in scores]
    _judge([row for row in rows if row["variant"] != "base"], settings.confidence)
    frame = pl.DataFrame(rows, schema=tables.empty("leaderboard").schema)
    return frame.sort("accuracy", "variant", descending=[True, False])


def _per_prompt(evaluations: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Variant -> (unit_id, value), values averaged over seeds."""
    found = evaluations.filter(pl.col("metric") == "accuracy")
    means = found.group_by("variant", "unit_id").agg(pl.col("value").mean()).sort("variant", "unit_id")
    return {str(name): frame.drop("variant") for (name,), frame in means.group_by("variant", maintain_order=True)}


def _spread(evaluations: pl.DataFrame, scores: Mapping[str, pl.DataFrame]) -> Spread | None:
    """How far training seeds are apart, over all variants on the base model's prompts."""
    base = scores["base"]["value"].to_numpy()
    tables = [crossed(evaluations, name) for name in scores if name != "base"]
    return Spread.pooled([table - base for table in tables if table.shape[1] == len(base)])


def _row(
    name: str,
    evaluations: pl.DataFrame,
    scores: Mapping[str, pl.DataFrame],
    runs: pl.DataFrame,
    data_tokens: Mapping[str, int],
    settings: ValidationSettings,
    seed: int,
    spread: Spread | None,
) -> Row:
    base, own = scores["base"], scores[name]
    if base["unit_id"].to_list() != own["unit_id"].to_list():
        raise OrchardError(f"variant {name!r} was evaluated on other prompts than the base model: evaluate it again")
    table, baseline = crossed(evaluations, name), base["value"].to_numpy()
    found = gain_of(
        table, baseline, resamples=settings.bootstrap, confidence=settings.confidence, seed=seed, spread=spread
    )
    gain = found.interval
    mine = evaluations.filter(pl.col("variant") == name)
    rewards = mine.filter(pl.col("metric") == "reward_accuracy")
    answers = mine.filter(pl.col("metric") == "accuracy")
    tokens = data_tokens.get(name, 0)
    return {
        "variant": name,
        "accuracy": float(np.mean(own["value"].to_numpy())),
        "gain": gain.mean,
        "gain_low": gain.low,
        "gain_high": gain.high,
        "p_value": None if name == "base" else found.p,
        "seed_sd": found.seed_sd,
        "p_holm": None,
        "verdict": "baseline",
        "reward_accuracy": rewards["value"].mean(),
        "reward_pairs": rewards["unit_id"].n_unique(),
        "response_tokens": int(answers["tokens"].sum()) / max(1, int(answers["n"].sum())),
        "data_tokens": tokens,
        "gain_per_million_tokens": gain.mean / tokens * 1e6 if tokens else None,
        **_training(runs.filter(pl.col("variant") == name)),
    }


def _judge(rows: list[Row], confidence: float) -> None:
    """Fills the corrected p-values and verdicts of all variants: they are one family of comparisons with the base."""
    for row, p in zip(rows, holm([cast(float, row["p_value"]) for row in rows]), strict=True):
        interval = Interval(*(cast(float, row[name]) for name in ("gain", "gain_low", "gain_high")))
        row |= {"p_holm": p, "verdict": verdict(interval, p, confidence)}


def _training(runs: pl.DataFrame) -> Row:
    return {
        "n_seeds": runs.height,
        "n_pairs": runs["n_pairs"].max() or 0,
        "n_tokens": runs["n_tokens"].max() or 0,
        "n_steps": runs["n_steps"].max() or 0,
        "length_ratio": runs["length_ratio"].mean(),
        "train_seconds": float(runs["seconds"].sum()),
    }
