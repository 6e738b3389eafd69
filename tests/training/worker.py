"""Trains on the pairs of a folder; KILL_AT names its last step. No test."""

import os
import signal
import sys
from pathlib import Path

import polars as pl

from pipeline.config import TrainingSettings
from pipeline.training.loop import train


def killed(done: int, total: int, values: dict[str, float]) -> None:
    if done == int(os.environ.get("KILL_AT", "0")):
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    settings = TrainingSettings.model_validate_json((folder / "settings.json").read_text())
    pairs, reference = (
        pl.read_parquet(folder / "pairs.parquet"),
        pl.read_parquet(folder / "reference.parquet"),
    )
    model, out = Path(sys.argv[2]), folder / "out"
    train(model, pairs, reference, settings, seed=0, out=out, precision="fp32", progress=killed)
