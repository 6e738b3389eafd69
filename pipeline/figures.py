"""Plots of the report and the UI.

None says by colour alone what it says: names, line styles and panels do.
"""

from collections.abc import Mapping, Sequence
from itertools import cycle

from matplotlib.axes import Axes
from matplotlib.figure import Figure

SIZE = (5.0, 2.8)  # inches
PANEL = (2.6, 1.9)  # inches
ACROSS = 3  # panels in a row
INK = "#3b6ea5"
STYLES = ("-", "--", ":", "-.")
MARKS = ("o", "s", "^", "D", "v", "x")

Points = Sequence[tuple[float, float]]


def histogram(values: Sequence[float], x: str, y: str) -> Figure:
    """How often values occur."""
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    axes.hist(list(values), bins=20, range=_span(values), color=INK, edgecolor="white")
    axes.set(xlabel=x, ylabel=y)
    return figure


def _span(values: Sequence[float]) -> tuple[float, float] | None:
    """From where to where the bins of a histogram go; null: from the least to the greatest value.

    Values that differ by rounding alone leave no room for bins between them.
    """
    if not values:
        return None
    low, high = min(values), max(values)
    size = max(1.0, abs(low), abs(high))
    if high - low >= 1e-6 * size:
        return None
    return (
        low - 0.475 * size,
        low + 0.525 * size,
    )  # they lie in the middle of the tenth of 20 bins


def histograms(groups: Mapping[str, Sequence[float]], x: str, y: str) -> Figure:
    """How often values occur, a panel per group, with the same bins in [0, 1]."""
    figure, panels = _panels(list(groups))
    for axes, values in zip(panels, groups.values(), strict=True):
        axes.hist(list(values), bins=20, range=(0, 1), color=INK, edgecolor="white")
    figure.supxlabel(x, fontsize=9)
    figure.supylabel(y, fontsize=9)
    return figure


def curves(lines: Mapping[str, Points], x: str, y: str) -> Figure:
    """One line per name, points in order; lines differ in style and mark."""
    figure = Figure(figsize=SIZE, layout="constrained")
    _draw(axes := figure.subplots(), lines)
    axes.set(xlabel=x, ylabel=y)
    if lines:
        axes.legend(fontsize=7)
    return figure


def panels(groups: Mapping[str, Mapping[str, Points]], x: str, y: str) -> Figure:
    """A panel per group with a line per name in it; all panels have the same scales."""
    figure, found = _panels(list(groups))
    for axes, lines in zip(found, groups.values(), strict=True):
        _draw(axes, lines)
        if len(lines) > 1:
            axes.legend(fontsize=6)
    figure.supxlabel(x, fontsize=9)
    figure.supylabel(y, fontsize=9)
    return figure


def intervals(rows: Sequence[tuple[str, float, float, float]], x: str, line: float = 0.0) -> Figure:
    """(name, mean, low, high) as a forest plot with a line where nothing differs."""
    figure = Figure(figsize=(SIZE[0], 0.8 + 0.4 * len(rows)), layout="constrained")
    axes = figure.subplots()
    places = range(len(rows), 0, -1)
    for place, (_, mean, low, high) in zip(places, rows, strict=True):
        axes.plot([low, high], [place, place], color=INK)
        axes.plot([mean], [place], "o", color=INK)
    axes.axvline(line, color="grey", linewidth=0.8)
    axes.set_yticks(list(places), [row[0] for row in rows])
    axes.set(xlabel=x)
    return figure


def _draw(axes: Axes, lines: Mapping[str, Points]) -> None:
    for (name, points), style, mark in zip(
        lines.items(), cycle(STYLES), cycle(MARKS), strict=False
    ):
        marked = max(1, len(points) // 8)
        axes.plot(
            [p[0] for p in points], [p[1] for p in points], label=name, linestyle=style,
            marker=mark, markevery=marked, markersize=3, linewidth=1.2,
        )  # fmt: skip


def _panels(names: Sequence[str]) -> tuple[Figure, list[Axes]]:
    """Panels side by side, a name over each."""
    across, down = min(ACROSS, max(1, len(names))), max(1, -(-len(names) // ACROSS))
    figure = Figure(figsize=(PANEL[0] * across, PANEL[1] * down + 0.3), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
    cells = list(grid.flat)
    for axes in cells[len(names) :]:
        axes.set_axis_off()
    for axes, name in zip(cells, names, strict=False):
        axes.set_title(name, fontsize=8)
        axes.tick_params(labelsize=7)
    return figure, cells[: len(names)]
