"""Who beats its control, and who beats whom."""

from collections.abc import Mapping
from typing import Any

from pipeline import figures
from pipeline.config import Settings
from pipeline.store.reader import Reader
from pipeline.validation.report.blocks import Block, Bullets, Picture, Section, Table, Text

FAMILIES = {
    "control": "Variants against their controls",
    "pairwise": "Variants against each other",
    "sets": "Evaluation sets, against the base model",
    "brought": "Policies trained elsewhere, against the base model",
    "brought_pairwise": "Policies trained elsewhere and variants, against each other",
    "brought_sets": "Policies trained elsewhere on evaluation sets, against the base model",
}
COLUMNS = {
    "variant": "variant",
    "against": "against",
    "metric": "metric",
    "gain": "gain",
    "gain_low": "from",
    "gain_high": "to",
    "effect_size": "d",
    "p_value": "p",
    "p_holm": "p, corrected",
    "verdict": "verdict",
    "n_prompts": "prompts",
    "detectable_gain": "detectable gain",
    "prompts_needed": "prompts needed",
}
ENDS = ("", "_low", "_high")
FORMATS = dict.fromkeys(("gain", "from", "to", "d"), "+.3f")


def tests(lake: Reader, _: Settings) -> Section | None:
    """The tests of variants against controls, each other, and on evaluation sets, by family."""
    rows = lake.read("comparisons")
    blocks: list[Block] = []
    for family, title in FAMILIES.items():
        own = rows.filter(family=family).sort("p_holm", "variant", "against")
        if own.is_empty():
            continue
        gains = [
            (_label(row), *(row[f"gain{end}"] for end in ENDS)) for row in own.iter_rows(named=True)
        ]
        what = own["metric"][0] if own["metric"].n_unique() == 1 else "its metric"
        table = Table(title, [*COLUMNS.values()], own.select(*COLUMNS).rows(), FORMATS)
        blocks += [
            Bullets(own["conclusion"].to_list()),
            Picture(
                figures.intervals(gains, f"difference in {what}"),
                f"{title}: differences with their intervals.",
                table,
            ),
        ]
    if not blocks:
        return None
    said = (
        "Paired by prompt. The p are corrected within each family (Holm), intervals are of one "
        "test each. d is the difference in standard deviations of the prompts' own differences."
    )
    return Section("Against controls and each other", [Text(said), *blocks])


def _label(row: Mapping[str, Any]) -> str:
    if row["family"].endswith("sets"):
        return f"{row['variant']}, {row['metric']}"
    return f"{row['variant']} - {row['against']}"
