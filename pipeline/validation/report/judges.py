"""The judges and what their strengths are worth."""

from pipeline.config import Settings
from pipeline.store import Lake
from pipeline.validation.report.blocks import Block, Section, Table


def cards(lake: Lake, _: Settings) -> Section | None:
    """Every judge's report card, and judged strength against verified truth."""
    rows, truth = lake.read("judges").sort("origin", "judge_id", "criterion"), lake.query_file("strength_truth")
    blocks: list[Block] = []
    if rows.height:
        shown = {
            "judge": "judge_id",
            "criterion": "criterion",
            "pairs of": "origin",
            "pairs": "n_pairs",
            "flips": "flip_rate",
            "first seat": "first_share",
            "calibration error": "ece",
            "in words": "verdict",
        }
        cells = rows.select(shown.values()).rows()
        blocks.append(Table("Every judge's report card", [*shown], cells, {"flips": ".2f", "first seat": ".2f"}))
    if truth.height:
        titles = ["variant", "pairs", "mean strength", "chosen side is right"]
        cells = truth.select("variant", "pairs", "mean_strength", "share_right").rows()
        blocks.append(Table("Judged strength against verified truth", titles, cells))
    return Section("Judges", blocks) if blocks else None
