"""Pairs under a principle, worked out by hand from a few annotations,
and what their controls destroy.
"""

import math
from pathlib import Path

import polars as pl
import pytest

from pipeline import config, tables
from pipeline.preferences.build import build
from pipeline.preferences.registry import registry
from pipeline.store import Commit, Lake
from tests.judge.simulated import frame, prompts, responses
from tests.runs import cost_of

SETTINGS = config.load("quick")
VARIANTS = registry(SETTINGS)
SAID = [  # response, group, satisfied, log-odds
    ("p-0", "brief", True, 1.0), ("p-0", "brief", True, 2.0), ("p-1", "brief", False, -0.5),
    ("p-0", "true", False, 0.0), ("p-1", "true", True, 1.0),  # the other way round
    # its annotators disagree about the group: no side
    ("p-2", "brief", True, 3.0), ("p-2", "brief", False, 3.0),
    ("p-1", None, True, 9.0),  # no consensus
    ("q-0", "brief", True, 1.0), ("q-1", "brief", False, 0.0),  # of another prompt: another group
    # the same pair again: it counts once
    ("q-0", "polite", True, 1.0), ("q-1", "polite", False, 0.0),
]  # fmt: skip


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path)
    texts = {"p": ["7", "it is 7", "8"], "q": ["7", "9"]}
    rows = [
        {
            "principle_id": f"{n}", "prompt_id": response[0], "response_id": response,
            "annotator": n, "name": group or "x", "satisfied": satisfied, "log_odds": odds,
            "group_id": group and f"{response[0]} {group}", "group_name": group,
        }
        for n, (response, group, satisfied, odds) in enumerate(SAID)
    ]  # fmt: skip
    common = {"judge_id": "j", "span": "s", "likeness": 100.0, "feedback": "s", "tokens": 3}
    lake.write("prompts", prompts(*texts), Commit("test"))
    lake.write("responses", responses(texts), Commit("test"))
    lake.write("principles", frame("principles", rows, **common), Commit("test"))
    return lake


def asked(row: dict[str, object]) -> str:
    return row["messages"][-1]["content"]


def test_a_pair_is_better_by_the_principle_that_its_request_names(lake: Lake) -> None:
    pairs = build("principles", lake, SETTINGS)
    found = {(row["chosen_id"], row["rejected_id"]): row for row in pairs.to_dicts()}
    assert set(found) == {("p-0", "p-1"), ("p-1", "p-0"), ("q-0", "q-1")}
    row = found["p-0", "p-1"]
    assert (
        asked(row) == "question p\n\nA good response satisfies: brief."
        and row["principle_id"] == "p brief"
    )
    assert row["margin"] == pytest.approx(1.5 + 0.5) and row["strength"] == pytest.approx(
        1 / (1 + math.exp(-2.0))
    )
    # the same two responses, reversed by the context
    assert asked(found["p-1", "p-0"]).endswith("satisfies: true.")
    assert not tables.Preferences.filter(pairs)[1].counts()
    sampled = lake.read("responses")["tokens"].sum()
    assert cost_of("principles", lake, SETTINGS) == sampled + 3 * len(SAID)


def test_the_controls_exchange_half_of_the_sides_or_name_another_pairs_principle(
    lake: Lake,
) -> None:
    real, moved = build("principles", lake, SETTINGS), build("principles_permuted", lake, SETTINGS)
    keys = ["chosen_id", "rejected_id"]
    own = {
        tuple(row[key] for key in keys): asked(row).split("satisfies: ")[1]
        for row in real.to_dicts()
    }
    other = {
        tuple(row[key] for key in keys): asked(row).split("satisfies: ")[1]
        for row in moved.to_dicts()
    }
    assert other and set(other) <= set(own) and all(own[key] != other[key] for key in other)
    assert build("principles_shuffled", lake, SETTINGS)["flipped"].sum() == 1
    assert {
        VARIANTS[name].control_of for name in ("principles_shuffled", "principles_permuted")
    } == {"principles"}
    assert set(moved["pair_id"]).isdisjoint(real["pair_id"])


def test_one_principle_for_all_pairs_has_no_permuted_control_and_nothing_gives_nothing(
    lake: Lake, tmp_path: Path
) -> None:
    same = lake.read("principles").filter(pl.col("group_name") == "brief")
    lake.write("principles", same, Commit("test"))
    assert build("principles", lake, SETTINGS).height == 2
    assert build("principles_permuted", lake, SETTINGS).is_empty()
    with Lake(tmp_path / "none") as empty:
        for name in ("principles", "principles_shuffled", "principles_permuted"):
            assert build(name, empty, SETTINGS).is_empty()
