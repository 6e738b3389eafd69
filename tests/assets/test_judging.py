"""The judge's assets in Dagster over a scripted engine: what is made, what is skipped, and what stops a build."""

from pathlib import Path

import dagster as dg
import polars as pl
import pytest
import yaml

from assets.checks import CHECKS
from assets.judging import judges, rationales_asset, votes_asset
from assets.preferences import preferences
from assets.running import _cause
from assets.workshop import Workshop
from pipeline.engine.model import Model
from pipeline.engine.rendering import Renderer
from pipeline.engine.room import EngineRoom
from pipeline.store import Commit, Lake
from tests.conftest import TINY
from tests.judge.simulated import SimulatedJudge, prompts, responses

Result = dg.ExecuteInProcessResult
TEXTS = {f"p{i}": ["7", f"wrong {i}"] for i in range(40)}


def materialise(
    home: Path, judge: SimulatedJudge, variants: list[str], **settings: object
) -> dg.ExecuteInProcessResult:
    profile = yaml.safe_load(TINY.read_text())
    profile["validation"]["variants"] = variants
    profile["judge"] = {"must_answer": False, **settings}
    path = home / "profile.yaml"
    path.write_text(yaml.safe_dump(profile))
    assets = [votes_asset, judges, rationales_asset, preferences, *CHECKS]
    shop = Workshop(profile=str(path))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ORCHARD_HOME", str(home))
        patch.setattr(EngineRoom, "engine", lambda self, model: judge)
        patch.setattr(Workshop, "base", Model(home, judge.policy_id))
        patch.setattr(Renderer, "length", lambda self, text: len(text))  # no tokenizer: a token is a character
        return dg.materialize(assets, resources={"shop": shop}, raise_on_error=False)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with Lake(tmp_path) as lake:
        lake.write("prompts", prompts(*TEXTS), Commit("test", fingerprint="p"))
        lake.write("responses", responses(TEXTS, lambda text: text == "7"), Commit("test", fingerprint="r"))
    return tmp_path


def fair(first: str, second: str) -> float:
    return 1.0 if first == "7" else -1.0


def rows(home: Path, table: str) -> pl.DataFrame:
    with Lake(home) as lake:
        return lake.read(table)


def test_a_fair_judge_makes_votes_a_card_and_pairs_and_a_second_run_writes_nothing(home: Path) -> None:
    assert materialise(home, SimulatedJudge(fair), ["osp", "osp_shuffled"]).success
    assert (rows(home, "votes").height, rows(home, "judges").height) == (80, 1)
    assert rows(home, "judges")["accuracy"].to_list() == [1.0] and rows(home, "rationales").is_empty()
    counts = rows(home, "preferences").group_by("variant").len().sort("variant").rows()
    assert counts == [("osp", 40), ("osp_shuffled", 40)]
    with Lake(home) as lake:
        before = [lake.version(table) for table in ("votes", "judges", "preferences")]
    assert materialise(home, SimulatedJudge(lambda first, second: 1 / 0), ["osp", "osp_shuffled"]).success
    with Lake(home) as lake:
        assert [lake.version(table) for table in ("votes", "judges", "preferences")] == before


def test_a_judge_with_a_favourite_seat_stops_the_build_and_the_check_says_what_to_change(home: Path) -> None:
    def seat(first: str, second: str) -> float:
        return fair(first, second) + 2.0

    stopped = materialise(home, SimulatedJudge(seat), ["osp"])
    assert not stopped.success and rows(home, "preferences").is_empty() and rows(home, "judges").height == 1
    (check,) = [e for e in stopped.get_asset_check_evaluations() if e.check_name == "judges_are_fair"]
    assert not check.passed and check.severity == dg.AssetCheckSeverity.ERROR
    for word in ("favours the first seat", "100% of its pairs flip", "seat_correction", "judge.on_bias: warn"):
        assert word in (check.description or "")
    assert _cause(stopped).startswith("judges_are_fair: judge judge@0 on 'overall': 100% of its pairs flip")
    warned = materialise(home, SimulatedJudge(seat), ["osp"], on_bias="warn")
    assert warned.success and rows(home, "preferences").is_empty()  # every pair flips: no pair has a strength
    corrected = materialise(home, SimulatedJudge(seat), ["osp"], seat_correction=True)
    assert corrected.success and rows(home, "preferences").height == 40


def test_where_no_variant_uses_votes_nobody_is_asked_and_no_bias_stops_anything(home: Path) -> None:
    judge = SimulatedJudge(fair)
    assert materialise(home, judge, ["outcome"]).success
    assert not judge.asked and rows(home, "votes").is_empty() and rows(home, "preferences").height == 40
