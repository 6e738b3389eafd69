"""The same number of pairs for every variant."""

from collections.abc import Mapping

import polars as pl

from pipeline.errors import OrchardError
from pipeline.ids import unit_for


def by_hash(pairs: pl.DataFrame) -> pl.DataFrame:
    """Pairs in an order that depends on their ids only: a sample of the first n never moves when rows are added."""
    # The sides' ids in sorted order, so that a control with exchanged sides draws the same pairs as its source; rows
    # that one term of the loss compares stay neighbours.
    ids = pairs.select("prompt_id", "chosen_id", "rejected_id").rows()
    partners = pairs["partner_id"] if "partner_id" in pairs.columns else [None] * pairs.height
    keys = [
        (prompt, *([partner] if partner else sorted(sides)))
        for (prompt, *sides), partner in zip(ids, partners, strict=True)
    ]
    order = [unit_for("select", *key) for key in keys]
    return pairs.with_columns(order=pl.Series("order", order, dtype=pl.Float64)).sort("order").drop("order")


def equal_budget(pairs: Mapping[str, pl.DataFrame], max_pairs: int) -> dict[str, pl.DataFrame]:
    """The first n training pairs of each variant, n being what the smallest variant has, at most `max_pairs`.

    Raises:
        OrchardError: a variant has no training pair.
    """
    train = {name: frame.filter(pl.col("split") == "train") for name, frame in pairs.items()}
    empty = [name for name, frame in train.items() if frame.is_empty()]
    if empty:
        raise OrchardError(
            f"variant {empty[0]!r} has no training pair: take more prompts or draws, or prompts that the model gets "
            "partly right (pools in the profile)"
        )
    n = min(max_pairs, *(frame.height for frame in train.values()))
    return {name: by_hash(frame).head(n) for name, frame in train.items()}


def held_out(pairs: Mapping[str, pl.DataFrame], max_pairs: int) -> pl.DataFrame:
    """Pairs of validation prompts, the same number of each variant given: for reward accuracy.

    Raises:
        OrchardError: no variant is given, that is, the profile compares controls only.
    """
    if not pairs:
        raise OrchardError("only controls are compared: add the variants they belong to (validation.variants)")
    frames = [by_hash(frame.filter(pl.col("split") == "validation")) for frame in pairs.values()]
    n = min([max_pairs, *(frame.height for frame in frames)])
    return pl.concat([frame.head(n) for frame in frames])
