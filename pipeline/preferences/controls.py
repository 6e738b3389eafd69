"""Controls made from a variant's own pairs."""

import polars as pl

from pipeline.ids import unit_for


def flip_half(pairs: pl.DataFrame) -> pl.DataFrame:
    """Exchanges the sides of half of the pairs of each split: the half whose hashes are smallest (rounded down)."""
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
    return marked.with_columns(*swap, *signs).drop("order")
