"""Controls: what a variant must beat to have earned anything."""

import polars as pl

from pipeline.config import Settings
from pipeline.ids import unit_for
from pipeline.preferences.exchange import mislabel
from pipeline.preferences.variant import Build
from pipeline.store.reader import Reader


def shuffled(source: Build) -> Build:
    """The control of a variant:
    the sides of exactly half of its pairs exchanged, chosen by hash.
    """

    def build(lake: Reader, settings: Settings) -> pl.DataFrame:
        return flip_half(source(lake, settings))

    return build


def flip_half(pairs: pl.DataFrame) -> pl.DataFrame:
    """Exchanges the sides of half of the pairs of each split:
    the half whose hashes are smallest (rounded down).

    Strength and margin stay with the label, so that it is a control under every loss (`mislabel`).
    Where the sides have contexts of their own, those are exchanged too.
    """
    ids = pairs.select("chosen_id", "rejected_id").rows()
    order = pl.Series("order", [unit_for("shuffle", *row) for row in ids], dtype=pl.Float64)
    half = pl.col("order").rank("ordinal").over("split") <= pl.len().over("split") // 2
    mask = pairs.select(order, "split").select(half).to_series()
    return mislabel(pairs, mask)
