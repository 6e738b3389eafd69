"""Further policies in a run: who is sampled for what, and what is made of their responses."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from assets.judging import JUDGES
from assets.policies import POLICY_RESPONSES, POLICY_VOTES
from assets.sampling import RESPONSES
from assets.steps import GRAPH
from pipeline import config
from pipeline.config import Settings
from pipeline.engine.base import Completion
from pipeline.errors import OrchardError
from pipeline.preferences.build import build
from pipeline.steps import StepReport
from pipeline.steps.recipe import base_recipe
from pipeline.steps.run import step_name
from pipeline.store import Commit, Lake
from tests.judge.simulated import SimulatedJudge
from tests.runs import ScriptedRun, cost_of, make
from tests.scripted import ScriptedEngine
from tests.test_responses import prompts

# What each policy answers to both prompts, draw by draw: right is 7.
SAID = {
    "m@0": ["It is 7.", "It is 8.", "Nine"],
    "big@0": ["It is 7.", "## Sum\n- 7", "### No\n1. 6"],
    "small@0": ["8", "9", "```\n7\n```"],
}


class Policy(ScriptedEngine):
    """Says its texts in turn; its tokens are none that its texts give back."""

    def __init__(self, policy_id: str) -> None:
        self.policy_id = policy_id
        super().__init__(lambda prefix, sampling, n: SAID[policy_id][n])
        self.policy_id = policy_id

    def reads_back(self, completion: Completion) -> bool:
        return False

    @property
    def draws(self) -> int:
        """How many were asked for, and forgets them."""
        asked = sum(len(seeds) for _, _, seeds in self.calls)
        self.calls.clear()
        return asked


class Judge(SimulatedJudge):
    """Prefers the longer text, without regard to the seat."""

    def __init__(self) -> None:
        super().__init__(lambda a, b: 0.1 * (len(a) - len(b)), "judge@0")


BIG = {"name": "big", "model": {"name": "big@0"}}
SMALL = {"name": "small", "model": {"name": "small@0"}}


def settings(*policies: dict[str, Any], **changes: Any) -> Settings:
    base = config.load("quick").model_dump()
    base["sampling"] |= {"n": 3, "near_duplicate": 1.0}
    judge = {"models": [{"name": "judge@0"}], "must_answer": False, "pairing": "round_robin"}
    base["judge"] |= {**judge, "contexts": 0}
    return Settings(**{**base, "policies": policies, **changes})


BOTH = settings(BIG, SMALL, delta={"better": "big"})
Made = tuple[Lake, dict[str, StepReport]]


def new_engines() -> list[Any]:
    return [*(Policy(name) for name in SAID), Judge()]


def asked(lake: Lake, *names: str) -> Lake:
    lake.write("prompts", prompts(*names), Commit("test", fingerprint="".join(names)))
    return lake


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """A lake with the responses of three policies to two prompts, and votes on all; read it."""
    with Lake(tmp_path_factory.mktemp("policies")) as lake:
        run = ScriptedRun(asked(lake, "a", "b"), BOTH, *new_engines())
        yield lake, make(run, RESPONSES, POLICY_RESPONSES, POLICY_VOTES, JUDGES)


def test_a_policy_that_is_added_or_changed_is_sampled_alone(tmp_path: Path) -> None:
    engines = new_engines()
    with Lake(tmp_path) as lake:
        asked(lake, "a", "too long")

        def sampled(*policies: dict[str, Any]) -> tuple[dict[str, str], list[int]]:
            reports = make(
                ScriptedRun(lake, settings(*policies), *engines), RESPONSES, POLICY_RESPONSES
            )
            return {n: r.status for n, r in reports.items()}, drawn(engines)

        alone, draws = sampled()
        assert set(alone) == {"responses"} and draws[1:] == [0, 0]
        before = build("outcome", lake, settings())
        both, draws = sampled(BIG, SMALL)
        assert both["responses"] == "up to date" and draws == [0, draws[1], draws[1]]
        assert build("outcome", lake, settings(BIG, SMALL)).equals(before) and before.height
        rejects = lake.read("rejects").filter(pl.col("table") == "policy_responses")
        assert sorted(rejects.select("step", "row_id").rows()) == [
            ("policy_responses big", "too long"), ("policy_responses small", "too long"),
        ]  # fmt: skip
        warmer = {**BIG, "sampling": {"temperature": 1.0}}
        changed, draws = sampled(warmer, SMALL)
        assert changed == {
            "responses": "up to date",
            "policy_responses big": "written",
            "policy_responses small": "up to date",
        }
        assert draws[0] == draws[2] == 0 < draws[1]
        other = {**BIG, "model": {"name": "big@0", "dtype": "float32"}}
        assert sampled(other)[1][1] > 0
        assert set(lake.read("policy_responses")["policy"]) == {"big"}  # small is asked no more


def drawn(engines: Sequence[Any]) -> list[int]:
    return [engine.draws for engine in engines if isinstance(engine, Policy)]


def test_rows_name_their_policy_and_hold_no_token_of_another_vocabulary(made: Made) -> None:
    lake, _ = made
    rows = lake.read("policy_responses").sort("policy", "prompt_id", "draw")
    assert rows.select("policy", "policy_id", "on_policy").unique().sort("policy").rows() == [
        ("big", "big@0", False), ("small", "small@0", False),
    ]  # fmt: skip
    assert rows["text"].to_list() == [*SAID["big@0"] * 2, *SAID["small@0"] * 2]
    assert rows["token_ids"].null_count() == rows.height == 12
    assert lake.read("responses")["token_ids"].null_count() == 0
    pairs = build("delta", lake, BOTH)
    assert pairs["chosen_token_ids"].null_count() == pairs.height > 0
    assert pairs["rejected_token_ids"].null_count() == 0  # the trained policy's own


def sides(name: str, lake: Lake, chosen: Settings) -> list[tuple[str, str, str]]:
    rows = build(name, lake, chosen).sort("prompt_id", "chosen", "rejected")
    return rows.select("prompt_id", "chosen", "rejected").rows()


def test_delta_prefers_one_policy_and_takes_no_text_that_both_gave(made: Made) -> None:
    """By hand: `It is 7.` is said by both, so two texts a side are left for each prompt."""
    lake, _ = made
    found = sides("delta", lake, BOTH)
    assert {(chosen, rejected) for _, chosen, rejected in found} <= {
        (a, b) for a in SAID["big@0"][1:] for b in SAID["m@0"][1:]
    }
    assert sorted(prompt for prompt, *_ in found) == ["a", "a", "b", "b"]
    for side in (1, 2):
        assert len({(row[0], row[side]) for row in found}) == 4  # each text once
    turned = settings(BIG, delta={"better": "base", "worse": "big"})
    assert sorted(sides("delta", lake, turned)) == sorted((p, r, c) for p, c, r in found)


def test_the_control_of_delta_exchanges_half_of_the_sides(made: Made) -> None:
    right, control = (build(name, made[0], BOTH) for name in ("delta", "delta_shuffled"))
    assert control["flipped"].sum() == right.height // 2 == 2
    both = [set(one.select("chosen_id", "rejected_id").rows()) for one in (right, control)]
    assert len(both[0] & both[1]) == 2 == len({(b, a) for a, b in both[0]} & both[1])
    assert right["strength"].null_count() == right.height  # nobody knows how sure it is
    assert right["policy_id"].null_count() == right.height  # its sides are of two policies


def test_off_policy_pairs_are_right_over_wrong_within_one_policy(made: Made) -> None:
    found = {row[1:] for row in sides("off_policy", made[0], BOTH)}
    big = {(a, SAID["big@0"][2]) for a in SAID["big@0"][:2]}
    small = {(SAID["small@0"][2], b) for b in SAID["small@0"][:2]}
    assert found <= big | small and found & big and found & small
    pairs = build("off_policy", made[0], BOTH)
    assert pairs.height == 4 and set(pairs["policy_id"]) == {"big@0", "small@0"}


def test_the_best_of_all_policies_is_set_against_the_worst(made: Made) -> None:
    """The judge likes length, and is asked about every pair of eight different texts."""
    texts = {text for own in SAID.values() for text in own}
    best, worst = max(texts, key=len), min(texts, key=len)
    found = sides("best_of_policies", made[0], BOTH)
    assert [(p, c) for p, c, _ in found] == [("a", best), ("b", best)]
    assert all(len(rejected) == len(worst) for *_, rejected in found)
    votes = made[0].read("policy_votes")
    assert votes.height == 2 * len(texts) * (len(texts) - 1)
    assert set(votes["origin"]) == {"policies"}


def test_judges_have_a_card_for_pairs_across_policies(made: Made) -> None:
    (card,) = made[0].read("judges").to_dicts()
    assert (card["judge_id"], card["origin"], card["flip_rate"]) == ("judge@0", "policies", 0.0)
    assert card["n_labelled"] > 0  # by the verifier, across policies


def test_length_and_style_are_told_of_each_policy(made: Made) -> None:
    shown = made[1]["policy_responses small"].shown["length_and_style"]
    about = shown.select(
        "policy", "responses", "mean_characters", "share_right", "share_with_lists",
        "share_with_headings", "share_with_code_blocks",
    )  # fmt: skip
    assert about.rows() == [
        ("base", 6, 6.7, 0.333, 0.0, 0.0, 0.0),
        ("big", 6, 9.7, 0.667, 0.667, 0.667, 0.0),
        ("small", 6, 3.7, 0.333, 0.0, 0.0, 0.333),
    ]
    assert made[1]["responses"].shown["length_and_style"]["policy"].to_list() == ["base"]


def test_a_variant_costs_the_responses_of_its_own_policies(made: Made) -> None:
    lake, _ = made
    small = settings(BIG, SMALL, delta={"better": "big", "worse": "small"})
    total = lake.read("policy_responses")["tokens"].sum()
    assert cost_of("delta", lake, small) == cost_of("off_policy", lake, BOTH) == total
    big = lake.read("policy_responses").filter(policy="big")["tokens"].sum()
    assert cost_of("delta", lake, BOTH) == big + lake.read("responses")["tokens"].sum()


def test_what_is_declared_is_sampled_and_a_profile_without_policies_makes_nothing() -> None:
    def needed(*variants: str, **changes: Any) -> set[str]:
        own = settings(**changes)
        chosen = own.validation.model_copy(update={"variants": variants})
        return GRAPH.needed(own.model_copy(update={"validation": chosen}))

    assert not {"policy_responses", "policy_votes"} & needed("outcome")
    own = {"policies": [BIG]}
    assert "policy_responses" in needed("outcome", **own)
    assert "policy_votes" not in needed("delta", **own, delta={"better": "big"})
    assert {"policy_votes", "judges", "votes"} <= needed("best_of_policies", **own)


def test_no_recipe_of_another_step_moves_when_a_policy_is_added(made: Made) -> None:
    """Whichever variants of ours a profile compares, votes and report cards among them."""

    def recipes(*policies: dict[str, Any]) -> dict[str, str]:
        own = Settings(**{**config.load("every").model_dump(), "policies": policies})
        run = ScriptedRun(made[0], own, *new_engines())
        needed = [GRAPH.steps[name] for name in sorted(GRAPH.needed(own))]
        parts = [(s, p) for s in needed if s.table for p in (s.parts(own) if s.parts else [None])]
        return {step_name(s, p): base_recipe(s, run, p) for s, p in parts}

    before, after = recipes(), recipes(BIG)
    assert {name: own for name, own in after.items() if name in before} == before
    assert set(after) - set(before) == {"policy_responses big"}


def test_one_model_under_two_names_is_refused(made: Made) -> None:
    """Other folders may hold the same weights: every model here is `m@0`."""
    with pytest.raises(OrchardError, match=r"'big' and 'base' are one model \(m@0\): leave one"):
        ScriptedRun(made[0], settings(BIG), policy="m@0").check_policies()
    ScriptedRun(made[0], settings(), policy="m@0").check_policies()
