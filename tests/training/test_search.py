"""The search for training settings: it finds what is best in a world where that is known."""

import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipeline.config import SearchSettings, TrainingSettings
from pipeline.engine.model import Model
from pipeline.errors import Diverged
from pipeline.training import loop
from pipeline.training.accuracy import preference_accuracy, reward_accuracy
from pipeline.training.once import Training
from pipeline.training.reference import reference_logps
from pipeline.training.search import best_of
from tests.training.toy import frame, pair

RATES = [1e-9, 3e-3]


def training_of(
    home: Path, model: Path, settings: TrainingSettings, rows: pl.DataFrame
) -> Training:
    marked = rows.with_columns(mark=pl.col("pair_id"), row_id=pl.col("pair_id"))
    return Training("toy", marked, settings, Model(model, "tiny"), "code", home)


def changes_of(settings: TrainingSettings, **values: Any) -> list[dict[str, Any]]:
    return SearchSettings(**values).changes_of("toy", settings.model_dump())


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float]]:
    """Trainings that do best at a learning rate of 1e-4 and a beta of 0.3, and diverge at 1."""
    tried: list[tuple[float, float]] = []

    def train(model: Any, rows: Any, reference: Any, settings: Any, **values: Any) -> Any:
        tried.append((settings.learning_rate, settings.beta))
        if settings.learning_rate >= 1:
            raise Diverged("training stopped")
        return type("Result", (), {"path": settings})

    def accuracy(settings: Any, *_: Any) -> pl.DataFrame:
        off = abs(math.log10(settings.learning_rate / 1e-4)) + abs(settings.beta - 0.3)
        return pl.DataFrame({"value": [1 - off / 10] * 4})

    monkeypatch.setattr(loop, "train", train)
    monkeypatch.setattr("pipeline.training.accuracy.preference_accuracy", accuracy)
    return tried


def test_the_best_settings_are_found_all_tries_are_kept_and_none_is_made_twice(
    scripted: list[tuple[float, float]], settings: TrainingSettings, tmp_path: Path
) -> None:
    own = training_of(tmp_path, tmp_path, settings, frame([pair("a")]))
    grid = {"learning_rate": [1e-5, 1e-4, 1e-3, 1.0], "beta": [0.1, 0.3]}
    changes = changes_of(settings, **grid)
    found, tries = best_of(own, changes, frame([pair("b")]), pl.DataFrame())
    assert (found.settings.learning_rate, found.settings.beta) == (1e-4, 0.3)
    assert found.settings == settings.model_copy(update={"learning_rate": 1e-4, "beta": 0.3})
    assert [one.changes for one in tries] == changes and len(scripted) == len(changes) == 8
    assert [one.changes for one in tries if one.taken] == [{"learning_rate": 1e-4, "beta": 0.3}]
    assert [one.accuracy for one in tries[-2:]] == [None, None]  # diverged
    assert best_of(own, changes, frame([pair("b")]), pl.DataFrame()) == (found, tries)
    assert len(scripted) == 8
    # other pairs to choose on are another question
    best_of(own, changes, frame([pair("c")]), pl.DataFrame())
    assert len(scripted) == 16


def test_a_try_is_made_again_where_the_code_that_measures_it_changed(
    scripted: list[tuple[float, float]],
    settings: TrainingSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = training_of(tmp_path, tmp_path, settings, frame([pair("a")]))
    for code, made in (("one", 2), ("one", 2), ("two", 4)):
        monkeypatch.setattr("pipeline.training.search.code_version", lambda *_, code=code: code)
        best_of(own, changes_of(settings, beta=[0.1, 0.3]), frame([pair("b")]), pl.DataFrame())
        assert len(scripted) == made


def test_of_equally_good_settings_the_profiles_are_taken(
    scripted: list[tuple[float, float]], settings: TrainingSettings, tmp_path: Path
) -> None:
    own = training_of(
        tmp_path, tmp_path, settings.model_copy(update={"beta": 0.35}), frame([pair("a")])
    )
    equal = changes_of(settings, beta=[0.25, 0.35, 0.2])
    found, tries = best_of(own, equal, frame([pair("b")]), pl.DataFrame())
    assert found.settings.beta == 0.35 and [one.taken for one in tries] == [False, True, False]
    diverged = changes_of(settings, learning_rate=[1.0, 2.0])
    assert best_of(own, diverged, frame([pair("b")]), pl.DataFrame())[0] is own


def test_a_sample_of_the_combinations_has_the_profiles_own_and_is_the_same_each_time() -> None:
    settings = TrainingSettings(beta=0.3)
    grid = {"beta": [0.1, 0.2, 0.3, 0.4], "learning_rate": [1e-5, 2e-5, 4e-5], "tries": 5}
    drawn = changes_of(settings, **grid)
    assert len(drawn) == 5 and {"beta": 0.3, "learning_rate": 2e-5} in drawn
    assert drawn == changes_of(settings, **grid)
    others = changes_of(settings, **grid, seed=1)
    assert others != drawn and len(others) == 5
    assert len(changes_of(settings, **{**grid, "tries": 99})) == 12


@pytest.mark.parametrize("loss", ["sigmoid", "simpo"])
def test_a_rate_that_learns_is_taken_over_one_that_does_not(
    loss: str, tiny: Path, toy: pl.DataFrame, settings: TrainingSettings, tmp_path: Path
) -> None:
    """Held-out texts of which the untrained model prefers the worse ones."""
    settings = settings.model_copy(update={"loss": loss, "epochs": 4, "learning_rate": 1e-9})
    settings = settings.model_copy(update={"beta": 2.0 if loss == "simpo" else 0.1})
    rows = toy.filter(pl.col("rejected_messages").is_null())
    held = frame([pair(f"was it {i}?", split="validation") for i in range(8)])
    known = reference_logps(tiny, pl.concat([rows, held]), settings, policy_id="tiny")
    before = preference_accuracy(tiny, held, known, settings)["value"].mean()
    own = training_of(tmp_path, tiny, settings, rows)
    found, tries = best_of(own, changes_of(settings, learning_rate=RATES), held, known)
    assert found.settings.learning_rate == 3e-3 and tries[1].accuracy == 1.0
    assert tries[0].accuracy is not None and tries[0].accuracy < 1.0 and tries[0].n_pairs == 8
    if loss == "simpo":  # by its own score; that of the base model needs no reference
        assert before == tries[0].accuracy
    assert sorted(p.suffix for p in (tmp_path / "policies").iterdir()) == [".json", ".json"]


def test_a_loss_with_a_reference_is_judged_by_its_implicit_reward(
    tiny: Path, other: Path, toy: pl.DataFrame, settings: TrainingSettings
) -> None:
    known = reference_logps(tiny, toy, settings, policy_id="tiny")
    expected = reward_accuracy(other, toy, known, settings)
    assert preference_accuracy(other, toy, known, settings).equals(expected)


@pytest.mark.parametrize("loss", ["sigmoid", "simpo"])
def test_pairs_that_are_all_too_long_choose_nothing(
    loss: str, tiny: Path, toy: pl.DataFrame, settings: TrainingSettings
) -> None:
    short = settings.model_copy(update={"loss": loss, "max_length": 8, "too_long": "drop"})
    nothing = reference_logps(tiny, toy.clear(), settings, policy_id="tiny")
    assert preference_accuracy(tiny, toy, nothing, short).is_empty()
