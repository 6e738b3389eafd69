"""The noise sweep on a tiny model:
exact flips, what each loss is told, and clean pairs to measure on.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from assets.shown import of_report
from assets.validation import NOISE_SWEEP
from pipeline import config
from pipeline.config import Settings, TrainingSettings
from pipeline.errors import OrchardError
from pipeline.steps import StepReport
from pipeline.store import Commit, Lake
from pipeline.training.reference import reference_logps
from pipeline.validation.report.sweep import curves
from pipeline.validation.sweep import (
    Cell,
    cells,
    divided,
    learn,
    lines,
    measured,
    noisy,
    row_of,
    told,
)
from tests.runs import ScriptedRun, make, materialise
from tests.training.toy import frame, pair, save_llama

FULL: dict[str, Any] = {
    "method": "full", "learning_rate": 3e-3, "epochs": 3, "batch_pairs": 4, "micro_tokens": 256,
    "max_length": 128
}  # fmt: skip


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("models") / "tiny", seed=0)


def made(n: int = 20) -> pl.DataFrame:
    learned = [pair(f"is it {i}?", strength=1.0, margin=1.0) for i in range(n)]
    return frame(
        [
            *learned,
            *(pair(f"was it {i}?", strength=1.0, margin=1.0, split="validation") for i in range(8)),
        ]
    )


def asked(**sweep: Any) -> Settings:
    quick = config.load("quick")
    return Settings(**{**quick.model_dump(), "sweep": {"losses": ["sigmoid", "rdpo"], **sweep}})


def test_exactly_the_share_is_flipped_and_more_noise_holds_less_noise() -> None:
    train, clean = divided(made(), 96)
    assert (train.height, clean.height) == (20, 8) and set(clean["split"]) == {"validation"}
    flipped = [
        set(noisy(train, share).filter("flipped")["pair_id"]) for share in (0.0, 0.1, 0.2, 0.4)
    ]
    assert [len(found) for found in flipped] == [0, 2, 4, 8]
    assert flipped[1] < flipped[2] < flipped[3]
    row = noisy(train, 0.4).filter("flipped").row(0, named=True)
    assert (row["chosen"], row["rejected"], row["strength"], row["noise_score"]) == (
        "no, not",
        "yes",
        1.0,
        0.4,
    )
    few = divided(made(), 5)
    assert [frame_.height for frame_ in few] == [5, 5] and set(few[0]["pair_id"]) < set(
        train["pair_id"]
    )
    with pytest.raises(
        OrchardError, match="noise sweep: 5 training and 0 validation pairs: take more prompts"
    ):
        divided(made().filter(pl.col("split") == "train"), 5)


def test_a_cell_per_loss_share_and_seed_and_only_some_losses_are_told_the_share() -> None:
    found = cells(asked())
    assert [(c.loss, c.share) for c in found][:5] == [
        *(("sigmoid", s) for s in (0, 0.1, 0.2, 0.4)),
        ("rdpo", 0),
    ]
    assert len({c.sweep_id for c in found}) == 8 and cells(config.load("quick")) == []
    one = told(TrainingSettings(patience=3), found[-1])
    assert (one.loss, one.patience, one.losses.flip_trust, one.losses.flip_bound) == (
        "rdpo",
        None,
        1.0,
        0.4,
    )
    assert one.losses.label_smoothing == 0.4 and one.losses.reliability == 0.9
    with pytest.raises(Exception, match="less than or equal to 0.45"):
        asked(shares=[0.5])


def test_clean_labels_teach_what_half_wrong_ones_do_not(tiny: Path, tmp_path: Path) -> None:
    settings = TrainingSettings(**FULL)
    train, clean = divided(made(), 96)
    reference = reference_logps(tiny, pl.concat([train, clean]), settings, policy_id="tiny")
    found = []
    for share in (0.0, 0.45):
        cell = Cell("outcome", "sigmoid", share, 0)
        result = learn(tiny, train, reference, settings, cell, out=tmp_path / "out")
        found.append(measured(cell, result, clean, reference, settings).row(0, named=True))
        assert not (tmp_path / "out").exists()
    right, wrong = found
    assert right["accuracy"] == 1.0 and (
        right["n_pairs"],
        right["n_flipped"],
        right["n_held_out"],
    ) == (20, 0, 8)
    assert wrong["n_flipped"] == 9 and wrong["margin"] < right["margin"] / 2
    assert right["n_steps"] == wrong["n_steps"] == 15


def test_the_accuracy_is_the_mean_over_prompts_with_ties_as_half() -> None:
    result = SimpleNamespace(n_pairs=10, n_steps=2, accuracy_last=0.5, seconds=1.0)
    margins = pl.DataFrame(
        {"pair_id": list("abcd"), "prompt_id": ["p", "p", "q", "r"], "margin": [2.0, -1, 0, 3]}
    )
    row: Any = row_of(Cell("outcome", "ipo", 0.25, 1), result, margins).row(0, named=True)  # type: ignore[arg-type]
    assert (
        row["accuracy"] == pytest.approx((0.5 + 0.5 + 1) / 3)
        and row["margin"] == 1.0
        and row["n_flipped"] == 2
    )
    rows = pl.concat(
        row_of(
            Cell("outcome", "ipo", share, seed), result, margins.with_columns(margin=pl.lit(sign))
        )  # type: ignore[arg-type]
        for share, seed, sign in ((0.4, 0, -1.0), (0.0, 0, 1.0), (0.4, 1, 1.0))
    )
    assert lines(rows) == {"ipo": [(0.0, 1.0), (0.4, 0.5)]}


def test_each_cell_is_trained_once_and_the_report_shows_the_curve(
    tiny: Path, tmp_path: Path
) -> None:
    settings = asked(shares=[0, 0.25]).model_copy(update={"training": TrainingSettings(**FULL)})
    with Lake(tmp_path) as lake:
        own = made(8).with_columns(variant=pl.lit("outcome"))
        lake.write("preferences", own, Commit("test"), partition={"variant": "outcome"})

        def run() -> list[StepReport]:
            return [
                *make(ScriptedRun(lake, settings, folder=tiny, policy="tiny"), NOISE_SWEEP).values()
            ]

        assert curves(lake, settings) is None
        first = run()
        assert [report.status for report in first] == ["written"] * 4
        assert "data:image/png" in of_report(first[-1])["curves"].value
        assert [report.status for report in run()] == ["up to date"] * 4
        section = curves(lake, settings)
        assert section is not None and len(section.blocks) == 3
    (tmp_path / "none.yaml").write_text("extends: quick\n")
    done = materialise(tmp_path, tmp_path / "none.yaml", ["noise_sweep"])
    (event,) = done.asset_materializations_for_node("noise_sweep")
    assert event.metadata["status"].value == "no variant of this profile uses it"
    with Lake(tmp_path) as lake:
        assert lake.read("noise_sweep").is_empty() and curves(lake, config.load("quick")) is None
