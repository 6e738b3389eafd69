"""A picture of a tree, for the report and the UI."""

import textwrap
from collections.abc import Sequence

from matplotlib import colormaps
from matplotlib.figure import Figure

from pipeline.trees.node import Row
from pipeline.trees.paths import best, paths

LABEL = 22  # characters in a line of a node's label, of which there are two
Place = tuple[float, float]


def picture(rows: Sequence[Row]) -> Figure:
    """Steps as boxes coloured by value (red 0, green 1), the first step on top.

    The best path has a thick line.
    """
    root = next(row for row in rows if row["kind"] == "root")
    steps = [row for row in rows if row["kind"] == "step"]
    places = layout([root, *steps])
    leaves, depth = max(x for x, _ in places.values()) + 1, max(y for _, y in places.values())
    figure = Figure(figsize=(max(4.0, 1.7 * leaves), 1.2 + 1.0 * depth), layout="constrained")
    axes = figure.subplots()
    axes.set_axis_off()
    axes.set(xlim=(-0.6, leaves - 0.4), ylim=(-depth - 0.5, 0.5))
    path = best(paths(rows))
    marked = {step["node_id"] for step in path.steps} if path else set()
    for row in steps:
        (x0, y0), (x1, y1) = places[row["parent_id"]], places[row["node_id"]]
        width, colour = (3.0, "black") if row["node_id"] in marked else (0.8, "grey")
        axes.plot([x0, x1], [-y0, -y1], color=colour, linewidth=width, zorder=1)
    for row in [root, *steps]:
        x, y = places[row["node_id"]]
        colour = "white" if row["value"] is None else colormaps["RdYlGn"](0.15 + 0.7 * row["value"])
        edge = {"edgecolor": "black", "linewidth": 2.0 if row["node_id"] in marked else 0.6}
        box = {"boxstyle": "round", "facecolor": colour, **edge}
        axes.text(
            x,
            -y,
            _label(row),
            ha="center",
            va="center",
            fontsize=7,
            zorder=2,
            bbox=box,
            parse_math=False,
        )
    return figure


def layout(rows: Sequence[Row]) -> dict[str, Place]:
    """(x, depth) of every node:
    leaves side by side in the order of draws, a parent over the middle of its children.
    """
    below: dict[str | None, list[Row]] = {}
    for row in sorted(rows, key=lambda row: (row["draw"], row["node_id"])):
        below.setdefault(row["parent_id"], []).append(row)
    places: dict[str, Place] = {}
    taken = 0

    def put(row: Row) -> float:
        nonlocal taken
        children = [put(child) for child in below.get(row["node_id"], [])]
        if children:
            x = (children[0] + children[-1]) / 2
        else:
            x, taken = float(taken), taken + 1
        places[row["node_id"]] = (x, row["depth"])
        return x

    for root in below[None]:
        put(root)
    return places


def _label(row: Row) -> str:
    if row["kind"] == "root":
        return "question"
    text = textwrap.shorten(" ".join(row["text"].split()), 2 * LABEL, placeholder="…") or "(blank)"
    value = "–" if row["value"] is None else f"{row['value']:.2f}"
    counts = f" ({row['n_correct']}/{row['n_rollouts']})" if row["n_rollouts"] else ""
    return "\n".join(
        [*textwrap.wrap(text, LABEL), value + counts + (" end" if row["terminal"] else "")]
    )
