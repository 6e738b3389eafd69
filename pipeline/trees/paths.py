"""Paths of a finished tree: from the first step to a leaf."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]  # of `tree_nodes`


@dataclass(frozen=True)
class Path:
    """A root-to-leaf path, the root left out. Its value is its leaf's; null where that was never valued."""

    steps: tuple[Row, ...]

    @property
    def leaf(self) -> Row:
        return self.steps[-1]

    @property
    def value(self) -> float | None:
        value: float | None = self.leaf["value"]
        return value

    @property
    def text(self) -> str:
        return "".join(step["text"] for step in self.steps)


def paths(rows: Iterable[Row]) -> list[Path]:
    """Every root-to-leaf path over the steps of one tree, by leaf id: the order of rows does not matter."""
    steps = {row["node_id"]: row for row in rows if row["kind"] == "step"}
    inner = {row["parent_id"] for row in steps.values()}
    return [_up(steps, leaf) for leaf in sorted(steps) if leaf not in inner]


def best(found: Sequence[Path]) -> Path | None:
    """The path of the highest value; of equals a finished one, then the shorter, then the first by leaf id."""
    valued = [path for path in found if path.value is not None]
    return max(valued, key=lambda path: (path.value, path.leaf["terminal"], -path.leaf["depth"]), default=None)


def _up(steps: dict[str, Row], leaf: str) -> Path:
    found = []
    node: Row | None = steps[leaf]
    while node is not None:
        found.append(node)
        node = steps.get(node["parent_id"])
    return Path(tuple(reversed(found)))
