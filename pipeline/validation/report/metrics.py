"""Beside accuracy: how the answers changed, how held-out pairs are ranked,
and which categories fell.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from pipeline.config import Settings
from pipeline.store.reader import Reader
from pipeline.validation.metrics import ALL, PAIRS
from pipeline.validation.report.blocks import UNKNOWN, Block, Bullets, Section, Table, Text
from pipeline.validation.sets import MARK

OWN = ~pl.col("metric").str.contains(MARK, literal=True)  # not of an evaluation set
HIDDEN = ("accuracy", "reward_accuracy")  # the leaderboard has them


def answers(lake: Reader, _: Settings) -> Section | None:
    """Metrics on the profile's own test prompts, a row per variant."""
    rows = lake.read("metrics").filter(pl.col("category") == ALL, pl.col("split") == "test", OWN)
    return _section("Answers on test prompts", "Answers: value and interval", rows)


def ranking(lake: Reader, _: Settings) -> Section | None:
    """Metrics on held-out pairs, a row per variant,
    and the reference's limits by the pairs' variant.
    """
    found = lake.read("metrics").filter(pl.col("split") == "validation", OWN)
    limits = ["ideal_ranking", "unflippable", "flip_loss"]
    own = found.filter(
        pl.col("category") == ALL, ~pl.col("metric").str.contains("ideal_|unflippable|flip_loss")
    )
    section = _section("Ranking of held-out pairs", "Held-out pairs: value and interval", own)
    if section is None:
        return None
    base = found.filter(pl.col("variant") == "base").to_dicts()
    categories = list(dict.fromkeys(row["category"] for row in base))
    cells = [
        [name, *_ideal([row for row in base if row["category"] == name], limits)]
        for name in categories
    ]
    titles = [
        "pairs",
        "of pairs",
        "ideal ranking accuracy",
        "ideal over betas: least, median, most",
    ]
    meanings = {row["metric"]: row["meaning"] for row in base if row["metric"] in limits}
    return Section(
        section.title,
        [
            *section.blocks,
            Table(
                "How far DPO could bring the base model",
                [*titles, "unflippable", "flip loss"],
                cells,
            ),
            Bullets(
                [
                    f"{metric.replace('_', ' ')}: {meanings[metric]}."
                    for metric in limits
                    if metric in meanings
                ]
            ),
        ],
    )


def categories(lake: Reader, _: Settings) -> Section | None:
    """Accuracy by pool and task against the base model, and which categories fell."""
    accurate = pl.col("metric").str.contains(f"^accuracy({MARK}|$)")
    rows = lake.read("metrics").filter(accurate, pl.col("category") != ALL)
    compared = rows.filter(pl.col("variant") != "base").sort("category", "variant")
    if compared.is_empty():
        return None
    fell = compared.filter(pl.col("verdict") == "worse")
    said = [
        f"{row['variant']} fell in {row['category']}: "
        f"{row['change']:+.3f} {_interval(row, 'change_')}, n = {row['n']}."
        for row in fell.iter_rows(named=True)
    ]
    columns = ["category", "variant", "n", "value", "base", "change"]
    cells = [
        [*(row[c] for c in columns), _interval(row, "change_"), row["p_holm"], row["verdict"]]
        for row in compared.iter_rows(named=True)
    ]
    titles = [
        "category",
        "variant",
        "prompts",
        "accuracy",
        "base model",
        "change",
        "interval",
        "p, corrected",
        "verdict",
    ]
    blocks: list[Block] = [
        Bullets(said) if said else Text("No category fell distinguishably, at this size."),
        Table(
            "Accuracy by category; p is corrected over all rows", titles, cells, {"change": "+.3f"}
        ),
    ]
    return Section("Regressions by category", blocks)


def _section(title: str, caption: str, rows: pl.DataFrame) -> Section | None:
    shown = rows.filter(~pl.col("metric").is_in(HIDDEN))
    if shown.is_empty():
        return None
    names = [name for name in _order(shown) if name]
    found = {(row["variant"], row["metric"]): row for row in shown.iter_rows(named=True)}
    variants = shown["variant"].unique().sort().to_list()
    cells = [
        [variant, *(_value(found.get((variant, name))) for name in names)] for variant in variants
    ]
    meanings = dict(shown.select("metric", "meaning").iter_rows())
    return Section(
        title,
        [
            Table(caption, ["variant", *(name.replace("_", " ") for name in names)], cells),
            Bullets([f"{name.replace('_', ' ')}: {meanings[name]}." for name in names]),
        ],
    )


def _order(rows: pl.DataFrame) -> list[str]:
    """Metrics of pairs in the order in which they are explained, the others by name."""
    names = rows["metric"].unique().sort().to_list()
    return sorted(names, key=lambda name: list(PAIRS).index(name) if name in PAIRS else 0)


def _ideal(rows: Sequence[Mapping[str, Any]], limits: Sequence[str]) -> list[Any]:
    found = {row["metric"]: row for row in rows}
    at = sorted(row["value"] for row in rows if row["metric"].startswith("ideal_ranking_beta_"))
    spread = f"{at[0]:.2f}, {at[len(at) // 2]:.2f}, {at[-1]:.2f}" if at else None
    ideal, *rest = [found[name]["value"] if name in found else None for name in limits]
    n = found["ideal_ranking"]["n"] if "ideal_ranking" in found else None
    return [n, ideal, spread, *rest]


def _value(row: Mapping[str, Any] | None) -> str:
    return UNKNOWN if row is None else f"{row['value']:.3f} {_interval(row)}".strip()


def _interval(row: Mapping[str, Any], prefix: str = "") -> str:
    low, high = row[f"{prefix}low"], row[f"{prefix}high"]
    return "" if low is None else f"[{low:.3f}, {high:.3f}]"
