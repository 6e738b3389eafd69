"""OSP's pairs and the rationale variants, worked out by hand from a few votes,
and what their controls destroy.
"""

import math
from pathlib import Path

import polars as pl
import pytest

from assets.judging import RATIONALES
from pipeline import config, tables
from pipeline.engine.base import Reject
from pipeline.judge import rationales
from pipeline.preferences.build import build
from pipeline.preferences.exchange import exchange
from pipeline.preferences.judged import osp
from pipeline.preferences.registry import registry
from pipeline.steps import Inputs
from pipeline.steps.rejects import reject_rows
from pipeline.store import Commit, Lake
from tests.judge.simulated import frame, prompts, responses, sigmoid, votes
from tests.runs import ScriptedRun, cost_of, write_pairs

SETTINGS = config.load("quick")
VARIANTS = registry(SETTINGS)


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def changed(**judge: object) -> config.Settings:
    return SETTINGS.model_copy(update={"judge": SETTINGS.judge.model_copy(update=judge)})


def star(prompt: str, *strengths: float) -> pl.DataFrame:
    """A fair judge's votes: response i against response 0."""
    rows = [
        vote
        for i, s in enumerate(strengths, start=1)
        for vote in ((f"{prompt}-{i}", f"{prompt}-0", s), (f"{prompt}-0", f"{prompt}-{i}", 1 - s))
    ]
    return votes(rows, prompt_id=prompt, judge_id="j")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path)
    texts = {"p": ["7", "it is 7", "8"], "q": ["7", "9"], "r": ["7", "1"]}
    lake.write("prompts", prompts(*texts), Commit("test"))
    lake.write("responses", responses(texts, lambda text: "7" in text), Commit("test"))
    flipped = votes([("q-0", "q-1", 0.9), ("q-1", "q-0", 0.8)], prompt_id="q")
    foreign = votes(
        [("x", "y", 0.9), ("y", "x", 0.1)], prompt_id="z", source="recorded", origin="f"
    )
    lake.write(
        "votes", pl.concat([star("p", 0.8, 0.3), flipped, star("r", 0.4), foreign]), Commit("test")
    )
    return lake


def test_osp_pairs_carry_the_strength_through_the_baseline_and_a_flip_makes_none(
    lake: Lake,
) -> None:
    pairs = build("osp", lake, SETTINGS)
    found = {(row["chosen_id"], row["rejected_id"]): row["strength"] for row in pairs.to_dicts()}
    assert found == pytest.approx({
        ("p-1", "p-0"): 0.8,
        ("p-0", "p-2"): 0.7,
        ("p-1", "p-2"): sigmoid(logit(0.8) - logit(0.3)),
        ("r-0", "r-1"): 0.6,
    })  # fmt: skip
    row = pairs.filter(pl.col("chosen_id") == "r-0").to_dicts()[0]
    assert (row["chosen"], row["rejected"], row["chosen_ends"], row["policy_id"]) == (
        "7",
        "1",
        True,
        "policy@0",
    )
    assert row["margin"] == pytest.approx(0.2) and not tables.Preferences.filter(pairs)[1].counts()
    assert build("osp", lake, changed(ranks="adjacent")).height == 3


def test_calibrated_strengths_keep_the_order_and_a_judge_below_chance_makes_no_pair(
    lake: Lake,
) -> None:
    # Verified and asked: p-2 lost to p-0, rightly (0.7), and r-1 to r-0, rightly (0.6).
    plain, calibrated = osp(lake, SETTINGS), osp(lake, changed(calibration="temperature"))
    assert calibrated.height == plain.height
    keys = ["chosen_id", "rejected_id"]
    assert set(calibrated.select(keys).rows()) == set(plain.select(keys).rows())
    # the wrong ones win
    lake.write("votes", pl.concat([star("p", 0.5, 0.9), star("r", 0.9)]), Commit("test"))
    assert osp(lake, SETTINGS).height and osp(lake, changed(calibration="temperature")).is_empty()


def soft_loss(pairs: pl.DataFrame) -> float:
    """OSP's soft cross-entropy where a text's log-ratio is its length plus its last digit:
    any function would do.
    """

    def log_ratio(text: str) -> float:
        return 0.3 * len(text) + 0.2 * int(text[-1])

    total = 0.0
    for row in pairs.to_dicts():
        h = log_ratio(row["chosen"]) - log_ratio(row["rejected"])
        total -= row["strength"] * math.log(sigmoid(h)) + (1 - row["strength"]) * math.log(
            sigmoid(-h)
        )
    return total


