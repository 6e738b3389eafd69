"""Texts that are good or bad on their own, from the verifier's passes and fails (BCO),
and their control.

Binary Classifier Optimisation: Jung et al. 2024, arXiv 2404.04656; second-hand. Bad texts come from
harder prompts than good ones; each is weighted by p(prompt | good) / p(prompt | bad), held in
[0.5, 10] (TRL's trainer), so that the loss compares texts and not prompts. Here the ratio comes
from counts (sql/unpaired_verified.sql). Prompts that were only solved, or only failed, count too.
"""

import polars as pl

from pipeline import tables
from pipeline.ids import content_id, unit_for
from pipeline.preferences.outcome import READS, outcome
from pipeline.preferences.sampled import sampled_by_id
from pipeline.preferences.variant import VARIANTS, Variant, register
from pipeline.store.reader import Reader


def texts(lake: Reader, variant: str) -> pl.DataFrame:
    """The rows of `unpaired` of one variant.

    The control's labels change places between the texts of a split.
    """
    rows = lake.query_file("unpaired_verified")
    if VARIANTS.find(variant).control_of is not None:
        order = pl.Series(
            "order", [unit_for("unpaired", name) for name in rows["response_id"]], dtype=pl.Float64
        )
        moved = (
            pl.col("desirable", "weight")
            .sort_by("order")
            .over("split", mapping_strategy="group_to_rows")
        )
        rows = rows.with_columns(order).with_columns(moved).drop("order")
    ids = pl.Series([content_id(variant, name) for name in rows["response_id"]], dtype=pl.String)
    known = sampled_by_id(lake, ["responses"])
    found = [known.get(key) for key in rows["response_id"]]
    named = rows.with_columns(
        pl.Series("thought", [one.thought if one else None for one in found], dtype=pl.String),
        pl.Series(
            "token_ids", [one.token_ids if one else None for one in found], dtype=pl.List(pl.Int64)
        ),
        unpaired_id=ids,
        variant=pl.lit(variant),
        method=pl.lit("verified responses"),
    )
    return named.select(
        pl.col(name).cast(kind) for name, kind in tables.empty("unpaired").schema.items()
    )


BCO = Variant("bco", "response", "verified responses", READS, outcome, "bco", rows="unpaired")
register(BCO, BCO.control("shuffled", "labels shuffled", outcome))
