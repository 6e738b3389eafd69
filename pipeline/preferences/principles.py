"""Variants whose pairs are conditioned on a principle (RLBFF):
better by this principle, and perhaps not by another.
"""

from collections import Counter
from typing import Any

import polars as pl

from pipeline.config import Settings
from pipeline.conversation import asked_last, with_asked_last
from pipeline.ids import unit_for
from pipeline.preferences.controls import shuffled
from pipeline.preferences.variant import Variant, register
from pipeline.steps.declared import Reads
from pipeline.store.reader import Reader

Row = dict[str, Any]


def found(lake: Reader, settings: Settings) -> pl.DataFrame:
    """Pairs of which one satisfies a principle and the other does not, with the column `principle`:
    not yet in words.

    The pairing (same prompt and principle, one satisfied, one not) is our inference: the paper
    trains a reward model on single responses.
    """
    return lake.query_file("pairs_principles", per_prompt=settings.preferences.max_pairs_per_prompt)


def conditioned(lake: Reader, settings: Settings) -> pl.DataFrame:
    """The pairs, each under a request that names its principle."""
    pairs = found(lake, settings)
    return _named(pairs.to_dicts(), pairs)


def permuted(lake: Reader, settings: Settings) -> pl.DataFrame:
    """The control of what the principle adds:
    the same pairs, each under the principle of another pair of its split.

    A pair for which all others have the same principle is left out.
    """
    pairs = found(lake, settings)
    rows: list[Row] = []
    for (_,), own in pairs.group_by("split"):
        rows += _moved(own.to_dicts())
    return _named(rows, pairs)


def _moved(rows: list[Row]) -> list[Row]:
    """Principles exchanged: rows sorted by principle and turned by the largest group,
    so that few meet their own.
    """
    order = sorted(
        rows,
        key=lambda row: (
            row["principle"],
            unit_for("permute", row["chosen_id"], row["rejected_id"]),
        ),
    )
    turn = max(Counter(row["principle"] for row in order).values())
    others = order[turn:] + order[:turn]
    return [
        {**row, "principle": other["principle"], "principle_id": other["principle_id"]}
        for row, other in zip(order, others, strict=True)
        if row["principle"] != other["principle"]
    ]


def _named(rows: list[Row], like: pl.DataFrame) -> pl.DataFrame:
    asked = [{**row, "messages": under(row["messages"], row["principle"])} for row in rows]
    return (
        pl.DataFrame(asked, schema=like.schema).drop("principle").sort("chosen_id", "rejected_id")
    )


def under(messages: list[Row], principle: str) -> list[Row]:
    """The request with its principle behind what the user asked last."""
    asked = f"{asked_last(messages)}\n\nA good response satisfies: {principle}."
    return with_asked_last(messages, asked)


READS = Reads(queries=("pairs_principles",), settings=("preferences.max_pairs_per_prompt",))
PRINCIPLES = Variant("principles", "response", "one satisfies a principle", READS, conditioned)
register(
    PRINCIPLES,
    PRINCIPLES.control("shuffled", "labels shuffled", shuffled(conditioned)),
    PRINCIPLES.control("permuted", "another pair's is named", permuted),
)
