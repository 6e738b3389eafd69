"""Paths of a grown tree: from the first step to a leaf, and on to a whole response."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pipeline.trees.ballots import DIGITS, placed
from pipeline.trees.node import Row


@dataclass(frozen=True)
class Path:
    """A root-to-leaf path, the root left out, and its value:
    its leaf's, rounded to 6 digits so that ties are ties.

    Of a tree whose steps were voted on, it is the leaf's place by the votes. Null where nothing
    gave the leaf one. `rest` is the rollout that completes an unfinished leaf, where one does.
    """

    steps: tuple[Row, ...]
    value: float | None
    rest: Row | None = None

    @property
    def leaf(self) -> Row:
        return self.steps[-1]

    @property
    def last(self) -> Row:
        """The row that the path ends with: the rollout that completes it, or its leaf."""
        return self.rest or self.leaf

    @property
    def text(self) -> str:
        return "".join(row["text"] for row in (*self.steps, *([self.rest] if self.rest else [])))


def paths(rows: Iterable[Row]) -> list[Path]:
    """Every root-to-leaf path over the steps of one tree, by leaf id:
    the order of rows does not matter.
    """
    steps = {row["node_id"]: row for row in rows if row["kind"] == "step"}
    inner = {row["parent_id"] for row in steps.values()}
    values = _values(list(steps.values()))
    return [Path(_up(steps, leaf), values.get(leaf)) for leaf in sorted(steps) if leaf not in inner]


def finished_paths(rows: Iterable[Row]) -> list[Path]:
    """Whole responses, one a valued leaf: its path where that ends, or else one of its rollouts.

    The rollout is the leaf's first that ends by itself and agrees with most of them (right where
    at least half are), so that a leaf of higher value never stands for a wrong response where one
    of lower value stands for a right one (our choice). A leaf without such a rollout gives none:
    the model's own values and votes draw no rollouts, and the token limit may cut all.
    """
    known = list(rows)
    drawn: dict[str, list[Row]] = {}
    for row in known:
        if row["kind"] == "rollout":
            drawn.setdefault(row["parent_id"], []).append(row)
    found = []
    for path in paths(known):
        rest = _completion(path, drawn.get(path.leaf["node_id"], []))
        if path.value is not None and (path.leaf["terminal"] or rest):
            found.append(replace(path, rest=rest))
    return found


def _completion(path: Path, rollouts: Sequence[Row]) -> Row | None:
    leaf = path.leaf
    if leaf["terminal"] or path.value is None:
        return None
    fitting = (
        row
        for row in sorted(rollouts, key=lambda row: row["draw"])
        # a thought of its own would make a thought of the steps before it
        if row["terminal"] and row["thought"] == leaf["thought"]
        if bool(row["correct"]) == (2 * leaf["n_correct"] >= leaf["n_rollouts"])
    )
    return next(fitting, None)


def best(found: Sequence[Path]) -> Path | None:
    """The path of the highest value;
    of equals a finished one, then the shorter, then the first by leaf id.
    """
    valued = [path for path in found if path.value is not None]
    return max(
        valued,
        key=lambda path: (path.value, path.leaf["terminal"], -path.leaf["depth"]),
        default=None,
    )


def _values(steps: Sequence[Row]) -> dict[str, float]:
    if any(step["valuation"] == "vote" for step in steps):
        return placed(steps)
    return {
        step["node_id"]: round(step["value"], DIGITS) for step in steps if step["value"] is not None
    }


def _up(steps: dict[str, Row], leaf: str) -> tuple[Row, ...]:
    found = []
    node: Row | None = steps[leaf]
    while node is not None:
        found.append(node)
        node = steps.get(node["parent_id"])
    return tuple(reversed(found))
