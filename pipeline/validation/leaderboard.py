"""From evaluations and training runs to one row per variant."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import polars as pl

from pipeline import tables
from pipeline.config import ValidationSettings
from pipeline.validation.comparisons import contrast, judge, pooled_spread
from pipeline.validation.power import Power
from pipeline.validation.ranked import BASE, Ranked, RankedBy
from pipeline.validation.sets import split_name

Row = dict[str, Any]
BASE_SAID = {
    "accuracy": "base answers {value:.1%} of the draws on {n} test prompts right.",
    "instructions": "base fulfils {value:.1%} of the instructions of {n} test prompts.",
    "ranking_accuracy": "base ranks {value:.1%} of the held-out pairs of {n} prompts right.",
    "reward_accuracy": "base prefers no side more than itself: {value:.1%}, as by chance.",
    "win_rate": "base is what answers are judged against: {value:.1%}, as by chance.",
    "length_controlled_wins": "base is what answers are judged against: log-odds {value:g}.",
}


def rank(
    evaluations: pl.DataFrame,
    runs: pl.DataFrame,
    data_tokens: Mapping[str, int],
    settings: ValidationSettings,
    seed: int,
    *,
    tests: Collection[str],
    tokens_per_second: float | None = None,
    by: RankedBy | None = None,
) -> pl.DataFrame:
    """Rows of `leaderboard`, the best variant first.

    Args:
        evaluations: of the base model and of the variants.
        runs: rows of `training_runs`.
        data_tokens: sampled tokens that each variant's data would cost alone.
        settings: resamples, confidence, power, smallest gain of interest.
        seed: of the resampling.
        tests: ids of the test prompts that have a verifier.
        tokens_per_second: the engine's mean speed; null: unknown.
        by: what ranks them; null: accuracy.

    Raises:
        OrchardError: the base model was not evaluated, or a variant on other prompts than it, or
            all requests failed.
    """
    ranked = Ranked.of(evaluations, by or RankedBy(), tests)
    names, brought = ranked.variants, ranked.by.brought
    pooled = pooled_spread(ranked)
    of_base = _measured(evaluations.filter(pl.col("variant") == BASE))
    rows = []
    for name in names:
        family = [one for one in names if one != BASE and (one in brought) == (name in brought)]
        power = Power(settings.confidence, settings.power, max(1, len(family)))
        spread = None if name in brought else pooled
        own = _measured(evaluations.filter(pl.col("variant") == name))
        row = {
            "variant": name,
            "brought_from": brought.get(name),
            "metric": ranked.by.name,
            "value": ranked.value(name),
            **contrast(ranked, (name, BASE), settings, seed, spread, power),
            "n_prompts": len(ranked.prompts(name)),
            "n_failed": ranked.missing(name),
            **own,
            "answer_length_ratio": _ratio(own["response_tokens"], of_base["response_tokens"]),
            **_training(runs.filter(pl.col("variant") == name)),
        }
        row |= {"p_value": None} if name == BASE else {}
        rows.append(row | _cost(row, data_tokens.get(name, 0), tokens_per_second))
    for elsewhere in (False, True):  # families of their own, as in `comparisons`
        own_rows = [row for row in rows if (row["variant"] in brought) == elsewhere]
        judge([row for row in own_rows if row["variant"] != BASE], settings.confidence)
    for row in rows:
        row["conclusion"] = sentence(row, settings, ranked.by)
    schema = tables.empty("leaderboard").schema
    frame = pl.DataFrame([{k: row[k] for k in schema if k in row} for row in rows], schema=schema)
    return frame.sort("value", "variant", descending=[True, False])


def sentence(row: Row, settings: ValidationSettings, by: RankedBy | None = None) -> str:
    """What a reader may conclude about one variant, and how many prompts it would take."""
    by = by or RankedBy()
    if row["variant"] == BASE:
        if len(by.weights) > 1:
            return f"base has {row['value']:.3f} ({by.name}) on {row['n_prompts']} prompts."
        metric, name = split_name(by.name)
        said = BASE_SAID[metric].format(value=row["value"], n=row["n_prompts"])
        return said if name is None else f"On {name} {said}"
    words = {"better": "better than the base model", "worse": "worse than the base model"}
    shown = words.get(row["verdict"], "not distinguishable from the base model at this size")
    what = "gain" if by.name == "accuracy" else f"gain in {by.name}"
    gain = (
        f"{what} {row['gain']:+.3f} [{row['gain_low']:+.3f}, {row['gain_high']:+.3f}] "
        f"on {row['n_prompts']} prompts"
    )
    text = f"{row['variant']} is {shown}: {gain}"
    if row["verdict"] in words or row["detectable_gain"] is None:
        return text + "."
    enough = (
        f"would take about {row['prompts_needed']}"
        if row["prompts_needed"]
        else "would take more training seeds"
    )
    smallest = settings.smallest_gain * by.unit
    return (
        f"{text}; so many show a true gain of {row['detectable_gain']:.3f} or more "
        f"with {settings.power:.0%} power, and one of {smallest:g} {enough}."
    )


def _ratio(own: float | None, base: float | None) -> float | None:
    return own / base if own is not None and base else None


def _measured(mine: pl.DataFrame) -> Row:
    means = dict(mine.group_by("metric").agg(pl.col("value").mean()).iter_rows())
    rewards = mine.filter(pl.col("metric") == "reward_accuracy")
    answers = mine.filter(pl.col("metric") == "accuracy")
    draws = int(answers["n"].sum())
    wins = means.get("length_controlled_wins")
    return {
        "policy_ids": sorted(mine["policy_id"].unique()),
        **{name: means.get(name) for name in ("accuracy", "greedy", "win_rate")},
        "length_controlled_win_rate": None if wins is None else 1 / (1 + float(np.exp(-wins))),
        "ranking_accuracy": means.get("ranking_accuracy"),
        "reward_accuracy": means.get("reward_accuracy"),
        "reward_pairs": rewards["unit_id"].n_unique(),
        "response_tokens": int(answers["tokens"].sum()) / draws if draws else None,
    }


def _training(runs: pl.DataFrame) -> Row:
    return {
        "n_seeds": runs.height,
        "n_pairs": runs["n_pairs"].max() or 0,
        "n_train_prompts": runs["prompt_ids"].list.len().max() or 0,
        "n_tokens": runs["n_tokens"].max() or 0,
        "n_steps": runs["n_steps"].max() or 0,
        "length_ratio": runs["length_ratio"].mean(),
        "train_seconds": float(runs["seconds"].sum()),
    }


def _cost(row: Row, tokens: int, tokens_per_second: float | None) -> Row:
    """What the recipe costs alone, and what its gain is per unit of that."""
    sampling = tokens / tokens_per_second if tokens_per_second else None
    seconds = None if sampling is None else sampling + row["train_seconds"] / max(1, row["n_seeds"])
    return {
        "data_tokens": tokens,
        "data_seconds": sampling,
        "gain_per_million_tokens": row["gain"] / tokens * 1e6 if tokens else None,
        "gain_per_hour": row["gain"] / seconds * 3600 if seconds else None,
    }
