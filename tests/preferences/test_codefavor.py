"""Pairs of code by hand: as the critic says, as execution decides, by length, in both orders."""

from pathlib import Path

import polars as pl
import pytest

from pipeline import config, tables
from pipeline.preferences.build import build
from pipeline.preferences.codefavor import by_length
from pipeline.preferences.registry import registry
from pipeline.store import Commit, Lake

SETTINGS = config.load("quick")
VARIANTS = registry(SETTINGS)


def fenced(code: str) -> str:
    return f"```python\n{code}\n```"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    common = {
        "split": "train", "messages": [{"role": "user", "content": "task"}], "instruction": "task",
        "criteria": "fast",
        "feedback": "[ATTEMPT_2]", "source": "s", "licence": "MIT", "policy_id": "m",
        "draft_id": "m", "tokens": 10,
        "naive_findings": 0, "improved_findings": 0, "security_margin": 0.0,
    }  # fmt: skip
    rows = [
        {"code_pair_id": "a", "method": "evol", "naive": "x = 10", "improved": "x = 1"},
        {"code_pair_id": "b", "method": "commit", "naive": "y = 10", "improved": "y = 1",
         "naive_passed": True,
         "improved_passed": False, "improved_is_better": False,
         "decided_by": "correctness", "correctness_margin": -0.5},
        {"code_pair_id": "c", "method": "evol", "naive": "z = 1", "improved": "z = 10",
         "naive_passed": True,
         "improved_passed": True, "improved_is_better": True, "decided_by": "speed",
         "speed_margin": 2.0},
        {"code_pair_id": "d", "method": "evol", "split": "test", "naive": "u = 1",
         "improved": "u = 2"},
        {"code_pair_id": "e", "method": "recorded", "naive": "v = 1", "improved": "v = 2",
         "naive_passed": False,
         "improved_passed": False},
    ]  # fmt: skip
    frame = pl.DataFrame(
        [{**common, "prompt_id": f"p{row['code_pair_id']}", **row} for row in rows],
        schema=tables.empty("code_pairs").schema,
    )
    made = Lake(tmp_path)
    made.write("code_pairs", frame, Commit("test"))
    return made


def sides(name: str, lake: Lake) -> set[tuple[str, str]]:
    return set(build(name, lake, SETTINGS).select("chosen", "rejected").rows())


def test_the_critics_word_makes_pairs_of_each_method_where_nothing_ran(lake: Lake) -> None:
    evol = {(fenced("x = 1"), fenced("x = 10")), (fenced("z = 10"), fenced("z = 1"))}
    commit = {(fenced("y = 10"), fenced("y = 1"))}  # the tests say the reverse of the critic
    assert sides("codefavor_evol", lake) == evol and sides("codefavor_commit", lake) == commit
    # nothing of the test split, nor the two that both fail
    assert sides("codefavor", lake) == evol | commit


def test_execution_turns_a_pair_round_and_leaves_the_undecided_out(lake: Lake) -> None:
    pairs = build("codefavor_tests", lake, SETTINGS)
    found = set(pairs.select("chosen", "rejected", "margin", "strength").rows())
    assert found == {
        (fenced("y = 10"), fenced("y = 1"), 0.5, 1.0),
        (fenced("z = 10"), fenced("z = 1"), 2.0, 1.0),
    }
    assert set(pairs["chosen_id"]) == {"b.naive", "c.improved"}


def test_length_alone_follows_the_majority(lake: Lake) -> None:
    pairs = build("codefavor_length", lake, SETTINGS)  # the better side is longer in two of three
    assert all(len(row["chosen"]) > len(row["rejected"]) for row in pairs.to_dicts())
    assert pairs.filter("flipped")["chosen"].to_list() == [fenced("x = 10")]
    assert pairs["margin"].null_count() == pairs["strength"].null_count() == 3
    even = pl.DataFrame({"chosen": ["aa"], "rejected": ["bb"]})
    rest = {
        n: [v]
        for n, v in {
            "chosen_ends": True,
            "rejected_ends": True,
            "chosen_id": "",
            "rejected_id": "",
        }.items()
    }
    assert by_length(even.with_columns(**{n: pl.Series(v) for n, v in rest.items()})).is_empty()


