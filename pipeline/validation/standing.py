"""Whether the policies of an earlier run stand for today's rows: decided once, for all variants.

The basis is what each variant was given to learn from on the day of that decision. It is kept in a
file beside the policies, written before the first of them is trained, so that a run that was
killed, and a variant whose training diverged, change nothing about it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

# of a label's standard deviation: one that moved by less counts as the same; our choice
DRIFT = 0.1

Labels = dict[str, list[float | None]]  # a row's kind to its numbers


class Basis(NamedTuple):
    """The rows that a variant's policies were trained on, or would be."""

    marks: list[str]  # of all of them, those to stop on included, sorted
    labels: Labels  # the same rows
    prompts: list[str]  # of those that are learned from, sorted


def basis_of(rows: pl.DataFrame) -> Basis:
    """Of rows as `rows.training_rows` gives them."""
    learned = rows.filter(pl.col("split") == "train")
    labels = dict(rows.select("kind", "numbers").iter_rows())
    return Basis(sorted(rows["mark"]), labels, sorted(set(learned["prompt_id"])))


def changed(old: Basis, new: Basis) -> float:
    """Share of the larger set that the other has not: rows that came, went, or have another label.

    A number that is fitted anew each night, as a vote's margin is, has another label where it moved
    by `DRIFT`.
    """
    common = sorted(old.labels.keys() & new.labels.keys())
    before, now = (_numbers(basis.labels[row] for row in common) for basis in (old, new))
    spread = np.ma.masked_array(now, np.isnan(now)).std(axis=0).filled(0.0)  # type: ignore[no-untyped-call]
    moved = np.abs(now - before) > np.maximum(DRIFT * spread, 1e-9)  # false for what is unknown
    moved |= np.isnan(now) != np.isnan(before)
    same = len(common) - int(moved.any(axis=1).sum())
    larger = max(len(old.labels), len(new.labels))
    return 1 - same / larger if larger else 0.0


def stand(
    old: Mapping[str, Basis], new: Mapping[str, Basis], prompts: Set[str], share: float
) -> bool:
    """Whether every variant keeps the policies that it has:
    all do or none, so that they stay comparable (our choice).

    They do where the variants are the same, of none more than `share` of the rows changed, and
    every prompt that was learned from may still be: one that was taken out, or is a test prompt
    now, must be forgotten.

    Args:
        old: by variant, at the last decision.
        new: by variant, today; all variants of the profile.
        prompts: ids of today's training prompts.
    """
    return old.keys() == new.keys() and all(
        prompts >= set(basis.prompts) and changed(basis, new[name]) <= share
        for name, basis in old.items()
    )


def remember(note: Path, bases: Mapping[str, Basis]) -> None:
    """Writes the file, whole or not at all."""
    note.parent.mkdir(parents=True, exist_ok=True)
    draft = note.with_name(f"{note.name}.tmp")
    draft.write_text(json.dumps({name: basis._asdict() for name, basis in bases.items()}))
    draft.replace(note)


def remembered(note: Path) -> dict[str, Basis]:
    """What the file says;
    nothing where there is none, or one that cannot be read: then today's rows count.
    """
    try:
        return {name: Basis(**found) for name, found in json.loads(note.read_text()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _numbers(rows: Iterable[Sequence[float | None]]) -> npt.NDArray[np.float64]:
    """(rows, numbers); what is unknown is NaN."""
    found = [[np.nan if x is None else x for x in row] for row in rows]
    return np.array(found, dtype=np.float64).reshape(len(found), -1 if found and found[0] else 0)
