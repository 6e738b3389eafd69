"""Texts that are good or bad on their own, by a verifier or by thumbs, and their controls.

Binary Classifier Optimisation: Jung et al. 2024, arXiv 2404.04656; second-hand. Bad texts come from
harder prompts than good ones; each is weighted by p(prompt | good) / p(prompt | bad), held in
[0.5, 10] (TRL's trainer), so that the loss compares texts and not prompts. Here the ratio comes
from counts (sql/unpaired_weights.sql). Prompts that were only solved, or only failed, count too.
KTO has no such weights: there they are 1.
"""

from dataclasses import replace

import polars as pl

from pipeline import tables
from pipeline.config import Settings
from pipeline.ids import content_id, unit_for
from pipeline.preferences.outcome import READS, outcome
from pipeline.preferences.sampled import sampled_by_id
from pipeline.preferences.variant import Variant, register
from pipeline.steps.declared import Reads
from pipeline.store.reader import Reader

WEIGHED = Reads(queries=("unpaired_weights",))


def texts(lake: Reader, settings: Settings, made: Variant) -> pl.DataFrame:
    """The rows of `unpaired` of one variant.

    A control's labels change places between the texts of a split.
    """
    assert made.own_rows is not None
    rows = made.own_rows(lake, settings)
    rows = lake.query_file("unpaired_weights", frames={"texts": rows})
    if made.loss == "kto":
        rows = rows.with_columns(weight=pl.lit(1.0))
    if made.control_of is not None:
        rows = _with_labels_of_others(rows)
    ids = [content_id(made.name, name) for name in rows["response_id"]]
    named = rows.with_columns(
        unpaired_id=pl.Series(ids, dtype=pl.String), variant=pl.lit(made.name)
    )
    return named.select(
        pl.col(name).cast(kind) for name, kind in tables.empty("unpaired").schema.items()
    )


def _with_labels_of_others(rows: pl.DataFrame) -> pl.DataFrame:
    order = pl.Series(
        "order", [unit_for("unpaired", name) for name in rows["response_id"]], dtype=pl.Float64
    )
    moved = (
        pl.col("desirable", "weight")
        .sort_by("order")
        .over("split", mapping_strategy="group_to_rows")
    )
    return rows.with_columns(order).with_columns(moved).drop("order")


def verified(lake: Reader, settings: Settings) -> pl.DataFrame:
    """Responses that passed or failed their verifier, as rows of `unpaired` without weights."""
    rows = lake.query_file("unpaired_verified")
    known = sampled_by_id(lake, ["responses"])
    found = [known.get(key) for key in rows["response_id"]]
    return rows.with_columns(
        pl.Series("thought", [one.thought if one else None for one in found], dtype=pl.String),
        pl.Series(
            "token_ids", [one.token_ids if one else None for one in found], dtype=pl.List(pl.Int64)
        ),
        method=pl.lit("verified responses"),
    )


BCO = Variant(
    "bco",
    "response",
    "verified responses",
    READS,
    outcome,
    "bco",
    rows="unpaired",
    own_rows=verified,
    own_reads=Reads(queries=("unpaired_verified",)),
)
KTO = replace(BCO, name="kto", loss="kto")
for one in (BCO, KTO):
    register(one, one.control("shuffled", "labels shuffled", outcome))
