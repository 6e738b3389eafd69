"""Controls: what a variant must beat to have earned anything."""

import polars as pl

from pipeline.config import Settings
from pipeline.ids import unit_for
from pipeline.preferences.variant import Build
from pipeline.store import Lake


def shuffled(source: Build) -> Build:
    """The control of a variant: the sides of exactly half of its pairs exchanged, chosen by hash."""

    def build(lake: Lake, settings: Settings) -> pl.DataFrame:
        return flip_half(source(lake, settings))

    return build


def flip_half(pairs: pl.DataFrame) -> pl.DataFrame:
    """Exchanges the sides of half of the pairs of each split: the half whose hashes are smallest (rounded down).

    Where the sides have contexts of their own, those are exchanged too.
    """
    ids = pairs.select("chosen_id", "rejected_id").rows()
    order = pl.Series("order", [unit_for("shuffle", *row) for row in ids], dtype=pl.Float64)
    half = pl.col("order").rank("ordinal").over("split") <= pl.len().over("split") // 2
    marked = pairs.with_columns(order).with_columns(flipped=half)
    swap = [
        pl.when("flipped").then(other).otherwise(side).alias(side)
        for a, b in (("chosen", "rejected"), ("chosen_ends", "rejected_ends"), ("chosen_id", "rejected_id"))
        for side, other in ((a, b), (b, a))
    ]
    signs = [
        pl.when("flipped").then(1 - pl.col("strength")).otherwise("strength").alias("strength"),
        pl.when("flipped").then(-pl.col("margin")).otherwise("margin").alias("margin"),
    ]
    contexts = [
        pl.when(pl.col("flipped") & pl.col(other).is_not_null()).then(new).otherwise(old).alias(old)
        for side, other in (("prefix", "rejected_prefix"), ("messages", "rejected_messages"))
        if other in pairs.columns
        for old, new in ((side, other), (other, side))
    ]
    return marked.with_columns(*swap, *signs, *contexts).drop("order")
