"""Paths of a finished tree: from the first step to a leaf."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.trees.ballots import DIGITS, placed
from pipeline.trees.node import Row


@dataclass(frozen=True)
class Path:
    """A root-to-leaf path, the root left out, and its value:
    its leaf's, rounded to 6 digits so that ties are ties.

    Of a tree whose steps were voted on, it is the leaf's place by the votes. Null where nothing
    gave the leaf one.
    """

    steps: tuple[Row, ...]
    value: float | None

    @property
    def leaf(self) -> Row:
        return self.steps[-1]

    @property
    def text(self) -> str:
        return "".join(step["text"] for step in self.steps)


def paths(rows: Iterable[Row]) -> list[Path]:
    """Every root-to-leaf path over the steps of one tree, by leaf id:
    the order of rows does not matter.
    """
    steps = {row["node_id"]: row for row in rows if row["kind"] == "step"}
    inner = {row["parent_id"] for row in steps.values()}
    values = _values(list(steps.values()))
    return [Path(_up(steps, leaf), values.get(leaf)) for leaf in sorted(steps) if leaf not in inner]


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
