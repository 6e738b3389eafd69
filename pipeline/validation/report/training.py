"""How the trainings went."""

import json
from typing import Any

import polars as pl

from pipeline import figures
from pipeline.config import Settings
from pipeline.store.reader import Reader
from pipeline.validation.report.blocks import Picture, Section, Table, Text

SHOWN = 6  # points of each curve in its table
MEASURES = {"loss": 1, "share of pairs right": 2}  # place in a point of the curve


def curves(lake: Reader, _: Settings) -> Section | None:
    """Loss and accuracy of every run by optimiser step."""
    runs = lake.read("training_runs").sort("variant", "seed")
    if runs.is_empty():
        return None
    columns = [
        "variant",
        "seed",
        "loss",
        "n_steps",
        "loss_first",
        "loss_last",
        "accuracy_last",
        "seconds",
    ]
    titles = [
        "variant",
        "seed",
        "loss",
        "steps",
        "loss, first tenth",
        "loss, last tenth",
        "pairs right, last tenth",
    ]
    ends = Table(
        "Trainings", [*titles, "seconds"], runs.select(columns).rows(), {"seconds": ",.0f"}
    )
    points = [
        (row["variant"], row["seed"], json.loads(row["curve"]))
        for row in runs.iter_rows(named=True)
    ]
    return Section(
        "Training",
        [
            *_unwatched(runs),
            ends,
            *(_curve(points, name, place) for name, place in MEASURES.items()),
        ],
    )


def _unwatched(runs: pl.DataFrame) -> list[Text]:
    """Says which variants did not stop early though the profile asks for it."""
    names = [
        row["variant"]
        for row in runs.iter_rows(named=True)
        if json.loads(row["settings"]).get("patience") and not json.loads(row["looks"] or "[]")
    ]
    why = (
        "trained to their end though training.patience is set (a curriculum, or no validation rows)"
    )
    return [Text(f"Not watched, {why}: {', '.join(dict.fromkeys(names))}.")] if names else []


def _curve(runs: list[tuple[str, int, list[Any]]], name: str, place: int) -> Picture:
    groups: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for variant, seed, points in runs:
        groups.setdefault(variant, {})[f"seed {seed}"] = [
            (point[0], point[place]) for point in points
        ]
    cells = [[variant, seed, *_few(points, place)] for variant, seed, points in runs]
    titles = [
        "variant",
        "seed",
        *(f"{100 * i // (SHOWN - 1)} % of the steps" for i in range(SHOWN)),
    ]
    return Picture(
        figures.panels(groups, "optimiser step", name),
        f"Training: {name} by optimiser step, a panel per variant and a line per seed.",
        Table(f"{name.capitalize()} along the training", titles, cells),
    )


def _few(points: list[Any], place: int) -> list[float | None]:
    if not points:
        return [None] * SHOWN
    return [points[round(i * (len(points) - 1) / (SHOWN - 1))][place] for i in range(SHOWN)]
