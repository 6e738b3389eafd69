"""How often each rule takes a right answer, against a majority vote and the outcome verifier."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl

from pipeline import tables
from pipeline.config import Settings
from pipeline.noise.coding import Floats
from pipeline.selection.choose import by_tournament, by_vote, of_highest, pooled
from pipeline.validation.statistics import bootstrap, paired_bootstrap

NOBODY = "nobody"  # in place of a selector, where a rule needs none
OUTCOME = "outcome"  # the variant whose selector is the outcome verifier
DRAW, VOTE, BEST, TOURNAMENT, ANY = "one draw", "vote", "best", "tournament", "any right"
RULES = (DRAW, VOTE, BEST, TOURNAMENT, ANY)
KINDS = ("answer", "chosen", "rejected")
Row = dict[str, Any]


def selections(scores: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """Rows of `selections` from rows of `step_scores`."""
    answers = scores.filter(pl.col("kind") == "answer")
    if answers.is_empty():
        return tables.empty("selections")
    chosen, shares = settings.selection, list[tuple[str, str, Floats]]()
    for number, source in enumerate(answers["selector"].unique(maintain_order=True)):
        own = _per_prompt(answers.filter(pl.col("selector") == source), chosen.pooling)
        rules = _right(own, chosen.draws)
        shares += [
            (source if rule in (BEST, TOURNAMENT) else NOBODY, rule, right)
            for rule, right in rules.items()
            if number == 0 or rule in (BEST, TOURNAMENT)
        ]
    known = {(selector, rule): right for selector, rule, right in shares}
    labels = dict(_pair_accuracy(scores))
    rows = [_row(*key, known, scores, settings) | labels.get(key[0], {}) for key in known]
    return pl.DataFrame(rows, schema=tables.empty("selections").schema)


def _per_prompt(answers: pl.DataFrame, pooling: str) -> list[pl.DataFrame]:
    """Per prompt its answers in the order of their ids, each with one score."""
    steps = answers.sort("prompt_id", "item_id", "step").group_by(
        "prompt_id", "item_id", maintain_order=True
    )
    one = steps.agg("score", pl.col("answer", "correct").first())
    values = [pooled(own, pooling) for own in one["score"].to_list()]
    return one.with_columns(score=pl.Series(values, dtype=pl.Float64)).partition_by(
        "prompt_id", maintain_order=True
    )


def _right(prompts: list[pl.DataFrame], draws: int) -> dict[str, Floats]:
    """Per rule, P(the answer that it takes is right) of each prompt.

    An empty draw has no row: it is never taken, and one draw at random may be it.
    """
    found: dict[str, list[float]] = {rule: [] for rule in RULES}
    for own in prompts:
        said, scores = own["answer"].to_list(), own["score"].to_numpy()
        right = own["correct"].fill_null(False).cast(pl.Float64).to_numpy()
        found[DRAW].append(float(right.sum()) / max(draws, len(said)))
        found[VOTE].append(float(by_vote(said) @ right))
        found[BEST].append(float(of_highest(scores) @ right))
        found[TOURNAMENT].append(float(by_tournament(said, scores) @ right))
        found[ANY].append(float(right.max()))
    return {rule: np.array(values) for rule, values in found.items()}


def _row(
    selector: str,
    rule: str,
    known: Mapping[tuple[str, str], Floats],
    scores: pl.DataFrame,
    settings: Settings,
) -> Row:
    options: Any = {
        "resamples": settings.validation.bootstrap,
        "confidence": settings.validation.confidence,
        "seed": settings.seed,
    }
    right = known[selector, rule]
    row: Row = {"selector": selector, "rule": rule, "n_prompts": len(right)}
    interval = bootstrap(right, **options)
    row |= {"accuracy": float(right.mean())}
    row |= {"low": interval and interval.low, "high": interval and interval.high}
    for name, other in (("vote", (NOBODY, VOTE)), (OUTCOME, (OUTCOME, rule))):
        values: tuple[float | None, ...] = (None, None, None)
        if other in known and other != (selector, rule) and rule != ANY:
            gain = paired_bootstrap(right, known[other], **options)
            values = (gain.mean, gain.low, gain.high)
        names = (f"over_{name}", f"over_{name}_low", f"over_{name}_high")
        row |= dict(zip(names, values, strict=True))
    own = scores.filter(pl.col("selector") == selector)
    row |= {"n_pairs": None if own.is_empty() else own["n_pairs"][0]}
    return row | {"pair_accuracy": None, "n_held_out": None}


def _pair_accuracy(scores: pl.DataFrame) -> Iterator[tuple[str, Row]]:
    """Per selector, how often it scores the better side of a held-out pair higher; ties half."""
    sides = scores.filter(pl.col("kind") != "answer").select("selector", "pair_id", "kind", "score")
    for (selector,), own in sides.group_by("selector", maintain_order=True):
        pairs = own.pivot("kind", index="pair_id", values="score")
        gap = (pairs["chosen"] - pairs["rejected"]).sign()
        yield str(selector), {"pair_accuracy": _mean((gap + 1) / 2), "n_held_out": pairs.height}


def _mean(values: pl.Series) -> float:
    return float(values.to_numpy().mean())


def in_words(rows: pl.DataFrame) -> list[str]:
    """One sentence for each selector's best-of-N, with what it is compared to."""
    said = []
    for row in rows.filter(pl.col("rule") == BEST).iter_rows(named=True):
        parts = [f"**{row['selector']}**: right on {row['accuracy']:.1%} of {row['n_prompts']}"]
        for name in ("vote", OUTCOME):
            gain = row[f"over_{name}"]
            if gain is not None:
                low, high = row[f"over_{name}_low"], row[f"over_{name}_high"]
                parts.append(f"{gain:+.3f} [{low:+.3f}, {high:+.3f}] against {name}")
        said.append("; ".join(parts))
    return said
