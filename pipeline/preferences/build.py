"""Variants of preference data, each from one SQL file, and controls made from them."""

from collections.abc import Mapping, Sequence

import polars as pl

from pipeline import tables
from pipeline.config import Settings
from pipeline.errors import OrchardError
from pipeline.ids import content_id
from pipeline.preferences import codefavor, custom, judged, mapl, principles, trees, unpaired, voted
from pipeline.preferences.controls import flip_half, shuffled
from pipeline.preferences.exchange import inject
from pipeline.preferences.sampled import with_sampled
from pipeline.preferences.variant import Variant
from pipeline.store import Lake


def outcome(lake: Lake, settings: Settings) -> pl.DataFrame:
    """Right against wrong responses: the plain baseline."""
    return lake.query_file("pairs_outcome", per_prompt=settings.preferences.max_pairs_per_prompt)


def tree_plv(lake: Lake, settings: Settings) -> pl.DataFrame:
    """Sibling steps at least `margin` apart (Tree-PLV)."""
    chosen = settings.preferences
    return lake.query_file(
        "pairs_siblings", method="best_first", margin=chosen.margin, continuation=chosen.continuation
    )


def _pairs_of(name: str, lake: Lake, settings: Settings) -> pl.DataFrame:
    return variant(name, settings).build(lake, settings)


VARIANTS: dict[str, Variant] = {
    variant.name: variant
    for variant in (
        Variant("outcome", "response", "outcome pairs", ("responses",), outcome),
        Variant(
            "outcome_shuffled",
            "response",
            "outcome pairs, labels shuffled",
            ("responses",),
            shuffled(outcome),
            control_of="outcome",
        ),
        Variant("tree_plv", "step", "sibling margin", ("tree_nodes",), tree_plv),
        Variant(
            "tree_plv_shuffled",
            "step",
            "sibling margin, labels shuffled",
            ("tree_nodes",),
            shuffled(tree_plv),
            control_of="tree_plv",
        ),
        *trees.VARIANTS,
        *judged.VARIANTS,
        *principles.VARIANTS,
        *voted.variants(_pairs_of),
        *mapl.VARIANTS,
        *codefavor.VARIANTS,
        *unpaired.VARIANTS,
    )
}

SECTIONS = {"preferences", "judge", "noise", "mapl", "code"}  # of the settings, that building pairs reads

__all__ = ["SECTIONS", "VARIANTS", "build", "flip_half", "registry", "shuffled", "variant"]


def registry(settings: Settings) -> Mapping[str, Variant]:
    """All variants by name: those that Orchard knows, and the profile's own after them."""
    if not settings.variants:
        return VARIANTS
    return {**VARIANTS, **custom.variants(settings, lambda name, lake, own: build(name, lake, own), VARIANTS)}


def variant(name: str, settings: Settings) -> Variant:
    """The variant of that name; raises OrchardError that lists the known ones."""
    known = registry(settings)
    if name not in known:
        raise OrchardError(f"unknown variant {name!r}: use one of {', '.join(known)}")
    return known[name]


def identity(name: str, settings: Settings) -> list[object]:
    """What makes a variant besides code, tables and SECTIONS: a profile's own query, and the variant it treats."""
    chosen = variant(name, settings)
    own: list[object] = [] if name in VARIANTS else [chosen.query, chosen.level, chosen.method]
    source = chosen.source(settings) if chosen.source else None
    return own if source is None else [*own, source, *identity(source, settings)]


def tables_of(name: str, settings: Settings) -> tuple[str, ...]:
    """The tables that a variant's data are made from, those of the variant that it treats included."""
    chosen = variant(name, settings)
    return (*chosen.tables, *(tables_of(chosen.source(settings), settings) if chosen.source else ()))


def sources(settings: Settings, names: Sequence[str] | None = None) -> tuple[str, ...]:
    """The tables of the lake that some variants, by default those of the profile, are built from, sorted."""
    wanted = settings.validation.variants if names is None else names
    named = {table for name in wanted for table in tables_of(name, settings)} | {"prompts"}
    return tuple(sorted({"tree_nodes" if table == "thought_nodes" else table for table in named}))


def build(name: str, lake: Lake, settings: Settings) -> pl.DataFrame:
    """The rows of `preferences` of one variant."""
    chosen = variant(name, settings)
    pairs = chosen.build(lake, settings)
    if pairs.is_empty():
        return tables.empty("preferences")
    if "flipped" not in pairs.columns:
        pairs = pairs.with_columns(flipped=pl.lit(False))
    # The turns count where the sides may have their own: one response under several prompts has equal ids and texts.
    parts = ["chosen_id", "rejected_id", "chosen", "rejected"]
    parts += ["messages", "rejected_messages"] if "rejected_messages" in pairs.columns else []
    ids = [content_id(name, *row) for row in pairs.select(parts).iter_rows()]
    pairs = with_sampled(pairs, lake, tables_of(name, settings))
    schema = tables.empty("preferences").schema
    filled = pairs.with_columns(
        pair_id=pl.Series(ids, dtype=pl.String),
        variant=pl.lit(name),
        level=pl.lit(variant(chosen.source(settings), settings).level if chosen.source else chosen.level),
        method=pl.lit(chosen.method),
        weight=pl.col("weight").fill_null(1.0) if "weight" in pairs.columns else pl.lit(1.0),
    )
    missing = [
        pl.lit(None, dtype=kind).alias(column) for column, kind in schema.items() if column not in filled.columns
    ]
    return filled.with_columns(missing).select(pl.col(column).cast(kind) for column, kind in schema.items())


def voted_on(lake: Lake, settings: Settings) -> pl.DataFrame:
    """The pairs that voters see: those of the source variant, with the flips on purpose that the profile asks for."""
    return inject(build(voted.source_of(settings), lake, settings), settings.noise.inject)
