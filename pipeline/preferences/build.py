"""Variants of preference data, each from one SQL file, and controls made from them."""

import polars as pl

from pipeline import tables
from pipeline.config import Settings
from pipeline.errors import OrchardError
from pipeline.ids import content_id
from pipeline.preferences import codefavor
from pipeline.preferences.controls import flip_half
from pipeline.preferences.variant import Build, Variant
from pipeline.store import Lake


def outcome(lake: Lake, settings: Settings) -> pl.DataFrame:
    """Right against wrong responses: the plain baseline."""
    return lake.query_file("pairs_outcome", per_prompt=settings.preferences.max_pairs_per_prompt)


def tree_plv(lake: Lake, settings: Settings) -> pl.DataFrame:
    """Sibling steps at least `margin` apart (Tree-PLV)."""
    chosen = settings.preferences
    return lake.query_file("pairs_siblings", margin=chosen.margin, continuation=chosen.continuation)


def shuffled(source: Build) -> Build:
    """The control of a variant: the sides of exactly half of its pairs exchanged, chosen by hash."""

    def build(lake: Lake, settings: Settings) -> pl.DataFrame:
        return flip_half(source(lake, settings))

    return build


VARIANTS: dict[str, Variant] = {
    variant.name: variant
    for variant in (
        Variant("outcome", "response", "outcome pairs", ("responses",), outcome),
        Variant("tree_plv", "step", "sibling margin", ("tree_nodes",), tree_plv),
        Variant(
            "tree_plv_shuffled",
            "step",
            "sibling margin, labels shuffled",
            ("tree_nodes",),
            shuffled(tree_plv),
            control_of="tree_plv",
        ),
        *codefavor.VARIANTS,
    )
}

__all__ = ["VARIANTS", "build", "flip_half", "variant"]


def variant(name: str) -> Variant:
    """The variant of that name; raises OrchardError that lists the known ones."""
    if name not in VARIANTS:
        raise OrchardError(f"unknown variant {name!r}: use one of {', '.join(VARIANTS)}")
    return VARIANTS[name]


def build(name: str, lake: Lake, settings: Settings) -> pl.DataFrame:
    """The rows of `preferences` of one variant."""
    chosen = variant(name)
    pairs = chosen.build(lake, settings)
    if pairs.is_empty():
        return tables.empty("preferences")
    if "flipped" not in pairs.columns:
        pairs = pairs.with_columns(flipped=pl.lit(False))
    ids = [content_id(name, *row) for row in pairs.select("chosen_id", "rejected_id", "chosen", "rejected").iter_rows()]
    schema = tables.empty("preferences").schema
    filled = pairs.with_columns(
        pair_id=pl.Series(ids, dtype=pl.String),
        variant=pl.lit(name),
        level=pl.lit(chosen.level),
        method=pl.lit(chosen.method),
        weight=pl.col("weight").fill_null(1.0) if "weight" in pairs.columns else pl.lit(1.0),
    )
    missing = [
        pl.lit(None, dtype=kind).alias(column) for column, kind in schema.items() if column not in filled.columns
    ]
    return filled.with_columns(missing).select(pl.col(column).cast(kind) for column, kind in schema.items())