def test_a_judge_sees_every_pair_in_both_orders_and_letters_are_balanced(lake: Lake) -> None:
    pairs = build("codefavor_judge", lake, SETTINGS)
    assert pairs.height == 6 and pairs["pair_id"].n_unique() == 6
    assert sorted(pairs["chosen"]) == ["A"] * 3 + ["B"] * 3
    for row in pairs.filter(pl.col("prompt_id") == "pa").to_dicts():
        shown = row["messages"][0]["content"]
        first = "A" if shown.index(fenced("x = 1")) < shown.index(fenced("x = 10")) else "B"
        assert row["chosen"] == first and "[CRITERIA]\nfast" in shown


def test_a_judges_answer_follows_the_tests_and_its_length_control_the_longer_code(
    lake: Lake,
) -> None:
    for name, better in (("codefavor_judge", "x = 1"), ("codefavor_judge_length", "x = 10")):
        pairs = build(name, lake, SETTINGS)
        assert pairs.height == 6 and pairs["pair_id"].n_unique() == 6
        for row in pairs.to_dicts():
            winner = {"pa": better, "pb": "y = 10", "pc": "z = 10"}[row["prompt_id"]]
            shown = row["messages"][0]["content"]
            codes = sorted(
                (shown.index(fenced(f"{winner[0]} = {n}")), f"{winner[0]} = {n}") for n in (1, 10)
            )
            assert row["chosen"] == "AB"[[code for _, code in codes].index(winner)]
            assert row["flipped"] == (row["prompt_id"] == "pa" and better == "x = 10")


def test_the_judge_by_sft_has_the_rows_of_the_judge_by_dpo_and_another_loss(lake: Lake) -> None:
    own, dpo = (build(name, lake, SETTINGS) for name in ("codefavor_judge_sft", "codefavor_judge"))
    assert own.drop("pair_id", "variant", "method").equals(dpo.drop("pair_id", "variant", "method"))
    assert (
        VARIANTS["codefavor_judge_sft"].loss == "sft" and VARIANTS["codefavor_judge"].loss is None
    )


def test_a_judge_that_explains_says_the_feedback_of_the_order_shown_and_then_which(
    lake: Lake,
) -> None:
    told = pl.when(pl.col("code_pair_id") == "c").then(
        pl.lit("ATTEMPT_2 caches what [ATTEMPT_1] computes.")
    )
    rows = lake.read("code_pairs").with_columns(feedback=told.otherwise("feedback"))
    lake.write("code_pairs", rows, Commit("test"))
    pairs = build("codefavor_judge_generation", lake, SETTINGS)
    # b's tests contradict its feedback, d is of the test split, e is undecided
    assert sorted(pairs["prompt_id"]) == ["pa", "pa", "pc", "pc"]
    for row in pairs.filter(pl.col("prompt_id") == "pc").to_dicts():
        shown = row["messages"][0]["content"]
        better, worse = "AB" if shown.index("z = 10") < shown.index("z = 1\n") else "BA"
        why = f"[CODE_{better}] caches what [CODE_{worse}] computes."
        assert row["chosen"] == f"{why}\n\nThe better code is [CODE_{better}]."
        assert row["rejected"] == f"{why}\n\nThe better code is [CODE_{worse}]."
        assert "end with one of these sentences" in shown and "one letter" not in shown
    control = build("codefavor_judge_generation_shuffled", lake, SETTINGS)
    assert control["flipped"].sum() == 2 and set(control["chosen"]) | set(control["rejected"]) == (
        set(pairs["chosen"]) | set(pairs["rejected"])
    )


def test_each_variant_has_a_control_and_keeps_the_tables_rules(lake: Lake) -> None:
    names = [name for name in VARIANTS if name.startswith("codefavor")]
    controlled = {VARIANTS[name].control_of for name in names} - {None}
    assert controlled == {
        "codefavor",
        "codefavor_commit",
        "codefavor_evol",
        "codefavor_tests",
        "codefavor_judge",
        "codefavor_judge_sft",
        "codefavor_judge_generation",
    }
    for name in names:
        _, bad = tables.Preferences.filter(build(name, lake, SETTINGS))
        assert not bad.counts(), name


def test_pairs_of_mined_tasks_are_no_leak_and_moved_ones_are(lake: Lake) -> None:
    pairs = build("codefavor", lake, SETTINGS)
    lake.write("preferences", pairs, Commit("test"))
    assert lake.query_file("leaked_pairs").is_empty()
    lake.write("preferences", pairs.with_columns(split=pl.lit("validation")), Commit("test"))
    assert lake.query_file("leaked_pairs").height == 3
