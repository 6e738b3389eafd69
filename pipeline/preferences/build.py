"""The rows of `preferences` of one variant."""

import polars as pl

from pipeline import tables
from pipeline.config import Settings
from pipeline.ids import content_id
from pipeline.preferences.registry import variant
from pipeline.preferences.sampled import with_sampled
from pipeline.steps.declared import table_of
from pipeline.steps.inputs import needs_of
from pipeline.store.reader import Reader


def build(name: str, lake: Reader, settings: Settings) -> pl.DataFrame:
    """The rows of `preferences` of one variant.

    A variant that treats another's pairs reads them from `preferences`: build that one first.
    """
    made = variant(name, settings)
    pairs = made.build(lake, settings)
    if pairs.is_empty():
        return tables.empty("preferences")
    if not made.sources(settings):  # a treated pair has its thoughts and tokens already
        read = needs_of(made.reads_for(settings))
        pairs = with_sampled(pairs, lake, {table_of(need) for need in read})
    level = variant(made.source(settings), settings).level if made.source else made.level
    filled: dict[str, pl.Expr | pl.Series] = {
        "pair_id": pl.Series(_pair_ids(name, pairs), dtype=pl.String),
        "variant": pl.lit(name),
        "level": pl.col("level") if made.parts else pl.lit(level),
        "method": pl.lit(made.method),
        "weight": pl.col("weight").fill_null(1.0) if "weight" in pairs.columns else pl.lit(1.0),
        "flipped": pl.col("flipped") if "flipped" in pairs.columns else pl.lit(False),
    }
    schema = tables.empty("preferences").schema
    known = {*pairs.columns, *filled}
    missing = [
        pl.lit(None, dtype=kind).alias(name) for name, kind in schema.items() if name not in known
    ]
    columns = (pl.col(column).cast(kind) for column, kind in schema.items())
    return pairs.with_columns(**filled).with_columns(missing).select(columns)


def _pair_ids(name: str, pairs: pl.DataFrame) -> list[str]:
    """Ids from the sides' ids and texts, and from the turns where the sides may have their own.

    One response under several prompts has equal ids and texts. A mixture's pairs have ids already,
    those of their parts.
    """
    if "pair_id" in pairs.columns:
        return [content_id(name, one) for one in pairs["pair_id"]]
    parts = ["chosen_id", "rejected_id", "chosen", "rejected"]
    if "rejected_messages" in pairs.columns:
        turns = ["messages", "rejected_messages"]
        own = pairs["rejected_messages"].is_not_null()
        rows = pairs.select(*parts, *turns).iter_rows()
        if own.any():
            return [content_id(name, *row) for row in rows]
    return [content_id(name, *row) for row in pairs.select(parts).iter_rows()]
