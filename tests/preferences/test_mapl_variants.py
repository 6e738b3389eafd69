"""MAPL's variants from a small lake: contexts, ids and controls."""

from typing import Any

import polars as pl
import pytest

from pipeline import config, tables
from pipeline.preferences.build import build
from pipeline.preferences.mapl import length_only
from pipeline.store import Commit, Lake
from pipeline.synthesis.mapl import synthesise
from pipeline.validation.select import by_hash

SETTINGS = config.load("quick")
NAMES = [
    f"mapl_{kind}"
    for kind in ("intra", "inter", "shuffled", "inter_shuffled", "intra_length", "inter_length")
]
TEXTS = (
    "First we add the apples. Then the pears. The answer is 12.",
    "Perhaps the river rises, so nobody can answer it!",
)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    prompts = [
        {
            "prompt_id": f"p{i}", "pool": "x", "task": "x",
            "split": "train" if i % 4 else "validation", "answer": "12",
            "messages": [{"role": "user", "content": f"question {i}"}], "verifier": "number",
            "metadata": None, "source": "test", "licence": "none",
        }
        for i in range(16)
    ]  # fmt: skip
    responses = [
        {
            "response_id": f"r{i}{side}", "prompt_id": f"p{i}", "policy_id": "m", "on_policy": True,
            "draw": side,
            "sampling": "{}", "text": f"{text} So {i}.", "tokens": 9, "prompt_tokens": 1,
            "logprob_mean": -1.0, "finish_reason": "stop", "answer": None, "correct": side == 0,
        }
        for i in range(16)
        for side, text in enumerate(TEXTS)
    ]  # fmt: skip
    lake.write(
        "prompts", pl.DataFrame(prompts, schema=tables.empty("prompts").schema), Commit("test")
    )
    lake.write(
        "responses",
        pl.DataFrame(responses, schema=tables.empty("responses").schema),
        Commit("test"),
    )
    known = lake.query_file("mapl_responses")
    pairs = lake.query_file("pairs_outcome", per_prompt=4)
    pairs = pairs.join(
        known.select("prompt_id", "answer", "own").unique("prompt_id"), on="prompt_id"
    )
    rows, _ = synthesise(known, pairs, SETTINGS.mapl, 0)
    lake.write("instructions", rows, Commit("test"))
    return lake


@pytest.mark.parametrize(
    "name",
    [
        f"mapl_{kind}"
        for kind in ("intra", "inter", "shuffled", "inter_shuffled", "intra_length", "inter_length")
    ],
)
def test_rows_are_prompt_level_with_two_prompts(lake: Lake, name: str) -> None:
    pairs = build(name, lake, SETTINGS)
    good, bad = tables.Preferences.filter(pairs)
    assert good.height == pairs.height > 10 and not bad.counts()
    for row in pairs.to_dicts():
        assert row["level"] == "prompt" and row["messages"] != row["rejected_messages"]
        assert (row["chosen_id"] == row["rejected_id"]) == ("inter" not in name)


def test_an_inter_sample_row_holds_the_response_that_fulfils_beside_the_prompt_that_asks(
    lake: Lake,
) -> None:
    known = {
        (r["response_id"], str(r["messages"])): r for r in lake.read("instructions").to_dicts()
    }
    for row in build("mapl_inter", lake, SETTINGS).to_dicts():
        made = known[row["chosen_id"], str(row["messages"])]
        assert (
            made["other_id"] == row["rejected_id"]
            and made["other_messages"] == row["rejected_messages"]
        )


@pytest.mark.parametrize(
    ("name", "control"), [("mapl_intra", "mapl_shuffled"), ("mapl_inter", "mapl_inter_shuffled")]
)
def test_the_control_exchanges_the_prompts_of_half_and_draws_the_same_rows(
    lake: Lake, name: str, control: str
) -> None:
    source, shuffled = (by_hash(build(each, lake, SETTINGS)) for each in (name, control))
    train = shuffled.filter(pl.col("split") == "train")
    assert abs(train["flipped"].sum() * 2 - train.height) <= 2
    for before, after in zip(source.to_dicts(), shuffled.to_dicts(), strict=True):
        turns = (before["messages"], before["rejected_messages"])
        assert (after["messages"], after["rejected_messages"]) == (
            turns[::-1] if after["flipped"] else turns
        )
        assert (after["chosen_id"], after["rejected_id"]) == (
            before["chosen_id"],
            before["rejected_id"],
        )
        assert after["margin"] == (-before["margin"] if after["flipped"] else before["margin"])


def row(
    n: int, question: str, other: str, chosen: str = "yes", rejected: str = "yes"
) -> dict[str, Any]:
    turns = [[{"role": "user", "content": text}] for text in (question, other)]
    return {
        "prompt_id": "p", "split": "train", "messages": turns[0], "rejected_messages": turns[1],
        "chosen": chosen,
        "rejected": rejected, "chosen_id": f"c{n}", "rejected_id": f"r{n}", "margin": 1.0,
    }  # fmt: skip


def test_length_alone_follows_the_majority_of_the_prompts_and_draws_lots_between_equals() -> None:
    # the better prompt is longer in two of three
    rows = [row(0, "ab", "a"), row(1, "abc", "a"), row(2, "a", "ab")]
    rows += [row(3 + n, f"a{n}", f"b{n}") for n in range(6)]
    sides = [
        pl.col(turns).list.last().struct.field("content")
        for turns in ("messages", "rejected_messages")
    ]
    found = length_only(pl.DataFrame(rows), *sides)
    assert (
        found["flipped"].to_list()[:3] == [False, False, True] and found["flipped"][3:].sum() == 3
    )
    assert [turns[0]["content"] for turns in found["messages"].to_list()[:3]] == ["ab", "abc", "ab"]
    assert found["margin"].null_count() == found.height == 9
    again = length_only(pl.DataFrame(rows[::-1]), *sides)
    # the order of rows does not matter
    assert again["flipped"].to_list()[::-1] == found["flipped"].to_list()


def test_length_alone_in_pairs_of_pairs_is_the_responses_length(lake: Lake) -> None:
    source, control = (
        by_hash(build(name, lake, SETTINGS)) for name in ("mapl_inter", "mapl_inter_length")
    )
    # Each original pair is there in both directions, so that the longer response fulfils in exactly
    # half of the rows.
    assert abs(control["flipped"].mean() - 0.5) < 0.01 and set(source["prompt_id"]) == set(
        control["prompt_id"]
    )
    for before, after in zip(source.to_dicts(), control.to_dicts(), strict=True):
        longer = len(before["chosen"]) > len(before["rejected"])
        asked = {True: "messages", False: "rejected_messages"}[longer]
        assert after["messages"] == before[asked]
