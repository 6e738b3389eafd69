"""Whether all variants stood on equal footing:
pairs and their prompts, trained tokens, optimiser steps, seeds, and training settings.
"""

import json
from collections.abc import Mapping
from typing import Any

import polars as pl

SAME_TOKENS = 0.02  # trained tokens this close count as equal: our choice
NOT_COMPARED = ("loss", "seeds", "micro_tokens", "processes", "sharding", "checkpoint_every")
COLUMNS = {
    "n_pairs": "pairs",
    "n_train_prompts": "training prompts",
    "n_tokens": "trained tokens",
    "n_steps": "optimiser steps",
    "n_seeds": "training seeds",
}


def footing(board: pl.DataFrame, runs: pl.DataFrame) -> list[str]:
    """Sentences on the rows of `leaderboard` that were trained, and on their `training_runs`:
    what was equal first, then each thing that was not.

    A column that the leaderboard lacks, because an older version wrote it, is left out.
    """
    trained = board.filter(pl.col("variant") != "base")
    if "brought_from" in board.columns:
        trained = trained.filter(pl.col("brought_from").is_null())
    if trained.is_empty():
        return ["No variant was trained."]
    known = {column: name for column, name in COLUMNS.items() if not trained[column].has_nulls()}
    apart = {
        name: text for column, name in known.items() if (text := _apart(trained, column, name))
    }
    equal = [name for name in known.values() if name not in apart]
    numbers = {name: max(trained[column].to_list()) for column, name in known.items()}
    return [*_equal(equal, numbers), *apart.values(), *_settings_apart(trained, runs)]


def unequal(board: pl.DataFrame, runs: pl.DataFrame) -> list[str]:
    """Only what was not equal: one sentence each."""
    return [text for text in footing(board, runs) if text.startswith("Not equal")]


def _settings_apart(trained: pl.DataFrame, runs: pl.DataFrame) -> list[str]:
    """Each training setting that is not the same for all variants, with what each had.

    Losses differ by recipe and stand in the table of trainings; their parameters are named.
    """
    known: dict[str, dict[str, Any]] = {}
    for variant, said in runs.select("variant", "settings").sort("variant").iter_rows():
        if variant in set(trained["variant"]):
            own = json.loads(said)
            losses = own.pop("losses", {})
            known[variant] = {**own, **losses}
    names = dict.fromkeys(name for own in known.values() for name in own)
    found = []
    for name in (name for name in names if name not in NOT_COMPARED):
        values = {variant: own[name] for variant, own in known.items() if name in own}
        if len(set(map(str, values.values()))) > 1:
            each = ", ".join(f"{value} ({variant})" for variant, value in values.items())
            found.append(f"Not equal: {name.replace('_', ' ')}, {each}.")
    return found


def _equal(names: list[str], numbers: Mapping[str, int]) -> list[str]:
    if not names:
        return []
    parts = [
        f"{numbers[name]:,} {name if numbers[name] != 1 else name.removesuffix('s')}"
        for name in names
    ]
    within = f" (tokens within {SAME_TOKENS:.0%})" if "trained tokens" in names else ""
    return [f"Every variant had {', '.join(parts)}{within}."]


def _apart(trained: pl.DataFrame, column: str, name: str) -> str | None:
    """What differs, and by whom the most and the least was had."""
    low, high = min(trained[column].to_list()), max(trained[column].to_list())
    if high <= low * (1 + (SAME_TOKENS if column == "n_tokens" else 0.0)):
        return None
    ordered = trained.sort(column, "variant")
    return (
        f"Not equal: {name}, from {low:,} ({ordered['variant'][0]}) "
        f"to {high:,} ({ordered['variant'][-1]})."
    )
