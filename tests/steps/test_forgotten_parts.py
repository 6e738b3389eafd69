"""What a run empties of a table: the parts that it made and that the profile names no more."""

from pathlib import Path

import polars as pl

from assets.preferences import PREFERENCES
from assets.sources import SOURCE_PAIRS, SOURCE_VOTES
from pipeline import config
from pipeline.preferences.build import build
from pipeline.steps.run import empty_other_parts
from pipeline.store import Commit, Lake
from tests.judge.simulated import frame, prompts, responses
from tests.runs import ScriptedRun


def test_imports_and_votes_that_were_asked_here_stay_and_a_dropped_variant_goes(
    tmp_path: Path,
) -> None:
    settings = config.load("quick")
    vote = {
        "vote_id": "v", "prompt_id": "p", "first_id": "a", "second_id": "b", "judge_id": "j",
        "criterion": "overall", "method": "pairwise", "p_first": 0.9, "tokens": 1,
    }  # fmt: skip
    votes = [{**vote, "source": "model", "origin": "responses"}]
    votes += [
        {**vote, "vote_id": name, "source": "recorded", "origin": name}
        for name in ("by_hand", "of_the_profile")
    ]
    pair = {
        "pair_id": "x", "origin": "by_hand", "prompt_id": "q", "first_id": "a", "second_id": "b",
        "first": "yes", "second": "no", "label": 1.0,
    }  # fmt: skip
    with Lake(tmp_path) as lake:
        lake.write("prompts", prompts("p"), Commit("test"))
        lake.write("responses", responses({"p": ["7", "8"]}, lambda t: t == "7"), Commit("test"))
        lake.write("recorded_pairs", frame("recorded_pairs", [pair]), Commit("import by_hand"))
        for step, row in zip(("votes", "import by_hand", "source_votes of_the_profile"), votes,
                             strict=True):  # fmt: skip
            own = {"source": row["source"], "origin": row["origin"]}
            lake.write("votes", frame("votes", [row]), Commit(step), partition=own)
        for name in ("outcome", "outcome_shuffled"):
            rows = build(name, lake, settings)
            lake.write(
                "preferences", rows, Commit(f"preferences {name}"), partition={"variant": name}
            )
        run = ScriptedRun(lake, settings, policy="m@0")
        for made in (SOURCE_PAIRS, SOURCE_VOTES, PREFERENCES):
            empty_other_parts(made, run)
        assert lake.read("recorded_pairs").height == 1
        assert sorted(lake.read("votes")["origin"]) == ["by_hand", "responses"]
        assert lake.read("preferences").select(
            pl.col("variant").unique()
        ).to_series().to_list() == ["outcome"]
