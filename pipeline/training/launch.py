"""One training by several processes:
torchrun starts a `worker` in each, and a folder holds what they train on.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import polars as pl

from pipeline import extensions
from pipeline.config import TrainingSettings
from pipeline.errors import Diverged, OrchardError
from pipeline.training import parallel
from pipeline.training.losses import LOSSES
from pipeline.training.policy import Precision
from pipeline.training.result import TrainResult

Report = Callable[[int, int, dict[str, float]], None]

MARK = "orchard-step "  # before a line of a worker's that says how far it is


def together(
    model_dir: Path,
    pairs: pl.DataFrame,
    reference: pl.DataFrame,
    settings: TrainingSettings,
    *,
    seed: int,
    out: Path,
    progress: Report | None,
    precision: Precision,
) -> TrainResult:
    """`loop.train` by `settings.processes` processes on this machine.

    They end with the one that called them.

    Raises:
        OrchardError: what a process says went wrong (Diverged: where it did), or the last line of
            one that died without a word.
    """
    job = out.with_name(f"{out.name}.job")
    shutil.rmtree(job, ignore_errors=True)
    job.mkdir(parents=True)
    try:
        pairs.write_parquet(job / "pairs.parquet")
        reference.write_parquet(job / "reference.parquet")
        task: dict[str, object] = {
            "model": str(model_dir),
            "out": str(out),
            "seed": seed,
            "precision": precision,
        }
        task["extensions"] = dict(extensions.files_of(LOSSES.modules()))
        (job / "task.json").write_text(
            json.dumps({**task, "settings": settings.model_dump(mode="json")})
        )
        code = _torchrun(job, settings.processes, progress)
        if code or not (job / "result.json").is_file():
            raise _fault(job, settings.processes)
        return read_result(job)
    finally:
        shutil.rmtree(job, ignore_errors=True)


def _torchrun(job: Path, processes: int, progress: Report | None) -> int:
    threads = max(1, (os.cpu_count() or 1) // processes)
    environment = {"OMP_NUM_THREADS": str(threads), **os.environ}
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        str(processes),
    ]
    with (
        (job / "log").open("w") as log,
        subprocess.Popen(
            [*command, "-m", "pipeline.training.worker", str(job)],
            env=environment, stdout=subprocess.PIPE, stderr=log, text=True,
        ) as child,
    ):  # fmt: skip
        try:
            assert child.stdout is not None
            for line in child.stdout:
                if line.startswith(MARK) and progress:
                    progress(*json.loads(line.removeprefix(MARK)))
            return child.wait()
        finally:
            child.terminate()  # torchrun ends its workers


def write_fault(job: Path, error: OrchardError) -> None:
    kind = "diverged" if isinstance(error, Diverged) else "fault"
    (job / f"fault-{parallel.rank()}").write_text(json.dumps([kind, str(error)]))


def _fault(job: Path, processes: int) -> OrchardError:
    said = sorted(job.glob("fault-*"))
    if said:
        kind, text = json.loads(said[0].read_text())
        return Diverged(text) if kind == "diverged" else OrchardError(text)
    lines = [line.strip() for line in (job / "log").read_text().splitlines() if line.strip()]
    errors = [line for line in lines if "Error" in line and "ChildFailedError" not in line]
    return OrchardError(
        f"training by {processes} processes died: {(errors or lines or ['no word'])[-1]}"
    )


def write_result(job: Path, result: TrainResult) -> None:
    result.rejects.write_parquet(job / "rejects.parquet")
    plain = {key: value for key, value in asdict(result).items() if key != "rejects"}
    (job / "result.json").write_text(json.dumps({**plain, "path": str(result.path)}))


def read_result(job: Path) -> TrainResult:
    found = json.loads((job / "result.json").read_text())
    found["curve"] = [tuple(point) for point in found["curve"]]
    found["looks"] = [tuple(look) for look in found["looks"]]
    return TrainResult(
        **{
            **found,
            "path": Path(found["path"]),
            "rejects": pl.read_parquet(job / "rejects.parquet"),
        }
    )
