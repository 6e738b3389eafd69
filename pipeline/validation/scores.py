"""Evaluations as tables of numbers: one row per seed, one column per unit."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl


@dataclass(frozen=True)
class Scores:
    """One metric of one variant on the units that every seed has a value for."""

    units: tuple[str, ...]  # sorted
    values: npt.NDArray[np.float64]  # (S seeds, n units)

    def on(self, units: Collection[str]) -> "Scores":
        """These units only, those that it has."""
        wanted = set(units)
        kept = [i for i, unit in enumerate(self.units) if unit in wanted]
        return Scores(tuple(self.units[i] for i in kept), self.values[:, kept])

    @property
    def per_unit(self) -> npt.NDArray[np.float64]:
        """(n units,) means over the seeds."""
        return np.asarray(self.values.mean(axis=0))


def scores(evaluations: pl.DataFrame) -> dict[tuple[str, str], Scores]:
    """(variant, metric) -> its scores.

    A unit that lacks a seed is left out, so that every difference is paired.
    """
    found = {}
    for (variant, metric), rows in evaluations.group_by("variant", "metric", maintain_order=True):
        seeds = rows["seed"].n_unique()
        whole = rows.filter(pl.len().over("unit_id") == seeds).sort("seed", "unit_id")
        units = tuple(whole["unit_id"].head(whole.height // seeds))
        found[str(variant), str(metric)] = Scores(
            units, whole["value"].to_numpy().reshape(seeds, -1)
        )
    return found


def paired(one: Scores, other: Scores) -> tuple[Scores, Scores]:
    """Both on the units that both have."""
    return one.on(other.units), other.on(one.units)
