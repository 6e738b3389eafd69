"""MAPL's variants from a small lake: contexts, ids, partners and controls."""

import polars as pl
import pytest

from pipeline import config, tables
from pipeline.preferences.build import build
from pipeline.store import Commit, Lake
from pipeline.synthesis.mapl import synthesise
from pipeline.validation.select import by_hash

SETTINGS = config.load("quick")
TEXTS = (
    "First we add the apples. Then the pears. The answer is 12.",
    "Perhaps the river rises, so nobody can answer it!",
)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    prompts = [
        {
            "prompt_id": f"p{i}", "pool": "x", "task": "x", "split": "train" if i % 4 else "validation", "answer": "12",
            "messages": [{"role": "user", "content": f"question {i}"}], "verifier": "number", "metadata": None,
            "source": "test", "licence": "none",
        }
        for i in range(16)
    ]  # fmt: skip
    responses = [
        {
            "response_id": f"r{i}{side}", "prompt_id": f"p{i}", "policy_id": "m", "on_policy": True, "draw": side,
            "sampling": "{}", "text": f"{text} So {i}.", "tokens": 9, "prompt_tokens": 1, "logprob_mean": -1.0,
            "finish_reason": "stop", "answer": None, "correct": side == 0,
        }
        for i in range(16)
        for side, text in enumerate(TEXTS)
    ]  # fmt: skip
    lake.write("prompts", pl.DataFrame(prompts, schema=tables.empty("prompts").schema), Commit("test"))
    lake.write("responses", pl.DataFrame(responses, schema=tables.empty("responses").schema), Commit("test"))
    known = lake.query_file("mapl_responses")
    pairs = lake.query_file("pairs_outcome", per_prompt=4)
    pairs = pairs.join(known.select("prompt_id", "answer", "own").unique("prompt_id"), on="prompt_id")
    rows, _ = synthesise(known, pairs, SETTINGS.mapl, 0)
    lake.write("instructions", rows, Commit("test"))
    return lake


@pytest.mark.parametrize("name", ["mapl_intra", "mapl_inter", "mapl_shuffled", "mapl_inter_shuffled"])
def test_rows_are_prompt_level_with_one_response_under_two_prompts(lake: Lake, name: str) -> None:
    pairs = build(name, lake, SETTINGS)
    good, bad = tables.Preferences.filter(pairs)
    assert good.height == pairs.height > 20 and not bad.counts()
    for row in pairs.to_dicts():
        assert row["level"] == "prompt" and row["chosen"] == row["rejected"]
        assert row["chosen_id"] == row["rejected_id"] and row["messages"] != row["rejected_messages"]


def test_partners_share_an_id_and_hold_both_responses_with_the_prompts_exchanged(lake: Lake) -> None:
    for pair in build("mapl_inter", lake, SETTINGS).partition_by("partner_id"):
        one, two = pair.to_dicts()
        assert one["chosen_id"] != two["chosen_id"]
        assert (one["messages"], one["rejected_messages"]) == (two["rejected_messages"], two["messages"])
        longer = max(pair.to_dicts(), key=lambda row: len(str(row["messages"])))
        known = lake.read("instructions").filter(pl.col("synthesis_id") == one["partner_id"]).to_dicts()[0]
        assert longer["chosen_id"] == known["response_id"]  # the response that fulfils what was added prefers it


@pytest.mark.parametrize(("name", "control"), [("mapl_intra", "mapl_shuffled"), ("mapl_inter", "mapl_inter_shuffled")])
def test_the_control_exchanges_the_prompts_of_half_and_draws_the_same_rows(lake: Lake, name: str, control: str) -> None:
    key = ["partner_id", "chosen_id"]
    source, shuffled = (by_hash(build(each, lake, SETTINGS)) for each in (name, control))
    assert source.select(key).equals(shuffled.select(key))
    train = shuffled.filter(pl.col("split") == "train")
    assert abs(train["flipped"].sum() * 2 - train.height) <= 2
    for before, after in zip(source.to_dicts(), shuffled.to_dicts(), strict=True):
        exchanged = (after["rejected_messages"], after["messages"]) if after["flipped"] else None
        assert exchanged in (None, (before["messages"], before["rejected_messages"]))
        assert after["margin"] == (-before["margin"] if after["flipped"] else before["margin"])
    halves = shuffled.group_by("partner_id").agg(pl.col("flipped").n_unique())
    assert name == "mapl_intra" or set(halves["flipped"]) == {1}  # partners stay together


def test_partners_stay_neighbours_when_rows_are_drawn(lake: Lake) -> None:
    drawn = by_hash(build("mapl_inter", lake, SETTINGS))["partner_id"].to_list()
    assert drawn[::2] == drawn[1::2]
