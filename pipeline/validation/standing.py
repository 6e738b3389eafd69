"""Whether the policies of an earlier run stand for today's rows: decided once, for all variants."""

from collections.abc import Mapping, Set
from typing import NamedTuple

import polars as pl


class Basis(NamedTuple):
    """The rows that a variant's policies were trained on, or would be."""

    marks: frozenset[str]  # of all of them, those to stop on included
    prompts: frozenset[str]  # of those that are learned from
    n_rows: int  # that are learned from
    pairs: bool  # false: ranked lists or single texts, whose number goes by their tokens


def basis_of(rows: pl.DataFrame) -> Basis:
    """Of rows with `mark`, as `rows.training_rows` gives them."""
    learned = rows.filter(pl.col("split") == "train")
    return Basis(
        frozenset(rows["mark"]), frozenset(learned["prompt_id"]), learned.height, "chosen_id" in learned.columns
    )


def changed(old: Basis, new: Basis) -> float:
    """Share of the larger set that the other has not: rows that came, went, or have another label."""
    return 1 - len(old.marks & new.marks) / max(len(old.marks), len(new.marks), 1)


def stand(old: Mapping[str, Basis], new: Mapping[str, Basis], prompts: Set[str], share: float) -> bool:
    """Whether every variant keeps the policies that it has: all do or none, so that they stay comparable (our choice).

    They do where of no variant more than `share` of the rows changed, where all that learn pairs have equally many
    afterwards (a new variant has those of today), and where every prompt that was learned from may still be: one that
    was taken out, or is a test prompt now, must be forgotten.

    Args:
        old: the variants with policies of today's settings.
        new: the variants of the profile that have rows to learn from today.
        prompts: ids of today's training prompts.
    """
    kept = {name: old[name] for name in new if name in old}
    n_pairs = {basis.n_rows for basis in {**new, **kept}.values() if basis.pairs}
    return (
        len(n_pairs) <= 1
        and all(basis.prompts <= prompts for basis in kept.values())
        and all(changed(basis, new[name]) <= share for name, basis in kept.items())
    )
