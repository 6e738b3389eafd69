"""Variants whose pairs a judge made (OSP) or explained (rationales), and their controls."""

from dataclasses import replace
from typing import Literal

import numpy as np
import polars as pl

from pipeline.config import Settings
from pipeline.ids import unit_for
from pipeline.judge import calibration, strength
from pipeline.judge.scale import on_one_scale
from pipeline.preferences.controls import shuffled
from pipeline.preferences.variant import Build, Variant, bare, pairs_of, register
from pipeline.steps.declared import Reads, Rows
from pipeline.store.reader import Reader


def osp(lake: Reader, settings: Settings) -> pl.DataFrame:
    """Judged pairs of sampled responses with their strength.

    OSP's ranked pairing as we read its abstract: every response against one baseline, a strength
    and not only a winner. Which ranks make pairs is `judge.ranks`. The strength goes to the loss as
    a soft label.
    """
    labels = lake.query_file("verified_pairs")
    votes, responses = lake.read("votes"), lake.read("responses")
    return judged_pairs(votes, responses, labels, lake.read("prompts"), settings).sort(
        "chosen_id", "rejected_id"
    )


def judged_pairs(
    votes: pl.DataFrame,
    responses: pl.DataFrame,
    labels: pl.DataFrame,
    prompts: pl.DataFrame,
    settings: Settings,
    ranks: Literal["all", "adjacent"] | None = None,
) -> pl.DataFrame:
    """Ordered pairs with the strengths of a judge's votes, as columns of `preferences`.

    Args:
        votes: rows of `votes`; those on other than these responses are left out.
        responses: rows of `responses`.
        labels: rows of verified_pairs.sql over these.
        prompts: rows of `prompts`.
        settings: of the judge.
        ranks: which ranks make pairs; null: `judge.ranks`.
    """
    known = responses["response_id"].implode()  # no imported ones, no near-duplicates
    both = pl.all_horizontal(pl.col("first_id", "second_id").is_in(known))
    labels = labels.filter(pl.col("split") == "train")
    votes = on_one_scale(votes.filter(both), labels)
    judged = strength.per_pair(
        strength.paired(votes, settings.judge), _calibration(labels, settings, votes)
    )
    pairs = strength.ranked(judged, ranks or settings.judge.ranks)
    ends = pl.col("finish_reason") == "stop"
    for side, name in (("better_id", "chosen"), ("worse_id", "rejected")):
        texts = responses.select(
            pl.col("response_id").alias(f"{name}_id"),
            pl.col("text").alias(name),
            ends.alias(f"{name}_ends"),
            pl.col("policy_id").alias(f"{name}_policy"),
        )
        pairs = pairs.rename({side: f"{name}_id"}).join(texts, on=f"{name}_id")
    writer = pl.col("chosen_policy")
    return (
        pairs.join(prompts.select("prompt_id", "split", "messages"), on="prompt_id")
        .with_columns(
            depth=0,
            prefix=pl.lit(""),
            margin=2 * pl.col("strength") - 1,
            policy_id=pl.when(writer == pl.col("rejected_policy")).then(writer),
        )
        .drop("rank_better", "rank_worse", "chosen_policy", "rejected_policy")
    )


def strengths_permuted(source: Build) -> Build:
    """A control of what strengths add:
    sides stay, strengths move between the pairs of a split, by hash.
    """

    def build(lake: Reader, settings: Settings) -> pl.DataFrame:
        pairs = source(lake, settings)
        ids = pairs.select("chosen_id", "rejected_id").rows()
        order = pl.Series("order", [unit_for("strengths", *row) for row in ids], dtype=pl.Float64)
        moved = (
            pl.col("strength", "margin")
            .sort_by("order")
            .over("split", mapping_strategy="group_to_rows")
        )
        return (
            pairs.sort("chosen_id", "rejected_id")
            .with_columns(order)
            .with_columns(moved)
            .drop("order")
        )

    return build


def explained(source: str, *, permuted: bool) -> Build:
    """Pairs of the variant `source` that have a rationale.

    `permuted`: with that of another pair.
    """

    def build(lake: Reader, settings: Settings) -> pl.DataFrame:
        kind = settings.judge.rationales.kind
        found = lake.read("rationales").filter(
            pl.col("permuted") == permuted, pl.col("kind") == kind
        )
        own = found.select("chosen_id", "rejected_id", "rationale_id")
        pairs = bare(pairs_of(lake, source)).drop("rationale_id")
        return pairs.join(own, on=["chosen_id", "rejected_id"]).sort("chosen_id", "rejected_id")

    return build


def _calibration(
    labels: pl.DataFrame, settings: Settings, votes: pl.DataFrame
) -> strength.Calibration | None:
    """The map of the settings, fitted on training prompts' verified pairs;
    null where it is off or there are none.
    """
    kind = settings.judge.calibration
    if kind == "none":
        return None
    judged = strength.per_pair(strength.paired(votes, settings.judge))
    known = judged.join(labels.select("a_id", "b_id", "label"), on=["a_id", "b_id"]).sort(
        "a_id", "b_id"
    )
    if known.is_empty():
        return None
    fitted = calibration.fit(kind, known["strength"].to_numpy(), known["label"].to_numpy())
    edge = settings.judge.clip
    return lambda p: np.clip(fitted(p), edge, 1 - edge)


OSP_READS = Reads(
    tables=("responses", "votes", "prompts"),
    queries=("verified_pairs",),
    settings=(
        "judge.calibration",
        "judge.clip",
        "judge.combine",
        "judge.ranks",
        "judge.seat_correction",
    ),
    gates=("judges",),
)
OSP = Variant("osp", "response", "self-judged ranks", OSP_READS, osp, loss="soft")
register(
    OSP,
    OSP.control("shuffled", "half of the sides exchanged", shuffled(osp)),
    OSP.control("permuted", "strengths of other pairs", strengths_permuted(osp)),
)


def explained_variants(name: str, source: str) -> tuple[Variant, Variant]:
    """The pairs of a variant with reasons for their labels, and with those of other pairs.

    The second is the first one's control.
    """

    def reads(permuted: str) -> Reads:
        rationales = Rows("rationales", "permuted", permuted)
        return Reads(tables=(rationales,), settings=("judge.rationales.kind",))

    made = Variant(
        name,
        "response",
        "pairs with rationales",
        reads("false"),
        explained(source, permuted=False),
        loss="rationale",
        source=lambda settings: source,
    )
    control = made.control("permuted", "of other pairs", explained(source, permuted=True))
    return made, replace(control, reads=reads("true"))


register(*explained_variants("rationale", "outcome"))
register(*explained_variants("osp_rationale", "osp"))
