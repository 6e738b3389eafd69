"""The rows that each variant's loss learns from,
with what the budget and the up-to-date check need.
"""

from collections.abc import Callable

import polars as pl

from pipeline.config import Settings
from pipeline.config.training import LearnedThoughts
from pipeline.ids import content_id
from pipeline.preferences.registry import variant
from pipeline.preferences.sampled import learned_ids, learned_thought
from pipeline.store.reader import Reader
from pipeline.training import losses

IDS = {"preferences": "pair_id", "preference_lists": "list_id", "unpaired": "unpaired_id"}
# What the trainer reads for any loss: what names the row and its side, and a number.
NAMES = ("stage", "rationale_id", "principle_id", "desirable", "items")
NUMBERS = ("weight",)


def training_rows(
    lake: Reader, name: str, length: Callable[[str], int], settings: Settings
) -> pl.DataFrame:
    """A variant's rows of `preferences`, `preference_lists` or `unpaired`, with five columns more.

    `text_tokens`: tokens of all texts of the row, its rationale's too, null where they were not
    counted; `length` counts those of a text. `row_id`: the row's id. `numbers`: labels that the
    variant's loss reads as numbers. `kind`: a hash of the id and of all else that the loss reads.
    `mark`: a hash of both.
    """
    chosen = variant(name, settings)
    table = chosen.rows
    rows = lake.read(table, where=f"variant = '{chosen.name}'")
    own = rows["loss"].unique().sort() if chosen.parts else [chosen.loss or settings.training.loss]
    read = [*NUMBERS, *(c for one in map(losses.get, own) for c in (*one.needs, *one.reads))]
    read = list(dict.fromkeys(read))
    names = (*NAMES, "loss") if chosen.parts else NAMES
    named = [c for c in (IDS[table], *names) if c in rows.columns]
    kinds = [content_id(*values) for values in rows.select(named).iter_rows()]
    numbers = [
        list(values) for values in rows.select(c for c in read if c in rows.columns).iter_rows()
    ] or [[]] * len(rows)
    marks = [content_id(*both) for both in zip(kinds, numbers, strict=True)]
    texts = _tokens(rows, length, settings.training.thoughts)
    return rows.with_columns(
        text_tokens=texts + _tokens_of_rationales(lake, rows, length),
        row_id=pl.col(IDS[table]),
        kind=pl.Series(kinds, dtype=pl.String),
        numbers=pl.Series(numbers, dtype=pl.List(pl.Float64)),
        mark=pl.Series(marks, dtype=pl.String),
    )


def _tokens_of_rationales(
    lake: Reader, rows: pl.DataFrame, length: Callable[[str], int]
) -> pl.Series | int:
    """Tokens of the rationales that are learned beside the pairs, with the token that ends each."""
    if "rationale_id" not in rows.columns or rows["rationale_id"].null_count() == rows.height:
        return 0
    wanted = rows["rationale_id"].drop_nulls().unique().to_list()
    known = lake.read("rationales").filter(pl.col("rationale_id").is_in(wanted))
    tokens = {name: length(text) + 1 for name, text in known.select("rationale_id", "text").rows()}
    return pl.Series([tokens.get(name, 0) for name in rows["rationale_id"]], dtype=pl.Int64)


def _tokens(
    rows: pl.DataFrame, length: Callable[[str], int], thoughts: LearnedThoughts
) -> pl.Series:
    def counted(text: str, ends: bool, thought: str | None) -> int:
        return length(learned_thought(thought, thoughts) + text) + ends

    if "items" in rows.columns:
        totals = []
        for items, kept in rows.select("items", "thoughts").iter_rows():
            known = {one["item_id"]: one["thought"] for one in kept or ()}
            each = (counted(one["text"], one["ends"], known.get(one["item_id"])) for one in items)
            totals.append(sum(each))
        return pl.Series(totals, dtype=pl.Int64)
    if "desirable" in rows.columns:
        totals = []
        for row in rows.iter_rows(named=True):
            ids = learned_ids(row, "", thoughts)
            totals.append(len(ids) if ids else counted(row["text"], row["ends"], row["thought"]))
        return pl.Series(totals, dtype=pl.Int64)
    tokens = pl.col("chosen_tokens") + pl.col("rejected_tokens")
    crossed = pl.col("rejected_messages").is_not_null() & (
        pl.col("chosen_id") != pl.col("rejected_id")
    )
    # each text in each context
    return rows.select(pl.when(crossed).then(2 * tokens).otherwise(tokens)).to_series()
