"""The tree assets on a scripted engine: what they write, and that a second time they write nothing."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import polars as pl
import pytest
from assets.trees import preference_lists, thought_nodes
from assets.workshop import Workshop

from assets.sampling import tree_nodes
from pipeline import config
from pipeline.config import ListSettings, Settings, TreeSettings
from pipeline.engine.base import Usage
from pipeline.preferences.build import build
from pipeline.store import Commit, Lake
from pipeline.trees.paths import best, paths
from tests.trees.mazes import JudgingEngine, maze, thoughts
from tests.trees.test_best_first import prompt_rows

VARIANTS = ("tree_plv", "tot", "tpo", "tpo_tot", "curriculum")
Shop = Callable[..., Any]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    lake = Lake(tmp_path)
    # Answers of the maze are bare numbers: the number verifier's last number; '####' states it.
    lake.write("prompts", prompt_rows("3 + 4", "4 + 3"), Commit("test"))

    def make(*variants: str, **sections: object) -> Any:
        settings = config.load("quick").model_copy(
            update={
                "trees": TreeSettings(children=2, rollouts=4, max_depth=3, max_expansions=4),
                "thoughts": thoughts(max_depth=3),
                "lists": ListSettings(rewards=False),
                **sections,
            }
        )
        chosen = settings.validation.model_copy(update={"variants": variants or VARIANTS})
        settings = Settings(**{**settings.model_dump(), "validation": chosen.model_dump()})
        engine = JudgingEngine(maze)
        room = SimpleNamespace(engine=lambda model: engine, usage=Usage, close=lambda: None)
        base = SimpleNamespace(policy_id="scripted@0", path=None)
        kind = (settings.model.dtype, settings.engine.backend)
        found = SimpleNamespace(settings=settings, lake=lake, room=room, base=base, made=engine, engine_kind=kind)
        found.wants = lambda table: Workshop.wants(found, table)
        return found

    return make


def made(asset: dg.AssetsDefinition, shop: Any) -> Any:
    result = asset(dg.build_asset_context(), shop=shop)
    return {name: getattr(value, "value", value) for name, value in result.metadata.items()}


def test_both_kinds_of_trees_and_lists_are_made_once_and_shown(shop: Shop) -> None:
    first = shop()
    assert [made(asset, first)["status"] for asset in (tree_nodes, thought_nodes, preference_lists)] == ["written"] * 3
    nodes = first.lake.read("tree_nodes")
    assert nodes.group_by("method").agg(pl.col("tree_id").n_unique()).sort("method").rows() == [
        ("best_first", 2),
        ("tot", 2),
    ]
    assert sorted(first.lake.read("preference_lists")["variant"].unique()) == [
        "tpo", "tpo_shuffled", "tpo_tot", "tpo_tot_shuffled",
    ]  # fmt: skip
    for name in ("tot", "tpo", "tpo_tot"):
        assert build(name, first.lake, first.settings).height > 0, name
    again = shop()
    assert [made(asset, again)["status"] for asset in (tree_nodes, thought_nodes, preference_lists)] == [
        "up to date"
    ] * 3
    assert not again.made.calls


def test_the_pairs_and_the_best_path_of_a_grown_tree_are_as_worked_out_by_hand(shop: Shop) -> None:
    """The maze, greedy: a 2/4, b 3/4; below b: ba 0/4, bb 1/4; below bb: x and y, of whose rollouts none is right."""
    grown = shop(preferences=config.load("quick").preferences.model_copy(update={"margin": 0.25}))
    made(tree_nodes, grown)
    made(preference_lists, grown)
    rows = grown.lake.read("tree_nodes").filter(pl.col("prompt_id") == "id-3 + 4").to_dicts()
    whole = {row["node_id"]: row["prefix"] + row["text"] for row in rows}
    values = {whole[row["node_id"]]: row["value"] for row in rows if row["kind"] == "step"}
    assert values == {"a\n": 0.5, "b\n": 0.75, "b\nba\n": 0, "b\nbb\n": 0.25, "b\nbb\nx\n": 0, "b\nbb\ny\n": 0}
    top = best(paths(rows))
    assert top is not None and (top.text, top.value) == ("a\n", 0.5)  # b was better and led nowhere

    def pairs(name: str) -> dict[tuple[str, str], float]:
        found = build(name, grown.lake, grown.settings).filter(pl.col("prompt_id") == "id-3 + 4").to_dicts()
        return {(whole[pair["chosen_id"]], whole[pair["rejected_id"]]): pair["margin"] for pair in found}

    siblings = {("b\n", "a\n"): 0.25, ("b\nbb\n", "b\nba\n"): 0.25}  # x and y are equal
    assert pairs("tree_plv") == pairs("curriculum") == siblings
    # Paths end at a 1/2, and at ba, x and y 0: the three are never ordered.
    worse = ("b\nba\n", "b\nbb\nx\n", "b\nbb\ny\n")
    assert pairs("tpo") == {("a\n", text): 0.5 for text in worse}


def test_a_change_of_one_methods_settings_leaves_the_other_method_alone(shop: Shop) -> None:
    for asset in (tree_nodes, thought_nodes, preference_lists):
        made(asset, shop())
    changed = shop(thoughts=thoughts(max_depth=3, beam=1))
    shown = made(thought_nodes, changed)
    assert made(tree_nodes, changed)["status"] == "up to date" and shown["status"] == "written"
    assert made(preference_lists, changed)["status"] == "written"
    assert "data:image/png;base64," in str(shown["example"])
    assert "| p | tot | 2 |" in str(shown["flat_trees"])
    assert shown["trees"] == 2 and shown["judged_texts_without_an_answer"] == 0


def test_what_no_variant_uses_is_not_made(shop: Shop) -> None:
    unused = shop("outcome")
    for asset in (tree_nodes, thought_nodes, preference_lists):
        assert made(asset, unused)["status"] == "no variant of this profile uses it"
    assert not unused.made.calls and unused.lake.read("tree_nodes").is_empty()
    made(tree_nodes, shop("tree_plv"))
    assert made(thought_nodes, shop("tree_plv"))["status"] == "no variant of this profile uses it"
