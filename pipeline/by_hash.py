"""A sample by hash: which rows it takes depends on their ids alone,
and never moves when rows are added.
"""

from collections.abc import Sequence

import polars as pl

from pipeline.ids import unit_for


def first_by_hash(
    rows: pl.DataFrame, purpose: str, limit: int | None, keys: Sequence[str] = ("prompt_id",)
) -> pl.DataFrame:
    """Rows in the order of a hash of their keys, at most `limit` of them; null: all.

    Samples for different purposes are independent of each other.
    """
    units = [unit_for(purpose, *values) for values in rows.select(keys).iter_rows()]
    order = pl.Series("_order", units, dtype=pl.Float64)
    ordered = rows.with_columns(order).sort("_order", maintain_order=True).drop("_order")
    return ordered if limit is None else ordered.head(limit)
