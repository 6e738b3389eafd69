"""A home made before opens with all that it holds, and costs no training again."""

import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipeline import tables
from pipeline.config import TrainingSettings
from pipeline.engine.model import Model
from pipeline.errors import OrchardError
from pipeline.ids import content_id
from pipeline.steps.code import code_version
from pipeline.store import Commit, Lake, migrations
from pipeline.training import once
from pipeline.training.older import FORMAT_1, FORMAT_1_LOSSES, keep_policies

ARCHIVE = Path(__file__).parent / "data" / "format1" / "lake.tar.xz"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


def test_an_older_lake_opens_with_its_rows_and_the_new_columns(home: Path) -> None:
    with Lake(home) as lake:
        assert lake.read("responses").select("response_id", "text", "recipe").rows() == [
            ("r1", "7", None),
            ("r2", "8", None),
        ]
        assert lake.read("prompts").height == 2 and lake.history("responses").height == 1
        assert lake.sql("SELECT number FROM formats ORDER BY since").rows() == [(1,), (2,)]


def test_pairs_imported_before_sides_had_scores_are_read_with_null_ones(tmp_path: Path) -> None:
    with tarfile.open(ARCHIVE.parents[1] / "format2" / "lake.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    with Lake(tmp_path) as lake:
        (pair,) = lake.read("recorded_pairs").to_dicts()
        assert {pair["first"], pair["second"]} == {"Apple.", "Chair."}
        assert (pair["first_score"], pair["second_score"]) == (None, None)
        assert lake.read("recorded_responses").is_empty()
        scored = lake.read("recorded_pairs").with_columns(first_score=8.0, origin=pl.lit("new"))
        lake.write("recorded_pairs", scored, Commit("test"), partition={"origin": "new"})
        scores = lake.read("recorded_pairs").select("origin", "first_score").rows()
    assert set(scores) == {("fruit.jsonl", None), ("new", 8.0)}


def test_rejects_and_costs_have_the_steps_new_names_and_say_what_may_pass(home: Path) -> None:
    with Lake(home) as lake:
        told = lake.read("rejects").select("step", "row_id", "passing").sort("row_id").rows()
        costs = lake.read("usage")["step"].sort().to_list()
    assert told == [
        ("training_runs outcome", "outcome seed 0", False),
        ("tree_nodes", "p2", False),
        ("responses", "p8", False),
        ("responses", "p9", True),
    ]
    assert costs == ["evaluations outcome", "responses", "tree_nodes"]


def test_the_catalog_is_kept_as_it_was_and_opening_again_changes_nothing(home: Path) -> None:
    with Lake(home):
        copy = home / "lake" / "catalog.format1.sqlite"
        kept = copy.read_bytes()
    with Lake(home) as lake:
        version = lake.version("rejects")
        assert lake.sql("SELECT count(*) AS n FROM formats").item() == 2
    assert copy.read_bytes() == kept and version
    old = home / "old"
    (old / "lake").mkdir(parents=True)
    shutil.copytree(home / "lake" / "files", old / "lake" / "files")
    shutil.copy(copy, old / "lake" / "catalog.sqlite")
    with Lake(old) as lake:  # the copy is a whole lake of format 1
        assert lake.read("responses").height == 2


def test_a_migration_that_fails_changes_nothing_and_is_tried_again(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(database: Any) -> None:
        database.connection.execute("DELETE FROM rejects")
        raise OrchardError("no space left")

    with monkeypatch.context() as patch:
        patch.setitem(migrations.MIGRATIONS, 1, broken)
        with pytest.raises(OrchardError, match="no space left"):
            Lake(home)
    with Lake(home) as lake:
        assert lake.read("rejects").height == 4


def test_a_new_lake_has_todays_format_and_a_later_one_is_refused(tmp_path: Path) -> None:
    with Lake(tmp_path) as lake:
        assert lake.sql("SELECT number FROM formats").rows() == [(migrations.FORMAT,)]
        lake._database.connection.execute("INSERT INTO formats VALUES (99, now())")
    with pytest.raises(OrchardError, match="is of format 99, and this Orchard knows 2: update"):
        Lake(tmp_path)


def test_a_policy_of_the_same_rows_and_settings_is_not_trained_again(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The id of a policy of format 1 is worked out as that format did it."""
    rows = pl.DataFrame({"mark": ["b", "a"], "split": ["train"] * 2})
    settings = TrainingSettings(seeds=(0,))
    said = {k: v for k, v in settings.model_dump(exclude={"seeds"}).items() if k in FORMAT_1}
    said["losses"] = {k: v for k, v in said["losses"].items() if k in FORMAT_1_LOSSES}
    name = content_id("outcome", content_id(["a", "b"], said, "m@1", "0d6232325701"), 0)
    folder = home / once.FOLDER / f"outcome-s0-{name[:8]}"
    folder.mkdir(parents=True)
    empty = tables.empty("rejects").to_dicts()
    note = {"row": {"run_id": name, "seed": 0}, "rejects": empty}
    folder.with_name(f"{folder.name}.json").write_text(json.dumps(note))
    trainer = code_version(once.TRAINER)
    with Lake(home) as lake:
        keep_policies(lake, home, trainer)

    def train(**changes: Any) -> Any:
        own = settings.model_copy(update=changes)
        made = once.Training(
            "outcome", rows, own, Model(home, "m@1"), f"{trainer} and a loss", home
        )
        return once.train_once(made, tables.empty("reference_logps"), 0)[0]

    class Trained(Exception):
        pass

    def trains(*_: Any, **__: Any) -> Any:
        raise Trained

    monkeypatch.setattr("pipeline.training.loop.train", trains)
    assert train()["run_id"] == name
    for changes in ({"beta": 0.2}, {"thoughts": "read"}):
        with pytest.raises(Trained):
            train(**changes)
    monkeypatch.setattr(once, "code_version", lambda *_: "another trainer")
    with pytest.raises(Trained):
        train()
