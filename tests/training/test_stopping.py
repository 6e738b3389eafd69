"""Early stopping on planted overfitting:
what it learns is wrong on the validation rows, or right.
"""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from pipeline.config import TrainingSettings
from pipeline.errors import OrchardError
from pipeline.training import checkpoint, stopping
from pipeline.training.loop import TrainResult, train
from pipeline.training.reference import reference_logps
from pipeline.validation.select import reported
from pipeline.validation.select import stopping as stopping_rows
from tests.training.test_train import change, same, weights
from tests.training.toy import frame, pair

QUESTIONS = [f"is it {i}?" for i in range(8)]


def rows(chosen: str, rejected: str) -> pl.DataFrame:
    """Training pairs that say yes; validation pairs of other prompts with the labels given."""
    learned = [pair(q) for q in QUESTIONS]
    return frame(
        [*learned, *(pair(f"or {q}", chosen, rejected, split="validation") for q in QUESTIONS)]
    )


OVERFIT, SOUND = rows("no", "yes"), rows("yes", "no")


@pytest.fixture
def watched(settings: TrainingSettings) -> TrainingSettings:
    return change(settings, epochs=8, patience=2, evaluate_every=2, learning_rate=3e-3)  # 16 steps


def run(
    model: Path, pairs: pl.DataFrame, settings: TrainingSettings, out: Path, **values: Any
) -> TrainResult:
    reference = reference_logps(model, pairs, settings, policy_id="tiny")
    return train(model, pairs, reference, settings, **{"seed": 0, "out": out, **values})


def stop_at(step: int) -> Any:
    def stop(done: int, total: int, values: dict[str, float]) -> None:
        if done == step:
            raise KeyboardInterrupt

    return stop


def test_overfitting_stops_early_and_leaves_the_best_weights(
    tiny: Path, watched: TrainingSettings, tmp_path: Path
) -> None:
    found = run(tiny, OVERFIT, watched, tmp_path / "out")
    losses = [loss for _, loss in found.looks]
    assert found.looks[0][0] == 2 and losses[0] < min(losses[1:]), "the first look was the best"
    assert (
        [step for step, _ in found.looks] == [2, 4, 6]
        and found.n_steps == 6
        and found.kept_step == 2
    )
    assert found.n_pairs == 8
    watched = change(watched, checkpoint_every=1)
    with pytest.raises(KeyboardInterrupt):
        run(tiny, OVERFIT, watched, tmp_path / "cut", progress=stop_at(2))
    then = torch.load(checkpoint.path_for(tmp_path / "cut"), weights_only=True)["weights"]
    kept = weights(tmp_path / "out")
    assert all(torch.equal(kept[name], then[name].to(torch.bfloat16)) for name in kept)


def test_what_still_helps_is_trained_to_its_end(
    tiny: Path, watched: TrainingSettings, tmp_path: Path
) -> None:
    found = run(tiny, SOUND, watched, tmp_path / "out")
    assert found.n_steps == 16 == found.kept_step and len(found.looks) == 8
    plain = run(
        tiny,
        SOUND.filter(pl.col("split") == "train"),
        change(watched, patience=None),
        tmp_path / "plain",
    )
    # to look changes nothing
    assert plain.curve == found.curve and same(tmp_path / "out", tmp_path / "plain")
    assert found.n_tokens == plain.n_tokens and plain.looks == [] and plain.kept_step == 16


@pytest.mark.parametrize("killed", [3, 5])
def test_a_killed_training_stops_where_it_would_have(
    killed: int, tiny: Path, watched: TrainingSettings, tmp_path: Path
) -> None:
    watched = change(watched, method="lora", learning_rate=3e-2)
    whole = run(tiny, OVERFIT, watched, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tiny, OVERFIT, watched, tmp_path / "cut", progress=stop_at(killed))
    cut = run(tiny, OVERFIT, watched, tmp_path / "cut")
    assert (cut.looks, cut.kept_step, cut.curve) == (whole.looks, whole.kept_step, whole.curve)
    assert cut.n_steps < 16 and same(tmp_path / "cut", tmp_path / "whole")


def test_no_test_row_is_ever_seen(tiny: Path, watched: TrainingSettings, tmp_path: Path) -> None:
    tests = frame([pair("a test prompt", split="test")])
    for settings in (watched, change(watched, patience=None)):
        with pytest.raises(OrchardError, match="1 of 17 training rows are of the test split"):
            run(tiny, pl.concat([OVERFIT, tests]), settings, tmp_path / "out")
    mixed = pl.concat(
        [OVERFIT, tests, *(frame([pair(f"{i}", split="validation")]) for i in range(20))]
    )
    chosen, rest = stopping_rows(mixed, 100), reported(mixed)
    assert set(chosen["split"]) == {"validation"} and chosen.height > 5
    # what a policy was chosen on is not reported
    assert not set(chosen["prompt_id"]) & set(rest["prompt_id"])
    assert (
        stopping_rows(mixed.reverse(), 3)["pair_id"].to_list()
        == stopping_rows(mixed, 3)["pair_id"].to_list()
    )


def test_without_validation_rows_and_in_a_curriculum_nothing_is_watched(
    tiny: Path, watched: TrainingSettings, tmp_path: Path
) -> None:
    learned = OVERFIT.filter(pl.col("split") == "train")
    long = frame([pair("x" * 400, split="validation")])
    for rest in (learned, pl.concat([learned, long])):  # none, or none that fits
        found = run(
            tiny, rest, change(watched, epochs=1, too_long="drop"), tmp_path / f"out{rest.height}"
        )
        assert found.looks == [] and found.kept_step == found.n_steps == 2
    staged = OVERFIT.with_columns(stage=pl.col("pair_id").rank("ordinal").cast(pl.Int64) % 2)
    found = run(tiny, staged, change(watched, epochs=1), tmp_path / "staged")
    assert found.looks == [] and found.kept_step == found.n_steps


def test_the_loss_of_a_look_is_that_of_the_trainer(
    tiny: Path, watched: TrainingSettings, tmp_path: Path
) -> None:
    # A step of rate 0 leaves the policy the reference: log 2, whatever the rows.
    found = run(tiny, OVERFIT, change(watched, learning_rate=1e-12, epochs=1), tmp_path / "out")
    assert found.looks[0][1] == pytest.approx(0.693147, abs=2e-3)
    assert stopping.divide(OVERFIT, change(watched, patience=None))[1].is_empty()
