"""One of the processes that `launch` starts:
python -m pipeline.training.worker FOLDER, under torchrun.
"""

import json
import sys
from pathlib import Path

import polars as pl

from pipeline import extensions
from pipeline.config import TrainingSettings
from pipeline.errors import OrchardError
from pipeline.training import launch, parallel
from pipeline.training.loop import train


def work(job: Path) -> None:
    """Trains; the first process says how far they are, and writes the result.

    An error becomes a file of the folder.
    """
    task = json.loads((job / "task.json").read_text())
    settings = TrainingSettings.model_validate(task["settings"])
    try:
        extensions.import_files(task["extensions"])
        result = train(
            Path(task["model"]),
            pl.read_parquet(job / "pairs.parquet"),
            pl.read_parquet(job / "reference.parquet"),
            settings,
            seed=task["seed"],
            out=Path(task["out"]),
            precision=task["precision"],
            progress=None if parallel.rank() else _say,
        )
    except OrchardError as error:
        launch.write_fault(job, error)
        raise SystemExit(1) from error
    if parallel.rank() == 0:
        launch.write_result(job, result)


def _say(step: int, steps: int, values: dict[str, float]) -> None:
    """A line for the process that waits.

    Where it is gone the pipe breaks, and with it this training.
    """
    print(launch.MARK + json.dumps([step, steps, values]), flush=True)


if __name__ == "__main__":
    work(Path(sys.argv[1]))
