"""What the model thought before each side of a pair: pairs compare responses, training may read both."""

from collections.abc import Collection

import polars as pl

from pipeline.config.training import LearnedThoughts
from pipeline.store.reader import Reader

# Where the sides of pairs are from, and under which id. Thought nodes are rows of tree_nodes.
SOURCES = {
    "responses": "SELECT response_id AS id, text, thought FROM responses WHERE thought IS NOT NULL",
    "tree_nodes": "SELECT node_id AS id, text, thought FROM tree_nodes WHERE thought IS NOT NULL",
}


def with_thoughts(pairs: pl.DataFrame, lake: Reader, tables: Collection[str]) -> pl.DataFrame:
    """Pairs with `chosen_thought` and `rejected_thought`, by the ids of their sides.

    A side whose text is no longer that of the response, such as a reworded one, has none.

    Args:
        pairs: chosen_id, rejected_id, chosen and rejected.
        lake: where responses and trees are.
        tables: those that the pairs are made from; no other is read.
    """
    known = thoughts_by_id(lake, tables)
    sides = {
        side: [
            known[key][1] if key in known and known[key][0] in text else None
            for key, text in pairs.select(f"{side}_id", side).iter_rows()
        ]
        for side in ("chosen", "rejected")
    }
    return pairs.with_columns(pl.Series(f"{side}_thought", found, dtype=pl.String) for side, found in sides.items())


def thoughts_by_id(lake: Reader, tables: Collection[str]) -> dict[str, tuple[str, str]]:
    """(text, thought) of each response and tree node that has a thought, by its id."""
    named = {"tree_nodes" if table == "thought_nodes" else table for table in tables}
    found: dict[str, tuple[str, str]] = {}
    for table in sorted(named & set(SOURCES)):
        found |= {key: (text, thought) for key, text, thought in lake.sql(SOURCES[table]).iter_rows()}
    return found


def learned_thought(thought: str | None, thoughts: LearnedThoughts, prefix: str = "") -> str:
    """The part of a thought that is learned with the text behind it: all of it, or nothing.

    A thought before a text's own prefix is context, as the prefix is.
    """
    return thought if thought and thoughts == "learned" and not prefix else ""
