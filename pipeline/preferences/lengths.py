"""How many tokens the sides of a pair have: what a trained token budget counts."""

import polars as pl

from pipeline.config.training import LearnedThoughts
from pipeline.engine.rendering import Renderer
from pipeline.preferences.sampled import learned_ids, learned_thought


def with_tokens(
    pairs: pl.DataFrame, renderer: Renderer, thoughts: LearnedThoughts = "learned"
) -> pl.DataFrame:
    """Fills chosen_tokens and rejected_tokens:
    each text's own tokens, its end-of-turn token included.

    A thought counts where it is learned with its text.
    """
    return pairs.with_columns(
        pl.Series(
            f"{side}_tokens",
            [_tokens(row, side, renderer, thoughts) for row in pairs.iter_rows(named=True)],
            dtype=pl.Int64,
        )
        for side in ("chosen", "rejected")
    )


def _tokens(
    row: dict[str, object], side: str, renderer: Renderer, thoughts: LearnedThoughts
) -> int:
    own = row["rejected_prefix"] if side == "rejected" else None
    prefix = row["prefix"] if own is None else own
    thought = learned_thought(row[f"{side}_thought"], thoughts, prefix)  # type: ignore[arg-type]
    sampled = learned_ids(row, f"{side}_", thoughts)
    return len(
        renderer.chat.said_ids(
            thought + str(row[side]), ends=bool(row[f"{side}_ends"]), sampled=sampled
        )
    )
