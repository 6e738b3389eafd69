"""How many tokens the sides of a pair have: what a trained token budget counts."""

import polars as pl

from pipeline.engine.rendering import Renderer


def with_tokens(pairs: pl.DataFrame, renderer: Renderer) -> pl.DataFrame:
    """Fills chosen_tokens and rejected_tokens: each text's own tokens, with the end-of-turn token where it ends."""
    counts = {
        f"{side}_tokens": pl.Series(
            [
                renderer.length(text) + ends
                for text, ends in pairs.select(side, f"{side}_ends").iter_rows()
            ],
            dtype=pl.Int64,
        )
        for side in ("chosen", "rejected")
    }
    return pairs.with_columns(**counts)
