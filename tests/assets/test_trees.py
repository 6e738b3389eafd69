"""The steps of trees on a scripted engine:
what they write, and that a second time they write nothing.
"""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from assets.checks import list_items_end
from assets.preferences import PREFERENCE_LISTS
from assets.sampling import THOUGHT_NODES, TREE_NODES
from assets.shown import of_report
from assets.steps import GRAPH
from pipeline import config
from pipeline.config import ListSettings, Settings, TreeSettings
from pipeline.preferences.build import build
from pipeline.steps import Step, StepReport
from pipeline.store import Commit, Lake
from pipeline.trees.paths import best, paths
from tests.runs import ScriptedRun, make
from tests.trees.mazes import JudgingEngine, maze, thoughts
from tests.trees.test_best_first import prompt_rows

VARIANTS = ("tree_plv", "tot", "tpo", "tpo_tot", "tpo_shuffled", "tpo_tot_shuffled", "curriculum")
STEPS = (TREE_NODES, THOUGHT_NODES, PREFERENCE_LISTS)
NewRun = Callable[..., ScriptedRun]


@pytest.fixture
def new_run(tmp_path: Path) -> NewRun:
    lake = Lake(tmp_path)
    # Answers of the maze are bare numbers: the number verifier's last number; '####' states it.
    lake.write("prompts", prompt_rows("3 + 4", "4 + 3"), Commit("test"))

    def make_run(*variants: str, **sections: object) -> ScriptedRun:
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
        return ScriptedRun(lake, settings, JudgingEngine(maze))

    return make_run


def calls(run: ScriptedRun) -> list[Any]:
    (engine,) = run.room.engines.values()  # type: ignore[attr-defined]
    return engine.calls


def statuses(reports: dict[str, StepReport]) -> set[str]:
    return {report.status for report in reports.values()}


def only(run: ScriptedRun, step: Step) -> StepReport:
    """The report of a step that has no parts."""
    return make(run, step)[step.name]


def test_both_kinds_of_trees_and_lists_are_made_once_and_shown(new_run: NewRun) -> None:
    first = new_run()
    reports = make(first, *STEPS)
    assert statuses(reports) == {"written"} and len(reports) == 2 + 4
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
    again = new_run()
    assert statuses(make(again, *STEPS)) == {"up to date"}
    assert not calls(again)


def test_the_pairs_and_the_best_path_of_a_grown_tree_are_as_worked_out_by_hand(
    new_run: NewRun,
) -> None:
    """The maze, greedy: a 2/4, b 3/4; below b: ba 0/4, bb 1/4;
    below bb: x and y, of whose rollouts none is right.
    """
    grown = new_run(
        preferences=config.load("quick").preferences.model_copy(update={"margin": 0.25})
    )
    make(grown, TREE_NODES, PREFERENCE_LISTS)
    rows = grown.lake.read("tree_nodes").filter(pl.col("prompt_id") == "id-3 + 4").to_dicts()
    whole = {row["node_id"]: row["prefix"] + row["text"] for row in rows}
    values = {whole[row["node_id"]]: row["value"] for row in rows if row["kind"] == "step"}
    assert values == {
        "a\n": 0.5,
        "b\n": 0.75,
        "b\nba\n": 0,
        "b\nbb\n": 0.25,
        "b\nbb\nx\n": 0,
        "b\nbb\ny\n": 0,
    }
    top = best(paths(rows))
    assert top is not None and (top.text, top.value) == ("a\n", 0.5)  # b was better and led nowhere

    def pairs(name: str) -> dict[tuple[str, str], float]:
        found = (
            build(name, grown.lake, grown.settings)
            .filter(pl.col("prompt_id") == "id-3 + 4")
            .to_dicts()
        )
        return {
            (whole[pair["chosen_id"]], whole[pair["rejected_id"]]): pair["margin"] for pair in found
        }

    siblings = {("b\n", "a\n"): 0.25, ("b\nbb\n", "b\nba\n"): 0.25}  # x and y are equal
    assert pairs("tree_plv") == pairs("curriculum") == siblings
    # Paths end at a 1/2, and at ba, x and y 0: the three are never ordered. A rollout ends each.
    worse = ("b\nba\n8", "b\nbb\nx\n8", "b\nbb\ny\n8")
    assert pairs("tpo") == {("a\n7", text): 0.5 for text in worse}


def test_a_change_of_one_methods_settings_leaves_the_other_method_alone(new_run: NewRun) -> None:
    make(new_run(), *STEPS)
    changed = new_run(thoughts=thoughts(max_depth=3, beam=1))
    report = only(changed, THOUGHT_NODES)
    assert only(changed, TREE_NODES).status == "up to date" and report.status == "written"
    lists = {name: one.status for name, one in make(changed, PREFERENCE_LISTS).items()}
    assert lists == {
        "preference_lists tpo": "up to date",
        "preference_lists tpo_shuffled": "up to date",
        "preference_lists tpo_tot": "written",
        "preference_lists tpo_tot_shuffled": "written",
    }
    shown = {name: getattr(value, "value", value) for name, value in of_report(report).items()}
    (example,) = [value for title, value in shown.items() if title.startswith("tree of prompt id-")]
    assert "data:image/png;base64," in example
    assert "| p | tot | 2 |" in str(shown["flat_trees"])
    assert shown["trees"] == 2 and shown["judged_texts_without_an_answer"] == 0


def test_what_no_variant_uses_is_not_needed(new_run: NewRun) -> None:
    names = {step.name for step in STEPS}
    assert not names & GRAPH.needed(new_run("outcome").settings)
    assert names & GRAPH.needed(new_run("tree_plv").settings) == {"tree_nodes"}
    assert names & GRAPH.needed(new_run("tot").settings) == {"thought_nodes"}
    assert names & GRAPH.needed(new_run("tpo_tot").settings) == {
        "thought_nodes",
        "preference_lists",
    }


def test_a_check_wants_every_item_of_a_list_to_end(new_run: NewRun) -> None:
    run = new_run("tpo")
    check = list_items_end.op.compute_fn.decorated_fn  # type: ignore[union-attr]
    looked_at = SimpleNamespace(context=run)
    assert check(looked_at).passed  # there are no lists yet
    make(run, TREE_NODES, PREFERENCE_LISTS)
    found = check(looked_at)
    assert found.passed and found.metadata["share_of_items_that_end"].value == 1
    lists = run.lake.read("preference_lists")
    cut = [[{**item, "ends": item["rank"] > 0} for item in row] for row in lists["items"].to_list()]
    items = pl.Series("items", cut, dtype=lists.schema["items"])
    run.lake.write("preference_lists", lists.with_columns(items), Commit("test"))
    found = check(looked_at)
    assert not found.passed
    assert "75.0% of the items of preference_lists are finished" in found.description
