"""Pairs to read."""

from typing import Any

import polars as pl

from pipeline.config import Settings
from pipeline.conversation import asked_last, beginning_of
from pipeline.store.reader import Reader
from pipeline.validation.report.blocks import Section, Table

SHOWN = 3  # pairs per variant


def pairs(lake: Reader, settings: Settings) -> Section | None:
    """A few pairs of each variant, with where they come from."""
    found = lake.query_file("pair_lineage", shown=SHOWN)
    rows = found.filter(pl.col("variant").is_in(settings.validation.variants))
    if rows.is_empty():
        return None
    titles = ["variant", "prompt and shared prefix", "chosen", "rejected", "lineage"]
    caption = (
        f"{SHOWN} pairs of each variant, the first by id, "
        f"of preferences at version {lake.version('preferences')}"
    )
    return Section(
        "Examples", [Table(caption, titles, [_cells(row) for row in rows.iter_rows(named=True)])]
    )


def _cells(pair: dict[str, Any]) -> list[str]:
    known = [
        f"{name.replace('_', ' ')} {pair[name]:.3f}"
        for name in ("strength", "margin", "noise_score")
        if pair[name] is not None
    ]
    lineage = [
        f"pair {pair['pair_id']}: {pair['method']}{', exchanged' if pair['flipped'] else ''}",
        f"chosen: {pair['chosen_side']}",
        f"rejected: {pair['rejected_side']}",
        f"prompt {pair['prompt_id']} of {pair['pool'] or 'no pool'}, {pair['split']}",
        f"written by {pair['policy_id']}",
        ", ".join(known),
    ]
    asked, begun = asked_last(pair["messages"]), beginning_of(pair["messages"])
    prompt = f"{asked}\n{begun}{pair['prefix']}".rstrip()
    return [
        pair["variant"],
        prompt,
        pair["chosen"],
        pair["rejected"],
        "\n".join(line for line in lineage if line),
    ]
