"""The pairs that were learned from."""

import polars as pl

from pipeline import figures
from pipeline.config import Settings
from pipeline.store.reader import Reader
from pipeline.validation.report.blocks import Block, Picture, Section, Table, Text


def pairs(lake: Reader, _: Settings) -> Section | None:
    """Strengths and noise of the pairs, how long their sides are, and how many there are."""
    rows = lake.read("preferences")
    if rows.is_empty():
        return None
    depths = lake.query_file("pairs_per_depth")
    blocks: list[Block] = [
        *_spread(rows, "strength", "Strengths: P(chosen is better)"),
        *_spread(rows, "noise_score", "Noise: P(the label is wrong)"),
        *_lengths(lake),
        Table(
            "Pairs by variant, split and depth",
            [c.replace("_", " ") for c in depths.columns],
            depths.rows(),
        ),
    ]
    return Section("Data", blocks)


def _spread(rows: pl.DataFrame, column: str, title: str) -> list[Block]:
    """A histogram per variant that has such values, with quartiles as its table."""
    known = rows.drop_nulls(column).sort("variant")
    if known.is_empty():
        return [Text(f"{title}: unknown for every pair.")]
    groups = {
        str(name): frame[column].to_list()
        for (name,), frame in known.group_by("variant", maintain_order=True)
    }
    values = pl.col(column)
    quartiles = known.group_by("variant", maintain_order=True).agg(
        pl.len(), *(values.quantile(q, "linear").alias(str(q)) for q in (0, 0.25, 0.5, 0.75, 1))
    )
    titles = ["variant", "pairs", "least", "lower quartile", "median", "upper quartile", "most"]
    return [
        Picture(
            figures.histograms(groups, column.replace("_", " "), "pairs"),
            f"{title}: a histogram per variant.",
            Table(title, titles, quartiles.rows()),
        )
    ]


def _lengths(lake: Reader) -> list[Block]:
    found = lake.query_file("length_ratios")
    if found.is_empty():
        return []
    titles = ["variant", "pairs", "chosen tokens", "rejected tokens", "ratio", "chosen is longer"]
    ratios = [
        (row["variant"], row["ratio"], row["ratio"], row["ratio"])
        for row in found.drop_nulls("ratio").iter_rows(named=True)
    ]
    formats = {"chosen tokens": ".1f", "rejected tokens": ".1f", "ratio": ".2f"}
    return [
        Picture(
            figures.intervals(
                ratios, "tokens of chosen texts over tokens of rejected texts", line=1.0
            ),
            "Length ratio of each variant: tokens of chosen over tokens of rejected texts, "
            "with a line at 1.",
            Table(
                "Length of the sides; chosen is longer: share of pairs, equal ones half",
                titles,
                found.rows(),
                formats,
            ),
        )
    ]
