"""The policies of a home by their names: `base`, and each variant that was trained here."""

import os
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.config import Settings
from pipeline.engine.model import Model, resolve
from pipeline.errors import OrchardError
from pipeline.store.reader import Reader

BASE = "base"


def policy_named(
    name: str, lake: Reader, home: Path, settings: Settings, seed: int | None = None
) -> Model:
    """The model that a name stands for: the profile's own for `base`, else a trained variant.

    Args:
        name: `base`, or a variant.
        lake: where its training stands.
        home: the data folder that `training_runs.checkpoint` is relative to.
        settings: the profile.
        seed: of the training; null: the lowest.

    Raises:
        OrchardError: no such policy, or its weights are gone.
    """
    if name == BASE:
        return resolve(settings.model, home)
    run = trained_run(lake, home, name, seed)
    return Model(home / run["checkpoint"], run["policy_id"])


def trained_run(lake: Reader, home: Path, variant: str, seed: int | None = None) -> dict[str, Any]:
    """The row of `training_runs` of a variant whose weights are there.

    seed: of the training; null: the lowest.

    Raises:
        OrchardError: it was not trained, or its weights are gone.
    """
    runs = lake.read("training_runs").sort("variant", "seed")
    own = runs.filter(pl.col("variant") == variant)
    if seed is not None:
        own = own.filter(pl.col("seed") == seed)
    if own.is_empty():
        known = ", ".join(f"{v} seed {s}" for v, s in runs.select("variant", "seed").iter_rows())
        raise OrchardError(
            f"no trained policy of {variant!r}: train it first; trained are: {known or 'none'}"
        )
    run = own.row(0, named=True)
    folder = home / run["checkpoint"]
    if not os.path.isdir(folder):
        raise OrchardError(
            f"policy folder {folder} is gone: materialise training_runs of {variant} again"
        )
    return run
