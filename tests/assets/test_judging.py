"""The judge's assets in Dagster over a scripted engine:
what is made, what is skipped, and what stops a build.
"""

import json
import math
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
import yaml

from assets.causes import cause
from assets.checks import CHECKS
from assets.cli.importing import bring
from assets.variants import KEYS, span
from pipeline import config
from pipeline.config import JudgeSettings
from pipeline.engine.model import Model
from pipeline.engine.room import EngineRoom
from pipeline.errors import OrchardError
from pipeline.rewards.texts import Conversations, Said
from pipeline.steps import RunContext
from pipeline.store import Commit, Lake
from tests import runs
from tests.conftest import TINY
from tests.judge.simulated import SimulatedJudge, prompts, responses, sigmoid

Result = dg.ExecuteInProcessResult
STEPS = (
    "votes", "principles", "judge_contexts", "judges", "rationales", "permuted_rationales",
    "preferences", "treated_preferences",
)  # fmt: skip
TEXTS = {f"p{i}": ["7", f"wrong {i}"] for i in range(40)}


def materialise(
    home: Path, *judges_: SimulatedJudge, variants: list[str], **settings: object
) -> Result:
    """A run of the judge's assets.

    Several judges stand for `judge.models`, the first of them is the policy too.
    """
    profile = yaml.safe_load(TINY.read_text())
    profile["validation"]["variants"] = variants
    own = {"models": [{"name": judge.policy_id} for judge in judges_]} if len(judges_) > 1 else {}
    profile["judge"] = {"must_answer": False, **own, **settings}
    path = home / "profile.yaml"
    path.write_text(yaml.safe_dump(profile))
    return runs.materialise(
        home, path, STEPS, *judges_, checks=CHECKS, raise_on_error=False, tags=span(KEYS)
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with Lake(tmp_path) as lake:
        lake.write("prompts", prompts(*TEXTS), Commit("test", fingerprint="p"))
        lake.write(
            "responses", responses(TEXTS, lambda text: text == "7"), Commit("test", fingerprint="r")
        )
    return tmp_path


def fair(first: str, second: str) -> float:
    return 1.0 if first == "7" else -1.0


def rows(home: Path, table: str) -> pl.DataFrame:
    with Lake(home) as lake:
        return lake.read(table)


def test_a_fair_judge_makes_votes_a_card_and_pairs_and_a_second_run_writes_nothing(
    home: Path,
) -> None:
    assert materialise(home, SimulatedJudge(fair), variants=["osp", "osp_shuffled"]).success
    assert (rows(home, "votes").height, rows(home, "judges").height) == (80, 1)
    assert (
        rows(home, "judges")["accuracy"].to_list() == [1.0] and rows(home, "rationales").is_empty()
    )
    counts = rows(home, "preferences").group_by("variant").len().sort("variant").rows()
    assert counts == [("osp", 40), ("osp_shuffled", 40)]
    with Lake(home) as lake:
        before = [lake.version(table) for table in ("votes", "judges", "preferences")]
    assert materialise(
        home, SimulatedJudge(lambda first, second: 1 / 0), variants=["osp", "osp_shuffled"]
    ).success
    with Lake(home) as lake:
        assert [lake.version(table) for table in ("votes", "judges", "preferences")] == before


def test_a_judge_with_a_favourite_seat_stops_the_build_and_the_check_says_what_to_change(
    home: Path,
) -> None:
    def seat(first: str, second: str) -> float:
        return fair(first, second) + 2.0

    stopped = materialise(home, SimulatedJudge(seat), variants=["osp"])
    assert (
        not stopped.success
        and rows(home, "preferences").is_empty()
        and rows(home, "judges").height == 1
    )
    (check,) = [
        e for e in stopped.get_asset_check_evaluations() if e.check_name == "judges_are_fair"
    ]
    assert not check.passed and check.severity == dg.AssetCheckSeverity.ERROR
    for word in (
        "favours the first seat",
        "100% of its pairs flip",
        "seat_correction",
        "judge.on_bias: warn",
    ):
        assert word in (check.description or "")
    assert cause(stopped.all_events).startswith(
        "judges_are_fair: judge judge@0 on 'overall': 100% of its pairs flip"
    )
    warned = materialise(home, SimulatedJudge(seat), variants=["osp"], on_bias="warn")
    # every pair flips: no pair has a strength
    assert warned.success and rows(home, "preferences").is_empty()
    corrected = materialise(home, SimulatedJudge(seat), variants=["osp"], seat_correction=True)
    assert corrected.success and rows(home, "preferences").height == 40


def past(home: Path, flips: int) -> None:
    """Imports a judge's votes on the 40 sampled pairs:
    of so many both orders name the first seat, the others agree.
    """
    rows_ = []
    for i in range(40):
        one = {"first_id": f"p{i}-0", "second_id": f"p{i}-1", "judge_id": "past", "p_first": 0.9}
        other = {"first_id": f"p{i}-1", "second_id": f"p{i}-0", "judge_id": "past"}
        rows_ += [one, {**other, "p_first": 0.9 if i < flips else 0.1}]
    file = home / "past.jsonl"
    file.write_text("\n".join(map(json.dumps, rows_)))
    bring(file, JudgeSettings())


def fairness(result: Result) -> dg.AssetCheckEvaluation:
    (check,) = [
        e for e in result.get_asset_check_evaluations() if e.check_name == "judges_are_fair"
    ]
    return check


def test_an_imported_judge_of_sampled_pairs_is_held_to_the_same_rule(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHARD_HOME", str(home))
    past(home, flips=30)
    stopped = materialise(home, SimulatedJudge(fair), variants=["osp"])
    assert not stopped.success and rows(home, "preferences").is_empty()
    said = fairness(stopped).description or ""
    assert said.startswith(
        "judge past on 'overall' (imported from past.jsonl): 75% of its pairs flip with the order"
    )
    assert "favours the first seat" in said and "leave its rows out of the file" in said
    past(home, flips=0)
    assert materialise(home, SimulatedJudge(fair), variants=["osp"]).success


def test_an_imported_judge_of_foreign_pairs_stops_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHARD_HOME", str(home))
    votes = [
        {"prompt": f"q{i}", "first": one, "second": other, "judge_id": "past", "p_first": 0.9}
        for i in range(40)
        for one, other in (("x", "y"), ("y", "x"))
    ]
    (home / "foreign.jsonl").write_text("\n".join(map(json.dumps, votes)))
    assert bring(home / "foreign.jsonl", JudgeSettings()).cards["flip_rate"].to_list() == [1.0]
    assert materialise(home, SimulatedJudge(fair), variants=["osp"]).success


def test_a_judge_of_whose_votes_none_is_left_stops_the_build_and_each_is_named(home: Path) -> None:
    judges_ = [
        SimulatedJudge(fair, "one@0", says="I"),
        SimulatedJudge(fair, "two@0"),
        SimulatedJudge(fair, "three@0"),
    ]
    judges_[2].odds = lambda first, second: math.nan
    stopped = materialise(home, *judges_, variants=["osp"], must_answer=True)
    assert not stopped.success and rows(home, "preferences").is_empty()
    said = fairness(stopped).description or ""
    assert (
        "no vote is left of 40 that were asked for, for example: "
        "judge one@0 on 'overall': the judge answered" in said
    )
    assert (
        "judge three@0 on 'overall': the judge's probabilities are no numbers" in said
        and "two@0" not in said
    )
    dropped = rows(home, "rejects").filter(table="votes")
    assert dropped.height == dropped["reject_id"].n_unique() == 80  # forty pairs, two judges
    assert materialise(home, *judges_, variants=["osp"], must_answer=True, on_bias="warn").success


def test_a_judge_that_is_listed_twice_is_refused_with_one_clear_line(
    home: Path, model: Model
) -> None:
    profile = yaml.safe_load(TINY.read_text())
    profile["judge"] = {"models": [{"name": str(model.path)}, {"name": f"{model.path}/"}]}
    (home / "profile.yaml").write_text(yaml.safe_dump(profile))
    with pytest.raises(
        OrchardError,
        match=r"^judge.models: '.*' and '.*/' are one model \(.*@.*\): leave one of them",
    ):
        settings = config.load(str(home / "profile.yaml"))
        with Lake(home) as lake:
            RunContext(settings, lake, EngineRoom(settings, home), home).models("judges")


def test_where_no_variant_uses_votes_nobody_is_asked_and_no_bias_stops_anything(home: Path) -> None:
    judge = SimulatedJudge(fair)
    assert materialise(home, judge, variants=["outcome"]).success
    assert (
        not judge.asked
        and rows(home, "votes").is_empty()
        and rows(home, "preferences").height == 40
    )


def test_several_judges_vote_each_under_its_own_name_and_their_strengths_are_combined(
    home: Path,
) -> None:
    judges_ = [SimulatedJudge(fair, "one@0"), SimulatedJudge(lambda a, b: 3 * fair(a, b), "two@0")]
    assert materialise(home, *judges_, variants=["osp"]).success
    assert rows(home, "votes").group_by("judge_id").len().sort("judge_id").rows() == [
        ("one@0", 80),
        ("two@0", 80),
    ]
    assert rows(home, "judges")["judge_id"].sort().to_list() == ["one@0", "two@0"]
    # mean of 1 and 3
    assert rows(home, "preferences")["strength"].to_list() == pytest.approx([sigmoid(2.0)] * 40)


def test_without_responses_there_are_no_votes_and_nothing_fails(tmp_path: Path) -> None:
    assert materialise(
        tmp_path, SimulatedJudge(fair), variants=["osp", "rationale", "rationale_permuted"]
    ).success
    assert rows(tmp_path, "votes").is_empty() and rows(tmp_path, "preferences").is_empty()


def test_rationales_are_made_for_the_variants_that_want_them_and_the_control_gets_other_texts(
    home: Path,
) -> None:
    class Writer(SimulatedJudge):
        async def sample(self, prompt, sampling, seeds):
            asked = prompt.messages[-1]["content"]
            better = asked.split("Response ")[1][0]
            return [self._complete(f"{better} of {asked.split('wrong ')[1].split()[0]}", sampling)]

        async def verdict(self, prompt, words):
            argues_for_a = "\n\nA of" in prompt.messages[-1]["content"]
            return [0.9, 0.1] if argues_for_a else [0.1, 0.9]

    variants = ["rationale", "rationale_permuted"]
    assert materialise(home, Writer(fair), variants=variants).success
    made = rows(home, "rationales").group_by("permuted").len().sort("permuted").rows()
    assert made == [(False, 40), (True, 40)]
    counts = dict(rows(home, "preferences").group_by("variant").len().iter_rows())
    # the source's pairs stand there too
    assert counts == {"outcome": 40, "rationale": 40, "rationale_permuted": 40}
    pairs = rows(home, "preferences").filter(pl.col("variant").is_in(variants))
    assert pairs.height == 80 and pairs["rationale_id"].n_unique() == 80
    assert rows(home, "votes").is_empty()  # no variant here is made from votes


def test_principles_and_reversed_contexts_are_made_where_a_variant_wants_them_and_once_only(
    home: Path,
) -> None:
    class Annotator(SimulatedJudge):
        """Finds "7" exact and all else not; reads the question of a reversed context."""

        async def sample(self, prompt, sampling, seeds):
            asked = prompt.messages[-1]["content"]
            said = "Exact and to the point."
            if "List the principles" in asked:
                good = "Response:\n7\n" in asked
                said = f'exactness | {"yes" if good else "no"} | "exact and to the point"'
            return [self._complete(said, sampling)]

        async def verdict(self, prompt, words):
            asked = prompt.messages[-1]["content"]
            if words == (" Yes", " No"):
                return [0.9, 0.1] if "Response:\n7\n" in asked else [0.2, 0.8]
            sign = -1 if "shorter" in asked or "fails" in asked else 1
            by_length = "longer" in asked or "shorter" in asked
            self.odds = lambda a, b: sign * (len(a) - len(b) if by_length else fair(a, b))
            return await super().verdict(prompt, words)

    variants = ["principles", "principles_shuffled", "principles_permuted"]
    judge = Annotator(fair)
    assert materialise(
        home, judge, variants=variants, contexts=5, principles={"max_prompts": 10}
    ).success
    named = rows(home, "principles")
    assert (
        named.height == 10 * 2 * 2
        and named["group_id"].null_count() == 0
        and named["group_id"].n_unique() == 10
    )
    counts = dict(rows(home, "preferences").group_by("variant").len().iter_rows())
    # one principle for all: none to exchange
    assert counts == {"principles": 10, "principles_shuffled": 10}
    pairs = rows(home, "preferences").filter(variant="principles")
    assert set(pairs["chosen"]) == {"7"} and pairs["strength"].to_list() == pytest.approx(
        [36 / 37] * 10
    )
    asked = rows(home, "judge_contexts")
    assert asked.group_by("kind").len().sort("kind").rows() == [("length", 10), ("principle", 10)]
    assert asked["points"].mean() == 1.0
    before = len(judge.asked)
    assert materialise(
        home, judge, variants=variants, contexts=5, principles={"max_prompts": 10}
    ).success
    assert len(judge.asked) == before
    assert materialise(home, judge, variants=["osp"], contexts=5).success
    card = rows(home, "judges").to_dicts()[0]
    assert (card["context_accuracy"], card["n_contexts"]) == (1.0, 10)


def shortest(texts: Conversations, _: object) -> Said:
    return Said("rm", {key: -float(len(turns[-1]["content"])) for key, turns in texts.items()}, {})


def test_a_reward_model_votes_beside_a_judge_that_answers_and_is_asked_nothing(home: Path) -> None:
    judges_ = [SimulatedJudge(fair, "one@0"), SimulatedJudge(lambda a, b: 1 / 0, "rm@0")]
    models = [{"name": "one@0"}, {"name": "rm@0", "kind": "reward"}]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.judge.kinds.reward.reward_model", lambda *_: shortest)
        assert materialise(home, *judges_, variants=["osp"], models=models, contexts=3).success
    found = (
        rows(home, "votes")
        .group_by("judge_id", "method", "criterion")
        .len()
        .sort("judge_id")
        .rows()
    )
    assert found == [("one@0", "pairwise", "overall", 80), ("rm@0", "scores", "reward", 80)]
    assert set(rows(home, "judge_contexts")["judge_id"]) == {"one@0"}
