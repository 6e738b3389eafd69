"""A tree in the terminal and as a picture, with everything on it worked out by hand."""

import io
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from pipeline.errors import OrchardError
from pipeline.store import Commit, Lake
from pipeline.trees.facts import counts, showpiece
from pipeline.trees.paths import best, paths
from pipeline.trees.picture import layout, picture
from pipeline.trees.show import drawing, find
from tests.preferences.forest import NODES, PROMPTS, frame, rollout

TREE = NODES.filter(pl.col("tree_id") == "t1").to_dicts()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path)
    lake.write("prompts", PROMPTS, Commit("test"))
    lake.write("tree_nodes", NODES.filter(pl.col("tree_id") == "t1"), Commit("test"))
    return lake


def test_the_terminal_shows_values_counts_and_the_best_path() -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(drawing("3 + 4", TREE))
    assert [line.rstrip() for line in console.export_text().splitlines()] == [
        "3 + 4  [best_first, tree t1]  expanded 1.",
        "├── * a  0.750 (3/4), drawn 2 times, expanded 2.",
        "│   ├── * is 7  1.000 (answer), ends, right",
        "│   ├── a2  0.250 (1/4)",
        "│   └── a3  0.500 (2/4)",
        "├── b  0.500 (2/4)",
        "└── c  0.000 (0/4)",
    ]


def test_a_tree_is_found_by_the_start_of_its_prompts_id(lake: Lake) -> None:
    ((question, rows),) = find(lake, "p1")
    assert question == "3 + 4" and rows.height == 7
    for start, says in (
        ("p", r"2 prompts' ids begin with 'p' \(p1, p2\): give more of it"),
        ("x", r"no prompt's id begins with 'x': see `orchard sql"),
        ("p2", "prompt p2 has no tree: see"),
        ("", "2 prompts' ids begin with ''"),
    ):
        with pytest.raises(OrchardError, match=says):
            find(lake, start)
    with pytest.raises(OrchardError, match="prompt p1 has no tree of method tot"):
        find(lake, "p1", "tot")


def test_the_best_path_is_the_finished_one_of_equal_value() -> None:
    found = paths(TREE)
    assert sorted(path.leaf["node_id"] for path in found) == ["a1", "a2", "a3", "b", "c"]
    top = best(found)
    assert top is not None and top.text == "a\nis 7"
    equal = [{**row, "value": 1.0 if row["kind"] == "step" else None} for row in TREE]
    top = best(paths(equal))
    assert top is not None and top.text == "a\nis 7"
    assert best(paths([{**row, "value": None} for row in TREE])) is None


def test_a_picture_puts_leaves_side_by_side_and_parents_over_their_middle() -> None:
    places = layout(TREE)
    assert places == {
        "a1": (0.0, 2), "a2": (1.0, 2), "a3": (2.0, 2), "a": (1.0, 1), "b": (3.0, 1), "c": (4.0, 1),
        "root": (2.5, 0),
    }  # fmt: skip
    axes = picture(TREE).axes[0]
    thick = [line for line in axes.lines if line.get_linewidth() == 3.0]
    assert len(axes.lines) == 6 and len(thick) == 2  # root to a, a to 'is 7'
    labels = [text.get_text() for text in axes.texts]
    assert "a\n0.75 (3/4)" in labels and "is 7\n1.00 end" in labels and len(labels) == 7


def test_a_picture_survives_odd_texts_and_a_bare_question() -> None:
    odd = [{**row, "text": "$x_ \\frac{" if row["kind"] == "step" else ""} for row in TREE]
    for rows in (odd, [TREE[0]]):
        drawn, out = picture(rows), io.BytesIO()
        drawn.savefig(out, format="svg")
        shown = sum(row["kind"] != "rollout" for row in rows)
        assert len(drawn.axes[0].texts) == shown and b"</svg>" in out.getvalue()


def test_a_forest_is_counted_and_its_most_varied_tree_is_shown() -> None:
    rollouts = [rollout("r1", "b", "so 7", "7"), rollout("r2", "c", "hm", None)]
    nodes = pl.concat([NODES, frame("tree_nodes", rollouts)])
    assert counts(nodes) == {
        "trees": 2, "steps": 8, "rollouts": 2, "share_of_trees_all_right_or_all_wrong": 0.5,
        "judged_texts": 3, "judged_texts_without_an_answer": 1,
    }  # fmt: skip
    assert {row["tree_id"] for row in showpiece(nodes)} == {"t1"}
    assert {row["tree_id"] for row in showpiece(nodes, most=3)} == {"flat"}
    assert showpiece(nodes.clear()) == [] and counts(nodes.clear())["trees"] == 0
