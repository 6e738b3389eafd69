"""Chosen and rejected sides exchanged, with all that belongs to a side."""

import polars as pl

SIDES = (("chosen", "rejected"), ("chosen_ends", "rejected_ends"), ("chosen_id", "rejected_id"))
CONTEXTS = (("messages", "rejected_messages"), ("prefix", "rejected_prefix"))


def exchange(pairs: pl.DataFrame, mask: pl.Series) -> pl.DataFrame:
    """The pairs with the sides of some exchanged and `flipped` turned over there; strength and margin follow."""
    flip = pl.Series("_exchanged", mask, dtype=pl.Boolean)
    swap = [
        pl.when("_exchanged").then(other).otherwise(side).alias(side)
        for a, b in SIDES
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
