"""Variants whose pairs a judge made (OSP) or explained (rationales), and their controls."""

import numpy as np
import polars as pl

from pipeline.config import Settings
from pipeline.ids import unit_for
from pipeline.judge import calibration, strength
from pipeline.preferences.controls import shuffled
from pipeline.preferences.variant import Build, Variant
from pipeline.store import Lake


def osp(lake: Lake, settings: Settings) -> pl.DataFrame:
    """Judged pairs of sampled responses with their strength.

    OSP's ranked pairing as we read its abstract: every response against one baseline, a strength and not only a winner.
    Which ranks make pairs is `judge.ranks`. The strength goes to the loss as a soft label.
    """
    responses = lake.read("responses")
    votes = lake.read("votes").filter(pl.col("first_id").is_in(responses["response_id"].implode()))
    judged = strength.per_pair(strength.paired(votes, settings.judge), _calibration(lake, settings, votes))
    pairs = strength.ranked(judged, settings.judge.ranks)
    prompts = lake.read("prompts").select("prompt_id", "split", "messages")
    ends = pl.col("finish_reason") == "stop"
    for side, name in (("better_id", "chosen"), ("worse_id", "rejected")):
        own = {f"{name}_id": pl.col("response_id"), name: pl.col("text"), f"{name}_ends": ends}
        texts = responses.select(**own, **({"policy_id": pl.col("policy_id")} if name == "chosen" else {}))
        pairs = pairs.rename({side: f"{name}_id"}).join(texts, on=f"{name}_id")
    return (
        pairs.join(prompts, on="prompt_id")
        .with_columns(depth=0, prefix=pl.lit(""), margin=2 * pl.col("strength") - 1)
        .drop("rank_better", "rank_worse")
        .sort("chosen_id", "rejected_id")
    )


def outcome(lake: Lake, settings: Settings) -> pl.DataFrame:
    """Right against wrong responses, as in the variant of that name."""
    return lake.query_file("pairs_outcome", per_prompt=settings.preferences.max_pairs_per_prompt)


def strengths_permuted(source: Build) -> Build:
    """A control of what strengths add: sides stay, strengths move between the pairs of a split, by hash."""

    def build(lake: Lake, settings: Settings) -> pl.DataFrame:
        pairs = source(lake, settings)
        ids = pairs.select("chosen_id", "rejected_id").rows()
        order = pl.Series("order", [unit_for("strengths", *row) for row in ids], dtype=pl.Float64)
        moved = pl.col("strength", "margin").sort_by("order").over("split", mapping_strategy="group_to_rows")
        return pairs.sort("chosen_id", "rejected_id").with_columns(order).with_columns(moved).drop("order")

    return build


def explained(source: Build, *, permuted: bool) -> Build:
    """Pairs of `source` that have a rationale; `permuted`: the control's, with the text of another pair."""

    def build(lake: Lake, settings: Settings) -> pl.DataFrame:
        rationales = lake.read("rationales").filter(
            pl.col("permuted") == permuted, pl.col("kind") == settings.judge.rationales.kind
        )
        own = rationales.select("chosen_id", "rejected_id", "rationale_id")
        return source(lake, settings).join(own, on=["chosen_id", "rejected_id"]).sort("chosen_id", "rejected_id")

    return build


def _calibration(lake: Lake, settings: Settings, votes: pl.DataFrame) -> strength.Calibration | None:
    """The map of the settings, fitted on training prompts' verified pairs; null where it is off or there are none."""
    kind = settings.judge.calibration
    if kind == "none":
        return None
    labels = lake.query_file("verified_pairs").filter(pl.col("split") == "train")
    judged = strength.per_pair(strength.paired(votes, settings.judge))
    known = judged.join(labels.select("a_id", "b_id", "label"), on=["a_id", "b_id"]).sort("a_id", "b_id")
    if known.is_empty():
        return None
    fitted = calibration.fit(kind, known["strength"].to_numpy(), known["label"].to_numpy())
    edge = settings.judge.clip
    return lambda p: np.clip(fitted(p), edge, 1 - edge)


SOURCES: dict[str, Build] = {"rationale": outcome, "osp_rationale": osp}  # whose pairs a variant's rationales explain
JUDGED = ("responses", "votes")

VARIANTS = (
    Variant("osp", "response", "self-judged ranks", JUDGED, osp, loss="soft"),
    Variant(
        "osp_shuffled",
        "response",
        "self-judged ranks, half of the sides exchanged",
        JUDGED,
        shuffled(osp),
        loss="soft",
        control_of="osp",
    ),
    Variant(
        "osp_permuted",
        "response",
        "self-judged ranks, strengths of other pairs",
        JUDGED,
        strengths_permuted(osp),
        loss="soft",
        control_of="osp",
    ),
    *(
        Variant(
            name + ("_permuted" if permuted else ""),
            "response",
            "pairs with rationales" + (" of other pairs" if permuted else ""),
            (*(JUDGED if source is osp else ("responses",)), "rationales"),
            explained(source, permuted=permuted),
            loss="rationale",
            control_of=name if permuted else None,
        )
        for name, source in SOURCES.items()
        for permuted in (False, True)
    ),
)


def rationale_pairs(lake: Lake, settings: Settings) -> pl.DataFrame:
    """The pairs that the profile's variants want explained."""
    wanted = [name for name in SOURCES if {name, f"{name}_permuted"} & set(settings.validation.variants)]
    columns = ["prompt_id", "split", "messages", "chosen", "rejected", "chosen_id", "rejected_id"]
    frames = [SOURCES[name](lake, settings).select(columns) for name in wanted]
    return pl.concat(frames).unique(["chosen_id", "rejected_id"]).sort("chosen_id", "rejected_id")
