"""All metrics of all variants as one long table:
means with intervals, changes against the base, and by category.
"""

from collections.abc import Collection, Mapping
from typing import Any, cast

import polars as pl

from pipeline import tables
from pipeline.config import ValidationSettings
from pipeline.validation.ranking import IDEAL_BETAS
from pipeline.validation.scores import Scores, paired, scores
from pipeline.validation.sets import bare, split_name
from pipeline.validation.statistics import Interval, bootstrap, holm, sign_flip_p, verdict

Row = dict[str, Any]
ALL = "all"
PROMPTS = {
    "accuracy": "share of right draws; higher is better",
    "greedy": "share of prompts answered right at temperature 0; higher is better",
    "accuracy_loose": (
        "share of draws that fulfil all instructions in IFEval's loose mode; "
        "accuracy is the strict one"
    ),
    "instructions": (
        "share of a prompt's instructions that are fulfilled, strictly; higher is better"
    ),
    "instructions_loose": "the same in IFEval's loose mode",
    "answer_tokens": "mean tokens of an answer; longer is not better",
    "distinct_2": "share of different word bigrams among a prompt's draws: diversity",
    "near_duplicates": "share of draws that nearly repeat an earlier one for the same prompt",
    "kl": (
        "KL divergence to the base model, nats per answer: "
        "mean log pi - log pi_ref of own answers, temperature 1"
    ),
    "kl_per_token": "the same per token of the answer",
    "win_rate": (
        "share of judged comparisons won against the base model's answer; ties and flips count half"
    ),
    "length_controlled_wins": (
        "log-odds of such a win with answers as long as the base model's, by a logistic regression "
        "on the difference of lengths (Dubois et al. 2024); 0: as good as the base model"
    ),
    "win_longer": (
        "tokens by which the judged answer was longer than the base model's; longer is not better"
    ),
    "win_flips": "share of those comparisons in which the judge's verdict flipped with the order",
}
PAIRS = {
    "reward_accuracy": (
        "share of pairs whose chosen text gained more log-probability than the other; "
        "higher is better"
    ),
    "reward_margin": "beta times that difference of gains, nats",
    "ranking_accuracy": "share of pairs whose chosen text is the likelier one; higher is better",
    "ranking_accuracy_per_token": "the same with log-probabilities per token",
    "longer_right": "share of pairs whose chosen text has more tokens, ties half: length alone",
    "flipped_right": (
        "of the pairs that the base model ranks wrongly, the share that is now ranked right"
    ),
    "flipped_wrong": (
        "of the pairs that the base model ranks right, the share that is now ranked wrongly"
    ),
    "ideal_ranking": (
        "ranking accuracy of DPO's optimum at the profile's beta, "
        "from the base model's log-probabilities"
    ),
    **{
        f"ideal_ranking_beta_{beta:g}": f"ranking accuracy of DPO's optimum at beta {beta:g}"
        for beta in IDEAL_BETAS
    },
    "unflippable": (
        "of the pairs that the base model ranks wrongly, "
        "the share that DPO's optimum ranks wrongly too"
    ),
    "flip_loss": (
        "mean DPO loss below which a pair that the base model ranks wrongly is ranked right"
    ),
}


def meaning(metric: str) -> str:
    """What a metric is."""
    metric, name = split_name(metric)
    return _meaning(metric) + ("" if name is None else f"; on the evaluation set {name}")


def _meaning(metric: str) -> str:
    if metric.startswith("pass_at_"):
        return (
            f"P(at least one of {metric.removeprefix('pass_at_')} draws is right), "
            "unbiased; higher is better"
        )
    return PROMPTS.get(metric) or PAIRS[metric]


def summarise(
    evaluations: pl.DataFrame,
    categories: Mapping[str, str],
    settings: ValidationSettings,
    seed: int,
    brought: Collection[str] = (),
) -> pl.DataFrame:
    """Rows of `metrics`.

    categories: unit (prompt or pair) -> its category. A metric whose units are all of one gets no
    row for it: that would say the same as "all". brought: policies that were trained elsewhere,
    whose p-values are corrected apart.
    """
    found = scores(evaluations)
    rows = [
        row
        for (variant, metric), own in sorted(found.items())
        for category, part in _parts(own, categories).items()
        for row in [
            _row(variant, metric, category, part, found.get(("base", metric)), settings, seed)
        ]
    ]
    tested = [row for row in rows if row["p_value"] is not None]
    for elsewhere in (False, True):
        family = [row for row in tested if (row["variant"] in brought) == elsewhere]
        _judge(family, settings.confidence)
    return pl.DataFrame(rows, schema=tables.empty("metrics").schema)


def _parts(own: Scores, categories: Mapping[str, str]) -> dict[str, Scores]:
    named: dict[str, list[str]] = {}
    for unit in own.units:
        if unit in categories:
            named.setdefault(categories[unit], []).append(unit)
    parts = (
        {category: own.on(units) for category, units in sorted(named.items())}
        if len(named) > 1
        else {}
    )
    return {ALL: own, **parts} if own.units else {}


def _row(
    variant: str,
    metric: str,
    category: str,
    own: Scores,
    base: Scores | None,
    settings: ValidationSettings,
    seed: int,
) -> Row:
    options: Any = {
        "resamples": settings.bootstrap,
        "confidence": settings.confidence,
        "seed": seed,
    }
    interval = bootstrap(own.values, **options)
    return {
        "variant": variant,
        "metric": metric,
        "category": category,
        "split": "validation" if metric in PAIRS else "test",  # pairs of a set are for tests
        "meaning": meaning(metric),
        "value": float(own.values.mean()),
        "low": interval and interval.low,
        "high": interval and interval.high,
        **_change(own, base if variant != "base" else None, options),
        **_test(
            own,
            base if variant != "base" and bare(metric) == "accuracy" and category != ALL else None,
            settings,
            seed,
        ),
        "n": len(own.units),
        "n_seeds": own.values.shape[0],
    }


def _change(own: Scores, base: Scores | None, options: Any) -> Row:
    mine, theirs = paired(own, base) if base else (own, None)
    if theirs is None or not theirs.units:
        return dict.fromkeys(("base", "change", "change_low", "change_high"))
    difference = mine.values - theirs.per_unit
    interval = bootstrap(difference, **options)
    return {
        "base": float(theirs.per_unit.mean()),
        "change": float(difference.mean()),
        "change_low": interval and interval.low,
        "change_high": interval and interval.high,
    }


def _test(own: Scores, base: Scores | None, settings: ValidationSettings, seed: int) -> Row:
    mine, theirs = paired(own, base) if base else (own, None)
    if theirs is None or not theirs.units:
        return dict.fromkeys(("p_value", "p_holm", "verdict"))
    p = sign_flip_p(mine.values, theirs.per_unit, resamples=settings.bootstrap, seed=seed)
    return {"p_value": p, "p_holm": None, "verdict": None}


def _judge(rows: list[Row], confidence: float) -> None:
    """Corrected p-values and verdicts:
    all categories of all variants are one family of comparisons with the base.
    """
    for row, p in zip(rows, holm([cast(float, row["p_value"]) for row in rows]), strict=True):
        low, high = row["change_low"], row["change_high"]
        interval = Interval(
            row["change"], -1.0 if low is None else low, 1.0 if high is None else high
        )
        row |= {"p_holm": p, "verdict": verdict(interval, p, confidence)}
