"""Reasons beside the pairs that they are for."""

import polars as pl

from pipeline.errors import OrchardError


def attach(pairs: pl.DataFrame, rationales: pl.DataFrame) -> pl.DataFrame:
    """Pairs with the columns `rationale` (text) and `rationale_messages`
    (the turns that it answers), joined by id.

    Both are null for a pair without a rationale.

    Raises:
        OrchardError: a pair names a rationale that the table does not hold.
    """
    texts = rationales.select("rationale_id", rationale="text", rationale_messages="messages")
    joined = pairs.join(texts, on="rationale_id", how="left", maintain_order="left")
    lost = joined.filter(pl.col("rationale_id").is_not_null() & pl.col("rationale").is_null())
    if not lost.is_empty():
        found = f"{len(lost)} of {len(pairs)} pairs, the first {lost['pair_id'][0]}"
        raise OrchardError(
            f"rationales are missing for {found}: build the table `rationales` before the pairs"
        )
    return joined
