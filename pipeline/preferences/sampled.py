"""What a model said besides a side's text: its thought before it, and the tokens that it sampled.

Pairs compare responses; training may read all of what was said, in the tokens that were sampled.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from pipeline import tables as declared
from pipeline.config.training import LearnedThoughts
from pipeline.store.reader import Reader

# Where the sides of pairs are from, and under which id. Thought nodes are rows of tree_nodes.
SOURCES = {
    "responses": """
        SELECT response_id AS id, text, thought, token_ids FROM responses
        WHERE thought IS NOT NULL OR token_ids IS NOT NULL
    """,
    "tree_nodes": """
        SELECT node_id AS id, text, thought, NULL AS token_ids FROM tree_nodes
        WHERE thought IS NOT NULL
    """,
}


@dataclass(frozen=True)
class Sampled:
    """A response or tree node that has a thought, or tokens that its text does not give back."""

    text: str
    thought: str | None
    token_ids: list[int] | None


def with_sampled(pairs: pl.DataFrame, lake: Reader, tables: Collection[str]) -> pl.DataFrame:
    """Pairs with the thoughts and token ids of their sides, found by the ids of these.

    A side whose text is no longer that of the response, such as a reworded one, has none.

    Args:
        pairs: chosen_id, rejected_id, chosen and rejected.
        lake: where responses and trees are.
        tables: those that the pairs are made from; no other is read.
    """
    known = sampled_by_id(lake, tables)
    columns: dict[str, list[Any]] = {}
    for side in ("chosen", "rejected"):
        rows = pairs.select(f"{side}_id", side).rows()
        found = [(known.get(key), text) for key, text in rows]
        columns[f"{side}_thought"] = [
            one.thought if one and one.text in text else None for one, text in found
        ]
        columns[f"{side}_token_ids"] = [
            one.token_ids if one and one.text == text else None for one, text in found
        ]
    schema = declared.empty("preferences").schema
    return pairs.with_columns(
        pl.Series(name, values, dtype=schema[name]) for name, values in columns.items()
    )


def sampled_by_id(lake: Reader, tables: Collection[str]) -> dict[str, Sampled]:
    """Each response and tree node that has a thought or token ids of its own, by its id."""
    named = {"tree_nodes" if table == "thought_nodes" else table for table in tables}
    found: dict[str, Sampled] = {}
    for table in sorted(named & set(SOURCES)):
        rows = lake.sql(SOURCES[table]).iter_rows()
        found |= {key: Sampled(*values) for key, *values in rows}
    return found


def learned_thought(thought: str | None, thoughts: LearnedThoughts, prefix: str = "") -> str:
    """The part of a thought that is learned with the text behind it: all of it, or nothing.

    A thought before a text's own prefix is context, as the prefix is.
    """
    return thought if thought and thoughts == "learned" and not prefix else ""


def learned_ids(row: Mapping[str, Any], side: str, thoughts: LearnedThoughts) -> list[int] | None:
    """The sampled ids of a row's text (`side` begins its columns' names) where they are learned.

    They hold the thought too: where that is not learned, the text alone is read again.
    """
    ids = row.get(f"{side}token_ids")
    whole = not row.get(f"{side}thought") or thoughts == "learned"
    return ids if whole else None
