"""Pictures of strengths and noise scores: for the report, and for the assets' metadata."""

import polars as pl
from matplotlib.figure import Figure

from pipeline.noise.strength import by_decile


def of_strength(strength: pl.DataFrame, truth: pl.DataFrame | None = None) -> Figure:
    """Secrets of RLHF II's figures:
    agreement by group of strength, and the spread of the margins beside it.

    The paper asked GPT-4 whether labels are right; here a verifier says so where it knows.

    Args:
        strength: rows of `pair_strengths` with a mean.
        truth: chosen_id, rejected_id, right (1 where the chosen side is known to be the better one,
            else 0).
    """
    lines = {
        "voters for the label": by_decile(strength, 1 - pl.col("share_against")),
        "P(label is right)": by_decile(strength, 1 - pl.col("noise_score")),
    }
    if truth is not None and truth.height:
        known = strength.join(truth, on=["chosen_id", "rejected_id"])
        lines["label right by its verifier"] = by_decile(known, pl.col("right"))
    figure = Figure(figsize=(8.0, 2.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, points in lines.items():
        if points:
            left.plot(
                [x for x, _ in points], [y for _, y in points], marker="o", markersize=3, label=name
            )
    left.axhline(0.5, color="grey", linewidth=0.8)
    left.set(xlabel="decile of the mean margin", ylabel="share", ylim=(-0.03, 1.03))
    left.legend(fontsize=7)
    spread = by_decile(strength, pl.col("spread"))
    right.plot(
        [x for x, _ in spread], [y for _, y in spread], marker="o", markersize=3, color="#3b6ea5"
    )
    right.set(xlabel="decile of the mean margin", ylabel="spread of the margins")
    return figure


def histograms(strength: pl.DataFrame) -> Figure:
    """How often mean margins and noise scores occur.

    What is unknown is left out and counted in the title.
    """
    figure = Figure(figsize=(8.0, 2.8), layout="constrained")
    for axes, column, x in zip(
        figure.subplots(1, 2),
        ("mean", "noise_score"),
        ("mean margin, standard deviations", "P(label is wrong)"),
        strict=True,
    ):
        known = strength[column].drop_nulls()
        axes.hist(known.to_list(), bins=20, color="#3b6ea5", edgecolor="white")
        unknown = strength.height - len(known)
        axes.set(xlabel=x, ylabel="pairs", title=f"unknown: {unknown}" if unknown else "")
    return figure
