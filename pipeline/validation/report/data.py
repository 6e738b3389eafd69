"""The pairs that were learned from."""

from pipeline.config import Settings
from pipeline.store import Lake
from pipeline.validation import figures
from pipeline.validation.report.blocks import Picture, Section, Table


def pairs(lake: Lake, _: Settings) -> Section:
    """Strengths, and pairs by variant, split and depth."""
    strengths = lake.read("preferences")["strength"].drop_nulls().to_list()
    depths = lake.query_file("pairs_per_depth")
    return Section(
        "Data",
        [
            Picture(figures.histogram(strengths, "strength", "pairs"), "Histogram of the pairs' strengths."),
            Table("Pairs by variant, split and depth", [c.replace("_", " ") for c in depths.columns], depths.rows()),
        ],
    )
