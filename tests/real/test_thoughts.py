"""Trees of thoughts, ranked lists and step rewards with the real engine and small model."""

import polars as pl
import pytest

from pipeline import tables
from pipeline.config import ThoughtSettings, load
from pipeline.engine.model import Model
from pipeline.engine.vllm import VllmEngine
from pipeline.prompts import load_pools
from pipeline.trees import truth
from pipeline.trees.embed import embedder
from pipeline.trees.forest import plant
from tests.conftest import TINY
from tests.preferences.forest import build_lists

SMALL = ThoughtSettings(
    children=3, rollouts=4, max_depth=2, max_expansions=3, step_tokens=16, rollout_tokens=24
)


@pytest.fixture(scope="module")
def prompts() -> pl.DataFrame:
    rows, _ = load_pools(load(str(TINY)))
    return rows.sort("prompt_id").head(2)


def test_every_search_and_valuation_grows_trees_that_keep_the_tables_rules(
    engine: VllmEngine, prompts: pl.DataFrame
) -> None:
    for change in (
        {"search": "breadth_first", "value": "score"},
        {"search": "depth_first", "value": "verdict", "threshold": 0.0},
        {"search": "breadth_first", "value": "vote", "generate": "propose"},
        {"search": "branches", "value": "rollouts"},
    ):
        rows, rejects = plant(engine, prompts, SMALL.model_copy(update=change), 0)
        good, bad = tables.TreeNodes.filter(rows)
        assert good.height == rows.height > 2 and not bad.counts() and not rejects, change
        leaves = rows.filter(pl.col("terminal") & (pl.col("kind") == "step"))
        assert leaves["correct"].null_count() == 0
        assert set(rows["valuation"].drop_nulls()) <= {change["value"], "answer"}


def test_rollout_trees_become_lists_whose_rewards_are_highest_for_the_reference(
    engine: VllmEngine, prompts: pl.DataFrame, model: Model
) -> None:
    nodes, _ = plant(engine, prompts, SMALL, 0)
    lists, rejects = build_lists(nodes, prompts, ["tot"], 5, embedder(model.path, 384))
    assert lists.height == 3 * (prompts.height - len(rejects)) > 0
    for items in lists.filter(pl.col("variant") == "tpo_tot")["items"].to_list():
        assert items[0]["reward"] == pytest.approx(2)
        assert all(0 <= item["reward"] <= 2.0001 for item in items)
        assert [item["value"] for item in items] == sorted(
            (item["value"] for item in items), reverse=True
        )


def test_step_values_are_scored_against_labels(engine: VllmEngine) -> None:
    rows = [
        truth.Labelled(0, "What is 4 + 3?", ("4 + 3 = 7", "The answer is 7."), None),
        truth.Labelled(1, "What is 4 + 3?", ("4 + 3 = 9", "The answer is 9."), 0),
    ]
    scored, rejects = truth.score(engine, rows, ThoughtSettings(value="score"), 0)
    found = truth.report(scored)
    assert not rejects and found["solutions"] == 2 and found["auc"] is not None
