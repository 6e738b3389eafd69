"""Two processes (gloo, through torchrun) train the policy that one trains; a killed one is followed by its next."""

import ast
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.config import TrainingSettings
from pipeline.training.loop import train
from pipeline.training.reference import reference_logps
from tests.training.test_train import change, same, weights
from tests.training.toy import frame, pair

ROOT = Path(__file__).parents[2]


def test_two_processes_train_the_policy_of_one(tiny: Path, settings: TrainingSettings, tmp_path: Path) -> None:
    pairs = frame([pair(f"q{i}", "yes" + "!" * (i % 3), stage=i % 2) for i in range(9)])  # the last step has one row
    settings = change(settings, loss="lcpo")
    reference = reference_logps(tiny, pairs, settings, policy_id="tiny", precision="fp32")
    one = train(tiny, pairs, reference, settings, seed=0, out=tmp_path / "one", precision="fp32")
    (tmp_path / "settings.json").write_text(settings.model_dump_json())
    pairs.write_parquet(tmp_path / "pairs.parquet")
    reference.write_parquet(tmp_path / "reference.parquet")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*torchrun, str(ROOT / "tests/training/worker.py"), str(tmp_path), str(tiny)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    curves = [ast.literal_eval((tmp_path / f"curve{rank}.json").read_text()) for rank in (0, 1)]
    assert curves[0] == curves[1]
    for found, expected in zip(curves[0], one.curve, strict=True):
        assert found == pytest.approx(expected, abs=1e-4)
    start, alone, both = weights(tiny), weights(one.path), weights(tmp_path / "out")
    moved = max((alone[name] - start[name]).abs().max().item() for name in start)
    apart = max((alone[name] - both[name]).abs().max().item() for name in start)
    assert moved > 0.005 and apart < 0.3 * moved  # what rounding to bfloat16 may cost
    assert not (tmp_path / "out.ckpt").exists()


def test_after_a_kill_the_next_process_ends_with_the_same_weights(
    tiny: Path, settings: TrainingSettings, tmp_path: Path
) -> None:
    pairs = frame([pair(f"q{i}", "yes" + "!" * (i % 3)) for i in range(9)])
    reference = reference_logps(tiny, pairs, settings, policy_id="tiny", precision="fp32")
    whole = train(tiny, pairs, reference, settings, seed=0, out=tmp_path / "whole", precision="fp32")
    (tmp_path / "settings.json").write_text(settings.model_dump_json())
    pairs.write_parquet(tmp_path / "pairs.parquet")
    reference.write_parquet(tmp_path / "reference.parquet")
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests/training/worker.py"), str(tmp_path), str(tiny)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "KILL_AT": "5"}, capture_output=True,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr[-3000:]
    assert not (tmp_path / "out").exists()
    seen: list[int] = []
    out = tmp_path / "out"
    train(tiny, pairs, reference, settings, seed=0, out=out, precision="fp32", progress=lambda n, *_: seen.append(n))
    assert seen == [5, 6] and whole.n_steps == 6
    assert same(out, whole.path)
