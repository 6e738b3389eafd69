"""Each variant against the base model, its controls and its rivals: paired by prompt.

Families of tests, each corrected on its own (Holm 1979): against the base model, of a variant
against its controls, and of variants that are no controls against each other. Where there are
evaluation sets, a further family: each variant against the base model on each set. Policies that
were trained elsewhere are in families of their own, so that they change nothing about the variants:
our choice. Intervals are of one comparison each, not corrected.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl

from pipeline import tables
from pipeline.config import ValidationSettings
from pipeline.validation.power import Power
from pipeline.validation.ranked import BASE, Ranked, RankedBy
from pipeline.validation.ranked_by import NEEDS
from pipeline.validation.seeds import Spread, gain
from pipeline.validation.sets import on_set
from pipeline.validation.statistics import Interval, Numbers, holm, verdict

Row = dict[str, Any]
Contest = tuple[str, str]  # a variant, and what it is compared with
Controls = Mapping[str, str | None]
WORDS = {"better": "beats", "worse": "falls behind", "not distinguishable": "is not told from"}


def compare(
    ranked: Ranked, controls: Controls, settings: ValidationSettings, seed: int
) -> pl.DataFrame:
    """Rows of `comparisons`.

    Args:
        ranked: the variants and the base model on what they are ranked by.
        controls: control -> the variant that it is a control of; a variant that is neither a
            control nor a rival, such as a part of another, -> null.
        settings: resamples, confidence, power, smallest gain of interest.
        seed: of the resampling.
    """
    single = pooled_spread(ranked)
    rows = []
    for family, contests in families(ranked, controls).items():
        power = Power(settings.confidence, settings.power, max(1, len(contests)))
        found = [
            _row(ranked, family, contest, contrast(ranked, contest, settings, seed, spread, power))
            for contest in contests
            for spread in [_spread_of(ranked, contest, single)]
        ]
        judge(found, settings.confidence)
        rows += found
    for row in rows:
        row["conclusion"] = sentence(row)
    return pl.DataFrame(rows, schema=tables.empty("comparisons").schema)


def compare_on_sets(
    evaluations: pl.DataFrame,
    by: RankedBy,
    tests: Collection[str],
    sets: Sequence[str | None],
    settings: ValidationSettings,
    seed: int,
) -> pl.DataFrame:
    """Rows of `comparisons` of the family `sets`: each variant against the base model on each
    evaluation set, all corrected together; and of policies trained elsewhere (`brought_sets`).

    A set is compared by the first metric of `ranked_by.NEEDS` that was measured on it; what alone
    ranks the variants is compared as the family `base` already.

    Args:
        evaluations: of the base model and of the variants, metrics with the names of their sets.
        by: what ranks them, and what the units are.
        tests: ids of the test prompts that have a verifier.
        sets: names of sets; null: the profile's own held-out prompts or pairs.
        settings: resamples, confidence, power, smallest gain of interest.
        seed: of the resampling.
    """
    metrics = [one for one in _metrics_of_sets(evaluations, sets) if one != by.name]
    found = [
        Ranked.of(evaluations.filter(metric=one), replace(by, weights={one: 1.0}), tests)
        for one in metrics
    ]
    spreads = {one.by.name: pooled_spread(one) for one in found}
    both = [(one, (name, BASE)) for one in found for name in one.variants if name != BASE]
    rows: list[Row] = []
    for family in ("sets", "brought_sets"):
        of = [(one, c) for one, c in both if (c[0] in by.brought) == (family == "brought_sets")]
        power = Power(settings.confidence, settings.power, max(1, len(of)))
        made = [
            _row(one, family, contest, contrast(one, contest, settings, seed, spread, power))
            for one, contest in of
            for spread in [_spread_of(one, contest, spreads[one.by.name])]
        ]
        judge(made, settings.confidence)
        rows += made
    for row in rows:
        row["conclusion"] = sentence(row)
    return pl.DataFrame(rows, schema=tables.empty("comparisons").schema)


def _metrics_of_sets(evaluations: pl.DataFrame, sets: Sequence[str | None]) -> list[str]:
    """What each set is compared by; nothing for one on which no variant was measured."""
    known = set(evaluations.filter(pl.col("variant") != BASE)["metric"])
    possible = ([on_set(metric, name) for metric in NEEDS] for name in sets)
    return [own[0] for each in possible if (own := [one for one in each if one in known])]


def families(ranked: Ranked, controls: Controls) -> dict[str, list[Contest]]:
    """Family -> the (variant, against) of its tests; of two rivals the one that is ahead first."""
    brought = [name for name in ranked.variants if name in ranked.by.brought]
    names = [name for name in ranked.variants if name != BASE and name not in brought]
    rivals = [*(name for name in names if name not in controls), *brought]
    rivals.sort(key=lambda name: (-ranked.value(name), name))
    pairs = list(combinations(rivals, 2))
    own = [(source, name) for name in names for source in [controls.get(name)] if source in names]
    return {
        "base": [(name, BASE) for name in names],
        "control": sorted((str(source), name) for source, name in own),
        "pairwise": [pair for pair in pairs if not {*pair} & {*brought}],
        "brought": [(name, BASE) for name in brought],
        "brought_pairwise": [pair for pair in pairs if {*pair} & {*brought}],
    }


def pooled_spread(ranked: Ranked) -> Spread | None:
    """How far training seeds are apart, estimated over all variants together."""
    trained = [name for name in ranked.variants if not ranked.is_fixed(name)]
    return Spread.pooled([ranked.differences(name) for name in trained])


def _spread_of(ranked: Ranked, contest: Contest, single: Spread | None) -> Spread | None:
    """How far seeds are apart in a contest, from that of one variant: of two that were trained here
    twice that; of two that were not, nothing.
    """
    trained = sum(not ranked.is_fixed(name) for name in contest)
    if single is None or not trained:
        return None
    return single.of_two() if trained > 1 else single


def contrast(
    ranked: Ranked,
    contest: Contest,
    settings: ValidationSettings,
    seed: int,
    spread: Spread | None,
    power: Power,
) -> Row:
    """Gain, interval, p-value and power of one comparison."""
    differences = ranked.differences(*contest)
    found = gain(
        differences,
        np.zeros(differences.shape[1]),
        resamples=settings.bootstrap,
        confidence=settings.confidence,
        seed=seed,
        spread=spread,
    )
    smallest = settings.smallest_gain * ranked.by.unit
    return {
        "gain": found.interval.mean,
        "gain_low": found.interval.low,
        "gain_high": found.interval.high,
        "method": f"{found.method}, for {found.covers}",
        "p_value": found.p,
        "p_holm": None,
        "verdict": "baseline",
        "seed_sd": found.seed_sd,
        "detectable_gain": power.detectable(differences, spread),
        "prompts_needed": power.prompts_needed(differences, smallest, spread),
        "effect_size": effect_size(differences),
    }


def effect_size(differences: Numbers) -> float | None:
    """Cohen's d for pairs (d_z): the mean difference in standard deviations of the prompts' own.

    Null where nothing varies. Cohen 1988, section 2.3.5.
    """
    of_prompts = np.atleast_2d(differences).mean(axis=0)
    spread = float(of_prompts.std(ddof=1)) if len(of_prompts) > 1 else 0.0
    return float(of_prompts.mean()) / spread if spread > 0 else None


def judge(rows: Sequence[Row], confidence: float) -> None:
    """Fills the corrected p-values and verdicts of one family of comparisons."""
    for row, p in zip(rows, holm([row["p_value"] for row in rows]), strict=True):
        interval = Interval(*(row[name] for name in ("gain", "gain_low", "gain_high")))
        row |= {"p_holm": p, "verdict": verdict(interval, p, confidence)}


def sentence(row: Row) -> str:
    """One comparison in words, with its effect and how many prompts it would take."""
    what = "its control " if row["family"] == "control" else ""
    against = "the base model" if row["against"] == BASE else f"{what}{row['against']}"
    against += f" in {row['metric']}" if row["family"].endswith("sets") else ""
    size = "" if row["effect_size"] is None else f", d = {row['effect_size']:+.2f}"
    said = (
        f"{row['variant']} {WORDS[row['verdict']]} {against} by {row['gain']:+.3f} "
        f"[{row['gain_low']:+.3f}, {row['gain_high']:+.3f}]{size}, p = {row['p_holm']:.3f}"
    )
    needed = row["prompts_needed"]
    if row["verdict"] != "not distinguishable" or needed is None:
        return said + "."
    return f"{said}; the smallest gain of interest would take about {needed} prompts."


def concluded(board: pl.DataFrame, comparisons: pl.DataFrame) -> pl.DataFrame:
    """The leaderboard, with what its variants beat beside the base model in their conclusions."""
    said = {name: _beaten(comparisons, name) for name in board["variant"]}
    more = pl.col("variant").replace_strict(said, default="", return_dtype=pl.String)
    return board.with_columns(conclusion=pl.concat_str("conclusion", more))


def _beaten(comparisons: pl.DataFrame, name: str) -> str:
    """'It beats its control a by ... and b by ...'; empty where it was compared with neither."""
    own = comparisons.filter(
        pl.col("variant") == name,
        pl.col("family").is_in(["control", "pairwise", "brought_pairwise"]),
    )
    if own.is_empty():
        return ""
    parts = []
    for word, start in (("better", "beats"), ("worse", "falls behind")):
        told = [_told(row) for row in own.filter(verdict=word).iter_rows(named=True)]
        parts += [f"{start} {' and '.join(told)}"] if told else []
    unclear = [_named(row) for row in own.filter(verdict="not distinguishable").to_dicts()]
    parts += [f"is not told from {' and '.join(unclear)}"] if unclear else []
    return f" It {'; it '.join(parts)}."


def _named(row: Row) -> str:
    return f"its control {row['against']}" if row["family"] == "control" else str(row["against"])


def _told(row: Row) -> str:
    interval = f"[{row['gain_low']:+.3f}, {row['gain_high']:+.3f}]"
    return f"{_named(row)} by {row['gain']:+.3f} {interval}"


def _row(ranked: Ranked, family: str, contest: Contest, found: Row) -> Row:
    variant, against = contest
    return {
        "variant": variant,
        "against": against,
        "family": family,
        "metric": ranked.by.name,
        "n_prompts": len(ranked.prompts(variant, against)),
        **found,
    }
