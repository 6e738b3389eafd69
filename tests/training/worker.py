"""One process of several: trains on the pairs of a folder, as torchrun starts it. Not a test."""

import sys
from pathlib import Path

import polars as pl

from pipeline.config import TrainingSettings
from pipeline.training import parallel
from pipeline.training.loop import train

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    settings = TrainingSettings.model_validate_json((folder / "settings.json").read_text())
    pairs, reference = pl.read_parquet(folder / "pairs.parquet"), pl.read_parquet(folder / "reference.parquet")
    result = train(Path(sys.argv[2]), pairs, reference, settings, seed=0, out=folder / "out", precision="fp32")
    (folder / f"curve{parallel.rank()}.json").write_text(str(result.curve))
