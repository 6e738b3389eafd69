"""How the trainings went."""

import json
from typing import Any

import polars as pl

from pipeline import figures
from pipeline.config import Settings
from pipeline.store.reader import Reader
from pipeline.validation.report.blocks import Picture, Section, Table, Text

SHOWN = 6  # points of each curve in its table
# place in a point of the curve
MEASURES = {"loss": 1, "share of pairs right": 2, "reward margin": 3}
SIDES = {"better texts": 4, "other texts": 5}


def curves(lake: Reader, _: Settings) -> Section | None:
    """Loss, accuracy, reward margin and log-probabilities of every run by optimiser step."""
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
            *_unsearched(runs),
            ends,
            *_tries(runs),
            *(_curve(points, name, place) for name, place in MEASURES.items()),
            *_displacement(points),
        ],
    )


def _unsearched(runs: pl.DataFrame) -> list[Text]:
    """Says for which variants no settings were tried though the profile asks for it."""
    names = runs.filter(pl.col("tries") == "[]")["variant"].unique().sort().to_list()
    why = "no validation pairs to choose settings on: trained with the profile's"
    return [Text(f"Not searched, {why}: {', '.join(names)}.")] if names else []


def _tries(runs: pl.DataFrame) -> list[Table]:
    """All tries of the search for training settings, and which was taken."""
    found = runs.drop_nulls("tries").unique("variant", keep="first", maintain_order=True)
    cells = [
        [variant, _said(one["changes"]), one["accuracy"], one["n_pairs"], one["taken"]]
        for variant, said in found.select("variant", "tries").iter_rows()
        for one in json.loads(said)
    ]
    titles = ["variant", "settings tried", "validation pairs right", "pairs", "taken"]
    what = "Search for training settings, on validation pairs that nothing else here reports"
    return [Table(what, titles, cells)] if cells else []


def _said(changes: dict[str, Any]) -> str:
    plain = {**changes, **changes.get("losses", {})}
    return ", ".join(f"{name} {value}" for name, value in plain.items() if name != "losses")


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
    titles = ["variant", "seed", *_shares()]
    return Picture(
        figures.panels(groups, "optimiser step", name),
        f"Training: {name} by optimiser step, a panel per variant and a line per seed.",
        Table(f"{name.capitalize()} along the training", titles, cells),
    )


def _displacement(runs: list[tuple[str, int, list[Any]]]) -> list[Picture]:
    """Log-probabilities of both sides: of the runs whose curves hold them."""
    known = [
        (variant, seed, points) for variant, seed, points in runs if any(map(has_sides, points))
    ]
    if not known:
        return []
    groups: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for variant, seed, points in known:
        for name, place in SIDES.items():
            line = [(p[0], p[place]) for p in points if p[place] is not None]
            groups.setdefault(variant, {})[f"{name}, seed {seed}"] = line
    cells = [
        [variant, seed, name, *_few([p for p in points if p[place] is not None], place)]
        for variant, seed, points in known
        for name, place in SIDES.items()
    ]
    titles = ["variant", "seed", "texts", *_shares()]
    what = "mean log-probability per token"
    return [
        Picture(
            figures.panels(groups, "optimiser step", f"{what}, nats"),
            "Training: log-probabilities of both sides. Where both fall, what is preferred has "
            "become less likely too, and texts that no pair holds more likely (displacement).",
            Table(f"{what.capitalize()} along the training", titles, cells),
        )
    ]


def has_sides(point: list[Any]) -> bool:
    """Whether a point of a curve holds log-probabilities: those of older code do not."""
    return len(point) > max(SIDES.values())


def _shares() -> list[str]:
    return [f"{100 * i // (SHOWN - 1)} % of the steps" for i in range(SHOWN)]


def _few(points: list[Any], place: int) -> list[float | None]:
    if not points:
        return [None] * SHOWN
    return [points[round(i * (len(points) - 1) / (SHOWN - 1))][place] for i in range(SHOWN)]
