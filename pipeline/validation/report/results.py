"""What was seen: the leaderboard, and a sentence per variant."""

from typing import Any

import polars as pl

from pipeline.config import Settings
from pipeline.store import Lake
from pipeline.validation import figures
from pipeline.validation.footing import footing
from pipeline.validation.report.blocks import Bullets, Picture, Section, Table, Text
from pipeline.validation.statistics import prompts_needed

COLUMNS = {
    "variant": ("variant", ""),
    "accuracy": ("accuracy", ".3f"),
    "gain": ("gain", "+.3f"),
    "interval": ("interval", ""),
    "verdict": ("verdict", ""),
    "reward_accuracy": ("reward accuracy", ".2f"),
    "reward_pairs": ("of pairs", ","),
    "n_pairs": ("pairs", ","),
    "n_tokens": ("trained tokens", ","),
    "n_steps": ("steps", ","),
    "length_ratio": ("length ratio", ".2f"),
    "response_tokens": ("answer tokens", ".1f"),
    "data_tokens": ("data tokens", ","),
    "gain_per_million_tokens": ("gain per million", "+.2f"),
    "train_seconds": ("seconds", ",.0f"),
}


def leaderboard(lake: Lake, settings: Settings) -> Section:
    """The leaderboard in words, figures and a plot."""
    board = lake.read("leaderboard")
    return Section(
        "What was seen",
        [
            Text(_setting(settings)),
            Text(" ".join(footing(board))),
            Bullets([_sentence(lake, row, settings) for row in board.iter_rows(named=True)]),
            _table(board),
            Picture(
                figures.intervals(
                    [(r["variant"], r["gain"], r["gain_low"], r["gain_high"]) for r in board.iter_rows(named=True)],
                    "gain in accuracy over the base model",
                ),
                "Gain of each variant over the base model with its interval; the figures stand in the leaderboard.",
            ),
        ],
    )


def _setting(settings: Settings) -> str:
    chosen = settings.validation
    return (
        f"Profile {settings.profile}, run seed {settings.seed}, model {settings.model.name}. Accuracy is the share of "
        f"right draws ({chosen.draws} per prompt) on held-out test prompts; intervals are paired bootstrap over "
        f"prompts, {chosen.confidence:.0%}. A control is a variant whose labels were shuffled."
    )


def _table(board: pl.DataFrame) -> Table:
    rows = [
        [f"{row['gain_low']:+.3f} to {row['gain_high']:+.3f}" if key == "interval" else row[key] for key in COLUMNS]
        for row in board.iter_rows(named=True)
    ]
    formats = {title: spec for title, spec in COLUMNS.values() if spec}
    return Table("Leaderboard", [title for title, _ in COLUMNS.values()], rows, formats)


def _sentence(lake: Lake, row: dict[str, Any], settings: Settings) -> str:
    """What a reader may conclude about one variant, and how many prompts would settle it."""
    if row["variant"] == "base":
        return f"base answers {row['accuracy']:.1%} of the draws on test prompts right."
    low, high = f"{row['gain_low']:+.3f}", f"{row['gain_high']:+.3f}"
    text = f"{row['variant']} is {row['verdict']}: gain {row['gain']:+.3f} [{low}, {high}]"
    if row["verdict"] != "not distinguishable":
        return text + "."
    needed = prompts_needed(_differences(lake, row["variant"]), settings.validation.confidence)
    return text + (f"; a difference of this size would take about {needed} prompts to show." if needed else ".")


def _differences(lake: Lake, variant: str) -> Any:
    query = """
        SELECT avg(value) FILTER (variant = $variant) - avg(value) FILTER (variant = 'base') AS difference
        FROM evaluations WHERE metric = 'accuracy' AND variant IN ($variant, 'base') GROUP BY unit_id
    """
    return lake.sql(query, {"variant": variant})["difference"].to_numpy()
