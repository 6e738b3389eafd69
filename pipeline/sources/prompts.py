"""Prompts of imported pairs: one id for one conversation, whatever pool or file it came from."""

from collections.abc import Collection

import polars as pl

from pipeline import tables
from pipeline.config import SplitSettings
from pipeline.folding import turns_id
from pipeline.prompts.pools import split_of
from pipeline.sources.tasks import task_of


def source_prompts(
    pairs: pl.DataFrame,
    responses: pl.DataFrame,
    prompts: pl.DataFrame,
    splits: SplitSettings,
    tests: Collection[str] = (),
) -> pl.DataFrame:
    """Rows of `source_prompts`.

    Args:
        pairs: rows of `recorded_pairs`; those without turns say nothing here.
        responses: rows of `recorded_responses`.
        prompts: rows of `prompts`. A conversation that a pool or an earlier row has too, folded,
            takes its id and its split, so that nothing is trained on that is a test prompt there.
        splits: shares of the splits.
        tests: conversations (`turns_id`) of evaluation sets: they are test prompts.
    """
    known = {turns_id(row["messages"]): row for row in prompts.iter_rows(named=True)}
    asked = ["origin", "prompt_id", "messages"]
    decided = pl.col("label").is_not_null() & (pl.col("label") != 0.5)
    both = [pairs.select(*asked, decided=decided), responses.select(*asked, decided=False)]
    grouped = (
        pl.concat(both)
        .drop_nulls("messages")
        .sort("origin", "prompt_id", maintain_order=True)
        .group_by("origin", "prompt_id", maintain_order=True)
        .agg(pl.col("messages").first(), n_pairs=pl.col("decided").sum())
    )
    rows = []
    for row in grouped.iter_rows(named=True):
        messages = row["messages"]
        turns = turns_id(messages)
        split = "test" if turns in tests else split_of(messages, splits)
        same = known.setdefault(turns, {"prompt_id": row["prompt_id"], "split": split})
        rows.append(
            {
                "origin": row["origin"],
                "recorded_id": row["prompt_id"],
                "prompt_id": same["prompt_id"],
                "split": same["split"],
                "messages": messages,
                "task": task_of(messages),
                "n_turns": sum(turn["role"] == "user" for turn in messages),
                "chars": sum(len(turn["content"]) for turn in messages),
                "n_pairs": row["n_pairs"],
            }
        )
    return pl.DataFrame(rows, schema=tables.empty("source_prompts").schema)
