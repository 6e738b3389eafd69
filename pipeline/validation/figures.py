"""Plots of the report and the UI."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

SIZE = (5.0, 2.8)  # inches


def histogram(values: Sequence[float], x: str, y: str) -> Figure:
    """How often values occur."""
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    axes.hist(list(values), bins=20, color="#3b6ea5", edgecolor="white")
    axes.set(xlabel=x, ylabel=y)
    return figure


def curves(lines: Mapping[str, Sequence[tuple[float, float]]], x: str, y: str) -> Figure:
    """One line per name, points in order."""
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    for name, points in lines.items():
        axes.plot([p[0] for p in points], [p[1] for p in points], label=name)
    axes.set(xlabel=x, ylabel=y)
    if lines:
        axes.legend(fontsize=7)
    return figure


def intervals(rows: Sequence[tuple[str, float, float, float]], x: str) -> Figure:
    """(name, mean, low, high) as a forest plot with a line at zero."""
    figure = Figure(figsize=(SIZE[0], 0.8 + 0.4 * len(rows)), layout="constrained")
    axes = figure.subplots()
    places = range(len(rows), 0, -1)
    for place, (_, mean, low, high) in zip(places, rows, strict=True):
        axes.plot([low, high], [place, place], color="#3b6ea5")
        axes.plot([mean], [place], "o", color="#3b6ea5")
    axes.axvline(0, color="grey", linewidth=0.8)
    axes.set_yticks(list(places), [row[0] for row in rows])
    axes.set(xlabel=x)
    return figure
