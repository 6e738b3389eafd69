"""A tree for people: found by the start of its prompt's id, drawn in the terminal."""

from collections.abc import Sequence

import polars as pl
from rich.text import Text
from rich.tree import Tree as Drawing

from pipeline.errors import OrchardError
from pipeline.escaped import visible
from pipeline.store import Lake
from pipeline.trees.node import Row
from pipeline.trees.paths import best, paths


def find(lake: Lake, prompt: str, method: str | None = None) -> list[tuple[str, pl.DataFrame]]:
    """(question, rows) of every tree of the prompt whose id begins with `prompt`,
    of one method or of all.

    Raises:
        OrchardError: no prompt, several prompts, or none with a tree.
    """
    query = (
        "SELECT prompt_id, list_filter(messages, lambda turn: turn.role = 'user')[-1].content "
        "AS question FROM prompts "
        "WHERE starts_with(prompt_id, $start)"
    )
    found = lake.sql(query + " ORDER BY prompt_id", {"start": prompt})
    if found.height != 1 or not prompt:
        some = ", ".join(found["prompt_id"].head(3)) + (", ..." if found.height > 3 else "")
        wrong = f"{found.height} prompts' ids begin with {prompt!r} ({some}): give more of it"
        raise OrchardError(
            wrong if found.height else f"no prompt's id begins with {prompt!r}: see `{_LISTING}`"
        )
    prompt_id, question = found.row(0)
    query = (
        "SELECT * FROM tree_nodes WHERE prompt_id = $id AND ($method IS NULL OR method = $method)"
    )
    nodes = lake.sql(query + " ORDER BY method, tree_id", {"id": prompt_id, "method": method})
    if nodes.is_empty():
        of = f" of method {method}" if method else ""
        raise OrchardError(
            f"prompt {prompt_id} has no tree{of}: see `{_LISTING}` for those that have one"
        )
    return [(question, tree) for _, tree in nodes.group_by("tree_id", maintain_order=True)]


_LISTING = 'orchard sql "SELECT DISTINCT prompt_id, method FROM tree_nodes"'


def drawing(question: str, rows: Sequence[Row]) -> Drawing:
    """A tree's steps with values and counts; the best path is marked with * and in bold."""
    root = next(row for row in rows if row["kind"] == "root")
    path = best(paths(rows))
    marked = {step["node_id"] for step in path.steps} if path else set()
    drawn = Drawing(
        Text(f"{visible(question)}  [{root['method']}, tree {root['tree_id']}]{_figures(root)}")
    )
    _hang(drawn, root["node_id"], _by_parent(rows), marked)
    return drawn


def _by_parent(rows: Sequence[Row]) -> dict[str, list[Row]]:
    below: dict[str, list[Row]] = {}
    for row in sorted(
        (row for row in rows if row["kind"] == "step"),
        key=lambda row: (row["draw"], row["node_id"]),
    ):
        below.setdefault(row["parent_id"], []).append(row)
    return below


def _hang(drawn: Drawing, parent: str, below: dict[str, list[Row]], marked: set[str]) -> None:
    for row in below.get(parent, []):
        text = visible(" ".join(row["text"].split())) or "(blank line)"
        on_path = row["node_id"] in marked
        line = Text(f"{'* ' if on_path else ''}{text}", style="bold" if on_path else "")
        line.append(_figures(row), style="dim")
        _hang(drawn.add(line), row["node_id"], below, marked)


def _figures(row: Row) -> str:
    """Value with its counts, expansion, and whether the response ends here."""
    parts = []
    if row["value"] is not None:
        counts = (
            f" ({row['n_correct']}/{row['n_rollouts']})"
            if row["n_rollouts"]
            else f" ({row['valuation']})"
        )
        parts.append(f"{row['value']:.3f}{counts}")
    if row["merged"] > 1:
        parts.append(f"drawn {row['merged']} times")
    if row["expanded_order"] is not None:
        parts.append(f"expanded {row['expanded_order'] + 1}.")
    if row["terminal"]:
        parts.append({True: "ends, right", False: "ends, wrong", None: "ends"}[row["correct"]])
    return "  " + ", ".join(parts) if parts else ""