def test_the_control_of_soft_labels_changes_the_loss_and_exchanging_strengths_too_would_not(
    lake: Lake,
) -> None:
    real, control = build("osp", lake, SETTINGS), build("osp_shuffled", lake, SETTINGS)
    # so strengths stay
    assert soft_loss(exchange(real, control["flipped"])) == pytest.approx(soft_loss(real))
    assert abs(soft_loss(control) - soft_loss(real)) > 0.1
    assert control["flipped"].sum() == real.height // 2 and (control["strength"] > 0.5).all()
    sides = [
        {frozenset(row) for row in rows.select("chosen_id", "rejected_id").rows()}
        for rows in (real, control)
    ]
    assert sides[0] == sides[1]


def test_permuted_strengths_are_the_same_numbers_on_the_same_sides_in_another_order(
    lake: Lake,
) -> None:
    real, control = build("osp", lake, SETTINGS), build("osp_permuted", lake, SETTINGS)
    keys = ["chosen_id", "rejected_id"]
    assert real.sort(keys).select(keys).equals(control.sort(keys).select(keys))
    assert sorted(real["strength"]) == sorted(control["strength"])
    assert real.sort(keys)["strength"].to_list() != control.sort(keys)["strength"].to_list()


def explained(lake: Lake) -> pl.DataFrame:
    pairs = build("outcome", lake, SETTINGS).sort("chosen_id")
    rows = [
        {
            "rationale_id": f"because-{row['chosen_id']}", "prompt_id": row["prompt_id"],
            "chosen_id": row["chosen_id"],
            "rejected_id": row["rejected_id"], "kind": "general", "messages": row["messages"],
            "text": f"of {row['chosen_id']}", "chosen_first": True, "judge_id": "j", "tokens": 1,
            "permuted": False,
        }
        for row in pairs.to_dicts()[:2]
    ]  # fmt: skip
    moved = rationales.permuted(rows, {"p": "train", "q": "train", "r": "train"})
    return frame("rationales", [*rows, *moved])


def test_rationale_pairs_are_those_that_have_one_and_the_control_points_to_another_pairs_text(
    lake: Lake,
) -> None:
    table = explained(lake)
    lake.write("rationales", table, Commit("test"))
    write_pairs(lake, SETTINGS, "outcome")
    real, control = build("rationale", lake, SETTINGS), build("rationale_permuted", lake, SETTINGS)
    assert real.height == control.height == 2 < build("outcome", lake, SETTINGS).height
    text = dict(table.select("rationale_id", "text").iter_rows())
    for row, other in zip(real.to_dicts(), control.to_dicts(), strict=True):
        assert (
            row["chosen_id"] == other["chosen_id"]
            and text[row["rationale_id"]] == f"of {row['chosen_id']}"
        )
        assert text[other["rationale_id"]] != text[row["rationale_id"]]
    assert (
        VARIANTS["rationale"].loss == "rationale"
        and VARIANTS["rationale_permuted"].control_of == "rationale"
    )


def test_rationales_that_were_rejected_are_paid_for_too(lake: Lake) -> None:
    lost = Reject(
        "rationales", "rationales", "x", "empty rationale", {"prompt_id": "r", "tokens": 5}
    )
    lake.write("rationales", explained(lake), Commit("test"), rejects=reject_rows([lost]))
    sampled = lake.read("responses")["tokens"].sum()
    assert cost_of("outcome", lake, SETTINGS) == sampled
    for name in ("rationale", "rationale_permuted"):
        # two of one token; permuted ones cost nothing again
        assert cost_of(name, lake, SETTINGS) == sampled + 2 + 5
    # four pairs in both orders; imported votes cost nothing here
    assert cost_of("osp", lake, SETTINGS) == sampled + 2 * 4


def test_only_pairs_that_a_variant_of_the_profile_wants_are_explained(lake: Lake) -> None:
    def wanted(*names: str) -> int:
        validation = SETTINGS.validation.model_copy(update={"variants": names})
        run = ScriptedRun(lake, SETTINGS.model_copy(update={"validation": validation}))
        assert RATIONALES.per is not None
        return RATIONALES.per.units(Inputs(run, RATIONALES)).height

    write_pairs(lake, SETTINGS, "outcome", "osp")
    assert wanted("rationale", "rationale_permuted") == build("outcome", lake, SETTINGS).height
    assert wanted("osp_rationale") == build("osp", lake, SETTINGS).height
    assert wanted("rationale", "osp_rationale") > wanted("osp_rationale")


