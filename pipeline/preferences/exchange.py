"""Chosen and rejected sides exchanged, with all that belongs to a side."""

import polars as pl

from pipeline.ids import unit_for

SIDES = (("chosen", "rejected"), ("chosen_ends", "rejected_ends"), ("chosen_id", "rejected_id"))
# Of pairs that were built already.
SAMPLED = (("chosen_thought", "rejected_thought"), ("chosen_token_ids", "rejected_token_ids"))
CONTEXTS = (("messages", "rejected_messages"), ("prefix", "rejected_prefix"))


def exchange(pairs: pl.DataFrame, mask: pl.Series) -> pl.DataFrame:
    """The pairs with the sides of some exchanged and `flipped` turned over there.

    Strength and margin follow.
    """
    flip = pl.Series("_exchanged", mask, dtype=pl.Boolean)
    swap = [
        pl.when("_exchanged").then(other).otherwise(side).alias(side)
        for a, b in (*SIDES, *(both for both in SAMPLED if both[0] in pairs.columns))
        for side, other in ((a, b), (b, a))
    ]
    for own, rejected in CONTEXTS:
        if rejected in pairs.columns:  # null: the same as the chosen side's, before and after
            moved = pl.col("_exchanged") & pl.col(rejected).is_not_null()
            swap += [
                pl.when(moved).then(rejected).otherwise(own).alias(own),
                pl.when(moved).then(own).otherwise(rejected).alias(rejected),
            ]
    before = pl.col("flipped") if "flipped" in pairs.columns else pl.lit(False)
    values = [
        pl.when("_exchanged").then(1 - pl.col("strength")).otherwise("strength").alias("strength"),
        pl.when("_exchanged").then(-pl.col("margin")).otherwise("margin").alias("margin"),
        (before != pl.col("_exchanged")).alias("flipped"),
    ]
    return pairs.with_columns(flip).with_columns(*swap, *values).drop("_exchanged")


def mislabel(pairs: pl.DataFrame, mask: pl.Series) -> pl.DataFrame:
    """The same, but strength and margin stay with the label:
    the wrong one is as sure of itself as the right one was.

    Where a loss reads the strength as a soft label, exchanging it with the sides would change
    nothing: the loss of (a over b with p) and of (b over a with 1 - p) is the same number. So would
    a margin that turns its sign.
    """
    return exchange(pairs, mask).with_columns(pairs["strength"], pairs["margin"])


def inject(pairs: pl.DataFrame, share: float) -> pl.DataFrame:
    """The pairs with exactly this share of the training labels flipped (`mislabel`), by hash.

    `flipped` says which.
    """
    if share <= 0 or pairs.is_empty():
        return pairs
    ids = pairs.select("chosen_id", "rejected_id").rows()
    order = pl.Series("_order", [unit_for("inject", *sorted(row)) for row in ids], dtype=pl.Float64)
    ranked = pairs.select(order, "split").select(
        (pl.col("split") == "train")
        & (pl.col("_order").rank("ordinal").over("split") <= (share * pl.len()).over("split"))
    )
    return mislabel(pairs, ranked.to_series())
