"""From evaluations and training runs to one row per variant."""

from collections.abc import Collection, Mapping
from typing import Any, cast

import polars as pl

from pipeline import tables
from pipeline.config import ValidationSettings
from pipeline.errors import OrchardError
from pipeline.validation.power import Power
from pipeline.validation.scores import Scores, paired, scores
from pipeline.validation.seeds import Spread, gain
from pipeline.validation.statistics import Interval, Numbers, holm, verdict

Row = dict[str, Any]
Found = Mapping[tuple[str, str], Scores]


def rank(
    evaluations: pl.DataFrame,
    runs: pl.DataFrame,
    data_tokens: Mapping[str, int],
    settings: ValidationSettings,
    seed: int,
    *,
    tests: Collection[str],
    tokens_per_second: float | None = None,
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

    Raises:
        OrchardError: the base model was not evaluated, or a variant on other prompts than it, or
            all requests failed.
    """
    found = scores(evaluations)
    if ("base", "accuracy") not in found:
        raise OrchardError("the base model has no evaluation: materialise `evaluations` first")
    names = [variant for variant, metric in found if metric == "accuracy"]
    power = Power(settings.confidence, settings.power, max(1, len(names) - 1))
    pairs = {name: _pair(name, found, tests) for name in names}
    # How far training seeds are apart is estimated over all variants together.
    spread = Spread.pooled(
        [own.values - base.per_unit for name, (own, base) in pairs.items() if name != "base"]
    )
    rows = []
    for name, (own, base) in pairs.items():
        row = {
            "variant": name,
            **_accuracy(name, own, base, settings, seed, spread),
            "n_prompts": len(own.units),
            "n_failed": len(tests) - len(own.units),
            **_reach(own.values - base.per_unit, spread, power, settings.smallest_gain),
            **_measured(evaluations.filter(pl.col("variant") == name)),
            **_training(runs.filter(pl.col("variant") == name)),
        }
        rows.append(row | _cost(row, data_tokens.get(name, 0), tokens_per_second))
    _judge([row for row in rows if row["variant"] != "base"], settings.confidence)
    for row in rows:
        row["conclusion"] = sentence(row, settings)
    frame = pl.DataFrame(rows, schema=tables.empty("leaderboard").schema)
    return frame.sort("accuracy", "variant", descending=[True, False])


def sentence(row: Row, settings: ValidationSettings) -> str:
    """What a reader may conclude about one variant, and how many prompts it would take."""
    if row["variant"] == "base":
        return (
            f"base answers {row['accuracy']:.1%} of the draws "
            f"on {row['n_prompts']} test prompts right."
        )
    said = {"better": "better than the base model", "worse": "worse than the base model"}
    shown = said.get(row["verdict"], "not distinguishable from the base model at this size")
    gain = (
        f"gain {row['gain']:+.3f} [{row['gain_low']:+.3f}, {row['gain_high']:+.3f}] "
        f"on {row['n_prompts']} prompts"
    )
    text = f"{row['variant']} is {shown}: {gain}"
    if row["verdict"] in said or row["detectable_gain"] is None:
        return text + "."
    enough = (
        f"would take about {row['prompts_needed']}"
        if row["prompts_needed"]
        else "would take more training seeds"
    )
    return (
        f"{text}; so many show a true gain of {row['detectable_gain']:.3f} or more "
        f"with {settings.power:.0%} power, and one of {settings.smallest_gain:g} {enough}."
    )


def _pair(name: str, found: Found, tests: Collection[str]) -> tuple[Scores, Scores]:
    whole = found[name, "accuracy"]
    if not set(whole.units) <= set(tests):
        raise OrchardError(
            f"variant {name!r} was evaluated on other prompts than the test's: evaluate it again"
        )
    own, base = paired(whole, found["base", "accuracy"])
    if not own.units:
        raise OrchardError(
            f"variant {name!r}: no test prompt was answered by it and by the base model: "
            "see `rejects`"
        )
    return own, base


def _accuracy(
    name: str,
    own: Scores,
    base: Scores,
    settings: ValidationSettings,
    seed: int,
    spread: Spread | None,
) -> Row:
    found = gain(
        own.values,
        base.per_unit,
        resamples=settings.bootstrap,
        confidence=settings.confidence,
        seed=seed,
        spread=spread,
    )
    return {
        "accuracy": float(own.values.mean()),
        "gain": found.interval.mean,
        "gain_low": found.interval.low,
        "gain_high": found.interval.high,
        "method": f"{found.method}, for {found.covers}",
        "p_value": None if name == "base" else found.p,
        "seed_sd": found.seed_sd,
        "p_holm": None,
        "verdict": "baseline",
    }


def _reach(differences: Numbers, spread: Spread | None, power: Power, smallest: float) -> Row:
    return {
        "detectable_gain": power.detectable(differences, spread),
        "prompts_needed": power.prompts_needed(differences, smallest, spread),
    }


def _measured(mine: pl.DataFrame) -> Row:
    rewards = mine.filter(pl.col("metric") == "reward_accuracy")
    answers = mine.filter(pl.col("metric") == "accuracy")
    return {
        "policy_ids": sorted(mine["policy_id"].unique()),
        "greedy": mine.filter(pl.col("metric") == "greedy")["value"].mean(),
        "reward_accuracy": rewards["value"].mean(),
        "reward_pairs": rewards["unit_id"].n_unique(),
        "response_tokens": int(answers["tokens"].sum()) / max(1, int(answers["n"].sum())),
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


def _judge(rows: list[Row], confidence: float) -> None:
    """Fills the corrected p-values and verdicts of all variants:
    they are one family of comparisons with the base.
    """
    for row, p in zip(rows, holm([cast(float, row["p_value"]) for row in rows]), strict=True):
        interval = Interval(*(cast(float, row[name]) for name in ("gain", "gain_low", "gain_high")))
        row |= {"p_holm": p, "verdict": verdict(interval, p, confidence)}
