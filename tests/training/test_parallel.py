"""Two processes (gloo, through torchrun) train the policy that one trains.

A stopped one goes on and ends the same.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from pipeline.config import TrainingSettings
from pipeline.errors import Diverged
from pipeline.training.loop import train
from pipeline.training.reference import reference_logps
from pipeline.training.result import TrainResult
from tests.training.test_train import change, same, weights
from tests.training.toy import frame, pair

ROOT = Path(__file__).parents[2]


@pytest.fixture
def pairs() -> pl.DataFrame:
    """Nine training pairs in two stages,
    so that a last step has one row and the second process none.
    """
    return frame([pair(f"q{i}", "yes" + "!" * (i % 3), stage=i % 2) for i in range(9)])


@pytest.fixture
def watched() -> pl.DataFrame:
    """As `pairs` in one stage, with three pairs to stop on."""
    rows = [pair(f"q{i}", "yes" + "!" * (i % 3)) for i in range(9)]
    return frame([*rows, *(pair(f"v{i}", "yes", split="validation") for i in range(3))])


def run(
    model: Path, pairs: pl.DataFrame, settings: TrainingSettings, out: Path, **values: object
) -> TrainResult:
    reference = reference_logps(model, pairs, settings, policy_id="tiny", precision="fp32")
    return train(model, pairs, reference, settings, seed=0, out=out, precision="fp32", **values)  # type: ignore[arg-type]


def assert_like(found: TrainResult, expected: TrainResult, model: Path) -> None:
    """The same training up to the order of sums, and its policy up to rounding to bfloat16."""
    for mine, other in zip(found.curve, expected.curve, strict=True):
        assert mine == pytest.approx(other, abs=1e-4)
    assert [step for step, _ in found.looks] == [step for step, _ in expected.looks]
    assert (found.n_tokens, found.kept_step) == (expected.n_tokens, expected.kept_step)
    start, alone, both = weights(model), weights(expected.path), weights(found.path)
    moved = max((alone[name] - start[name]).abs().max().item() for name in start)
    apart = max((alone[name] - both[name]).abs().max().item() for name in start)
    assert moved > 0.005 and apart < 0.3 * moved


@pytest.mark.parametrize("sharding", ["none", "full"])
def test_two_processes_train_a_curriculum_as_one(
    sharding: str, tiny: Path, pairs: pl.DataFrame, settings: TrainingSettings, tmp_path: Path
) -> None:
    # several passes a step, not equally many in each
    settings = change(settings, loss="lcpo", micro_tokens=64)
    alone = run(tiny, pairs, settings, tmp_path / "one")
    steps: list[int] = []
    both = run(
        tiny, pairs, change(settings, processes=2, sharding=sharding), tmp_path / "two",
        progress=lambda step, *_: steps.append(step),
    )  # fmt: skip
    assert_like(both, alone, tiny)
    assert steps == list(range(1, alone.n_steps + 1))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


@pytest.mark.parametrize("checkpointing", [False, True])
def test_adapters_in_parts_stop_early_as_in_one_piece(
    checkpointing: bool,
    tiny: Path,
    watched: pl.DataFrame,
    settings: TrainingSettings,
    tmp_path: Path,
) -> None:
    settings = change(settings, method="lora", learning_rate=3e-2, patience=1, evaluate_every=1)
    alone = run(tiny, watched, settings, tmp_path / "one")
    settings = change(settings, processes=2, sharding="full", gradient_checkpointing=checkpointing)
    both = run(tiny, watched, settings, tmp_path / "two")
    assert_like(both, alone, tiny)
    assert (both.path / "adapter" / "adapter_config.json").is_file()


def test_a_training_in_parts_that_is_stopped_goes_on_from_its_checkpoint(
    tiny: Path, watched: pl.DataFrame, settings: TrainingSettings, tmp_path: Path
) -> None:
    settings = change(settings, patience=9, evaluate_every=1, processes=2, sharding="full")
    whole = run(tiny, watched, settings, tmp_path / "whole")

    class Stopped(Exception):
        pass

    def stop(step: int, *_: object) -> None:
        if step == 4:
            raise Stopped

    with pytest.raises(Stopped):
        run(tiny, watched, settings, tmp_path / "out", progress=stop)
    assert not (tmp_path / "out").exists() and (tmp_path / "out.ckpt").exists()
    seen: list[int] = []
    resumed = run(
        tiny, watched, settings, tmp_path / "out", progress=lambda step, *_: seen.append(step)
    )
    assert 1 < seen[0] <= 5 and seen[-1] == whole.n_steps == 6
    assert resumed.curve == whole.curve and same(resumed.path, whole.path)


def test_what_a_process_says_went_wrong_is_the_error(
    tiny: Path, pairs: pl.DataFrame, settings: TrainingSettings, tmp_path: Path
) -> None:
    with pytest.raises(
        Diverged, match="training stopped at step 1: loss .* rows .*: lower learning_rate"
    ):
        run(
            tiny,
            pairs.with_columns(weight=1e30),
            change(settings, processes=2, beta=1e30),
            tmp_path / "out",
        )
    assert list(tmp_path.glob("*.job")) == []


def test_after_a_kill_the_next_process_ends_with_the_same_weights(
    tiny: Path, settings: TrainingSettings, tmp_path: Path
) -> None:
    pairs = frame([pair(f"q{i}", "yes" + "!" * (i % 3)) for i in range(9)])
    reference = reference_logps(tiny, pairs, settings, policy_id="tiny", precision="fp32")
    whole = train(
        tiny, pairs, reference, settings, seed=0, out=tmp_path / "whole", precision="fp32"
    )
    (tmp_path / "settings.json").write_text(settings.model_dump_json())
    pairs.write_parquet(tmp_path / "pairs.parquet")
    reference.write_parquet(tmp_path / "reference.parquet")
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests/training/worker.py"), str(tmp_path), str(tiny)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "KILL_AT": "5"},
        capture_output=True,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr[-3000:]
    assert not (tmp_path / "out").exists()
    seen: list[int] = []
    out = tmp_path / "out"
    train(
        tiny,
        pairs,
        reference,
        settings,
        seed=0,
        out=out,
        precision="fp32",
        progress=lambda n, *_: seen.append(n),
    )
    assert seen == [5, 6] and whole.n_steps == 6
    assert same(out, whole.path)


def test_two_processes_agree_on_the_reference_point_of_kto(
    tiny: Path, watched: pl.DataFrame, settings: TrainingSettings, tmp_path: Path
) -> None:
    settings = change(settings, loss="kto", micro_tokens=64, patience=9, evaluate_every=2)
    alone = run(tiny, watched, settings, tmp_path / "one")
    both = run(tiny, watched, change(settings, processes=2, sharding="full"), tmp_path / "two")
    assert_like(both, alone, tiny)
    assert [loss for _, loss in both.looks] == pytest.approx(
        [loss for _, loss in alone.looks], abs=1e-4
    )
