"""The noise sweep: the same pairs with ever more labels flipped,
learned by several losses, measured on clean ones.

A loss that is told how many labels are wrong is told the truth: rdpo the flip rate without its
guards, conservative the label smoothing. What they gain so is the most that a good estimate could
give them. No other loss reads the share.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pipeline import tables
from pipeline.config import Settings, TrainingSettings
from pipeline.errors import OrchardError
from pipeline.ids import content_id
from pipeline.noise.measure import mean_of
from pipeline.preferences.exchange import inject
from pipeline.training.losses import get
from pipeline.validation.select import by_hash

if TYPE_CHECKING:
    from pipeline.training.loop import TrainResult

Report = Callable[[int, int, dict[str, float]], None]


@dataclass(frozen=True)
class Cell:
    """One training of the sweep."""

    source: str
    loss: str
    share: float
    seed: int

    @property
    def sweep_id(self) -> str:
        return content_id("noise sweep", self.source, self.loss, self.share, self.seed)


def cells(settings: Settings) -> list[Cell]:
    """All trainings that the profile asks for, each once."""
    chosen = settings.sweep
    found = [
        Cell(chosen.source, loss, share, seed)
        for loss in chosen.losses
        for share in chosen.shares
        for seed in settings.training.seeds
    ]
    return list(dict.fromkeys(found))


def told(settings: TrainingSettings, cell: Cell) -> TrainingSettings:
    """The settings of one training:
    its loss, and the share of wrong labels for those losses that can be told.
    """
    losses = {"label_smoothing": cell.share, "flip_trust": 1.0, "flip_bound": cell.share}
    plain = {
        "loss": cell.loss,
        "patience": None,
        "losses": {**settings.losses.model_dump(), **losses},
    }
    return TrainingSettings(**{**settings.model_dump(), **plain})


def divided(pairs: pl.DataFrame, max_pairs: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Training pairs and clean pairs of validation prompts, at most so many of each, by hash:
    the same in all cells.

    Raises:
        OrchardError: there are none of either.
    """
    train, clean = (
        by_hash(pairs.filter(pl.col("split") == split)).head(max_pairs)
        for split in ("train", "validation")
    )
    if train.is_empty() or clean.is_empty():
        found = f"{train.height} training and {clean.height} validation pairs"
        raise OrchardError(f"noise sweep: {found}: take more prompts, or another sweep.source")
    return train, clean


def noisy(train: pl.DataFrame, share: float) -> pl.DataFrame:
    """The pairs with this share of the labels flipped, those of a smaller share among them.

    It is their noise_score.
    """
    return inject(train, share).with_columns(noise_score=pl.lit(share))


def learn(
    model_dir: Path,
    train: pl.DataFrame,
    reference: pl.DataFrame,
    settings: TrainingSettings,
    cell: Cell,
    *,
    out: Path,
    progress: Report | None = None,
) -> "TrainResult":
    """One training of the sweep; a killed one goes on at its checkpoint."""
    from pipeline.training.loop import train as fit

    rows = noisy(train, cell.share)
    if get(cell.loss).running is not None:  # it estimates the share itself
        rows = rows.with_columns(noise_score=pl.lit(None, pl.Float64))
    return fit(
        model_dir, rows, reference, told(settings, cell), seed=cell.seed, out=out, progress=progress
    )


def measured(
    cell: Cell,
    result: "TrainResult",
    clean: pl.DataFrame,
    reference: pl.DataFrame,
    settings: TrainingSettings,
) -> pl.DataFrame:
    """The row of `noise_sweep` of one training: reward accuracy on the clean pairs.

    The policy is deleted after it.
    """
    from pipeline.training.accuracy import log_ratios

    ratios = log_ratios(result.path, clean, reference, settings)
    shutil.rmtree(result.path)
    margins = ratios.select("pair_id", margin=pl.col("chosen") - pl.col("rejected"))
    return row_of(cell, result, margins.join(clean.select("pair_id", "prompt_id"), on="pair_id"))


def row_of(cell: Cell, result: "TrainResult", margins: pl.DataFrame) -> pl.DataFrame:
    """One row of `noise_sweep` from (pair_id, prompt_id, margin in nats) of the clean pairs."""
    right = (np.sign(margins["margin"].to_numpy()) + 1) / 2
    groups = np.unique(margins["prompt_id"].to_numpy(), return_inverse=True)[1].astype(np.int64)
    found = mean_of(right, groups, cell.seed)
    row = {
        "sweep_id": cell.sweep_id,
        "source": cell.source,
        "loss": cell.loss,
        "flipped_share": cell.share,
        "seed": cell.seed,
        "n_pairs": result.n_pairs,
        "n_flipped": int(cell.share * result.n_pairs),
        "n_steps": result.n_steps,
        "accuracy": found.value,
        "accuracy_low": found.low,
        "accuracy_high": found.high,
        "margin": margins["margin"].mean(),
        "n_held_out": found.n,
        "train_accuracy": result.accuracy_last,
        "seconds": result.seconds,
    }
    return pl.DataFrame([row], schema=tables.empty("noise_sweep").schema)


def lines(rows: pl.DataFrame, value: str = "accuracy") -> dict[str, list[tuple[float, float]]]:
    """Loss -> (share flipped, mean over seeds), in ascending order of shares."""
    means = (
        rows.group_by("loss", "flipped_share")
        .agg(pl.col(value).mean())
        .sort("loss", "flipped_share")
    )
    return {
        str(loss): list(frame.select("flipped_share", value).iter_rows())
        for (loss,), frame in means.group_by("loss", maintain_order=True)
    }