def test_strength_is_set_against_verified_truth_where_there_is_one(lake: Lake) -> None:
    lake.write(
        "preferences",
        pl.concat([build(name, lake, SETTINGS) for name in ("osp", "osp_shuffled")]),
        Commit("test"),
    )
    rows = lake.query_file("strength_truth").filter(pl.col("variant") == "osp")
    # told apart: p-0 (right) over p-2 at 0.7, p-1 (right) over p-2 at 0.903, r-0 (right) over r-1
    # at 0.6
    assert rows.select("strength_from", "pairs", "share_right").rows() == [
        (0.6, 1, 1.0),
        (0.7, 1, 1.0),
        (0.9, 1, 1.0),
    ]


def test_win_rates_and_copeland_ranks_by_hand(lake: Lake) -> None:
    rows = lake.query_file("win_rates").filter(pl.col("prompt_id") == "p").to_dicts()
    # p-1 beats p-0 (0.8), p-0 beats p-2 (0.7)
    found = {
        row["response_id"]: (round(row["win_rate"], 6), row["copeland"], row["copeland_rank"])
        for row in rows
    }
    assert found == {"p-1": (0.8, 1, 1), "p-0": (0.45, 0, 2), "p-2": (0.3, -1, 3)}


def test_a_cycle_is_found_once_and_tagged_with_the_criteria_that_make_it(lake: Lake) -> None:
    circle = [("a", "b", 0.9), ("b", "a", 0.1), ("b", "c", 0.9), ("c", "b", 0.1)]
    closing = [("c", "a", 0.9), ("a", "c", 0.1)]
    rows = pl.concat(
        [
            votes([*circle, *closing], prompt_id="one", criterion="x"),
            votes(circle, prompt_id="two", criterion="x"),
            votes(closing, prompt_id="two", criterion="y"),
            votes([*circle, ("a", "c", 0.9), ("c", "a", 0.1)], prompt_id="none"),
        ]
    )
    lake.write("votes", rows, Commit("test"))
    found = lake.query_file("vote_cycles").drop("judge_id").rows()
    assert found == [("one", "a", "b", "c", ["x"], ["x"]), ("two", "a", "b", "c", ["x", "y"], [])]


def test_a_cycle_by_three_criteria_is_one_row_that_names_them(lake: Lake) -> None:
    circle = [
        ("a", "b", 0.9),
        ("b", "a", 0.1),
        ("b", "c", 0.9),
        ("c", "b", 0.1),
        ("c", "a", 0.9),
        ("a", "c", 0.1),
    ]
    one_edge = circle[:2]
    rows = [votes(circle, criterion=name) for name in "xyz"] + [votes(one_edge, criterion="w")]
    lake.write("votes", pl.concat(rows), Commit("test"))
    (found,) = lake.query_file("vote_cycles").to_dicts()
    assert (found["criteria"], found["alone"]) == (["w", "x", "y", "z"], ["x", "y", "z"])


def test_a_pair_whose_orders_disagree_is_no_win_and_closes_no_cycle(lake: Lake) -> None:
    """Every pair goes to the first seat (or is a tie in one order),
    its mean leaning as in a circle.
    """
    seats = [
        ("a", "b", 0.9),
        ("b", "a", 0.6),
        ("b", "c", 0.9),
        ("c", "b", 0.6),
        ("c", "a", 0.9),
        ("a", "c", 0.5),
    ]
    lake.write("votes", votes(seats, prompt_id="seats"), Commit("test"))
    assert lake.query_file("vote_cycles").is_empty()
    rows = lake.query_file("win_rates").select("win_rate", "copeland", "copeland_rank").rows()
    assert rows == [(0.5, 0, 1)] * 3


def test_no_votes_and_no_rationales_give_no_pairs(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    for name in (
        "osp",
        "osp_shuffled",
        "osp_permuted",
        "rationale",
        "rationale_permuted",
        "osp_rationale",
    ):
        assert build(name, lake, SETTINGS).is_empty()
