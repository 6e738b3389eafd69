"""`orchard import` of public layouts: what it prints, what it stores, and a layout of a user's."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from assets.cli.main import app
from pipeline import extensions
from pipeline.shipped import ROOT
from pipeline.store import Lake

FOLDER = Path(__file__).parent / "data" / "layouts"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ORCHARD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def shown(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["import", *arguments])
    assert result.exit_code == 0, result.output
    return " ".join(result.stdout.split())


def test_a_list_and_its_pairs_are_stored_and_counted(home: Path) -> None:
    said = shown(str(FOLDER / "nectar.jsonl"))
    assert "recognised: Nectar" in said
    assert "0 votes, 6 pairs, 1 rejected rows, 0 repeats; 2 of 3 rows gave something" in said
    assert "2 prompts, 6 responses, 1 ties" in said
    assert "replaces 6 pairs and 6 responses" in shown(str(FOLDER / "nectar.jsonl"))
    with Lake(home) as lake:
        assert lake.read("recorded_pairs").height == lake.read("recorded_responses").height == 6
        reasons = set(lake.read("rejects")["reason"])
    assert "answers is no list of responses" in reasons


def test_ratings_bring_the_annotators_report_card(home: Path) -> None:
    said = shown(str(FOLDER / "helpsteer.jsonl"))
    assert "HelpSteer annotators, helpfulness: " in said
    assert "HelpSteer annotators, verbosity: " in said


def test_a_layout_of_a_users_own_is_one_file(home: Path, tmp_path: Path) -> None:
    row = {"question": "Name a fruit.", "one": "Chair.", "two": "Apple."}
    rows = [{**row, "stars_one": 1, "stars_two": 5}, {**row, "stars_one": 1}]
    path = tmp_path / "stars.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    try:
        said = shown(str(path), "--profile", str(ROOT / "examples" / "extensions.yaml"))
    finally:
        extensions.unload()
    assert "recognised: answers with stars" in said and "1 pairs, 1 rejected rows" in said
    with Lake(home) as lake:
        (pair,) = lake.read("recorded_pairs").to_dicts()
    better = ("first", "second")[pair["label"] == 0]
    assert (pair[better], pair[f"{better}_score"]) == ("Apple.", 5.0)
