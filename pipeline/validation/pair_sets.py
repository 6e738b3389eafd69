"""The pairs of evaluation sets, as policies rank them."""

import polars as pl

from pipeline import tables
from pipeline.config import Settings
from pipeline.preferences.sourced import differing, oriented
from pipeline.sources.pair_sets import pair_sets
from pipeline.steps.declared import Reads, Rows
from pipeline.store.reader import Reader

TABLES = ("recorded_pairs", "source_prompts")


def rows_of_pair_sets(settings: Settings) -> tuple[Rows, ...]:
    """The rows of the profile's sets of pairs, and of their prompts."""
    return tuple(Rows(table, "origin", name) for name in pair_sets(settings) for table in TABLES)


def reads_of_pair_sets(settings: Settings) -> Reads:
    """Says that the profile's sets of pairs are read."""
    return Reads(tables=rows_of_pair_sets(settings))


def evaluation_pairs(lake: Reader, settings: Settings) -> pl.DataFrame:
    """The pairs of the profile's sets of pairs as rows of `preferences`, the set as variant.

    Ties, pairs without texts, and those whose sides look the same, are none.
    """
    schema = tables.empty("preferences").schema
    frames = [pl.DataFrame(schema=schema)]
    for name in pair_sets(settings):
        where = f"origin = '{name}'"
        prompts = lake.read("source_prompts", where=where)
        split = prompts.select("prompt_id", "split", prompt="recorded_id")
        rows = lake.read("recorded_pairs", where=where).rename({"prompt_id": "prompt"})
        known = rows.drop_nulls(["messages", "first", "second", "label"]).join(split, on="prompt")
        pairs = oriented(known.filter(pl.col("label") != 0.5), "pair_id").sort("pair_id")
        given = {
            "variant": pl.lit(name),
            "level": pl.lit("response"),
            "method": pl.lit("imported pairs"),
            "weight": pl.lit(1.0),
            "flipped": pl.lit(False),
        }
        whole = differing(pairs).with_columns(**given)
        frames.append(pl.concat([frames[0], whole], how="diagonal_relaxed").cast(schema))
    return pl.concat(frames)
