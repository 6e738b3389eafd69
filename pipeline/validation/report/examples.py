"""Pairs to read."""

from typing import Any

import polars as pl

from pipeline.config import Settings
from pipeline.store import Lake
from pipeline.validation.report.blocks import Section, Table

SHOWN = 3  # pairs per variant


def pairs(lake: Lake, settings: Settings) -> Section | None:
    """A few pairs of each variant, with their lineage."""
    rows = lake.read("preferences").sort("pair_id")
    chosen = [rows.filter(pl.col("variant") == name).head(SHOWN) for name in settings.validation.variants]
    cells = [_cells(row) for frame in chosen for row in frame.iter_rows(named=True)]
    if not cells:
        return None
    titles = ["variant", "prompt and shared prefix", "chosen", "rejected", "lineage"]
    return Section("Examples", [Table(f"{SHOWN} pairs of each variant, with their lineage", titles, cells)])


def _cells(pair: dict[str, Any]) -> list[str]:
    lineage = f"{pair['chosen_id']} over {pair['rejected_id']}{', exchanged' if pair['flipped'] else ''}"
    margin = "unknown" if pair["margin"] is None else f"{pair['margin']:.3f}"
    prompt = f"{pair['messages'][-1]['content']}\n{pair['prefix']}".rstrip()
    return [pair["variant"], prompt, pair["chosen"], pair["rejected"], f"{lineage}; margin {margin}"]
