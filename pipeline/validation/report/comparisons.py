"""Who beats its control, and who beats whom."""

from pipeline import figures
from pipeline.config import Settings
from pipeline.store.reader import Reader
from pipeline.validation.report.blocks import Block, Bullets, Picture, Section, Table, Text

FAMILIES = {"control": "Variants against their controls", "pairwise": "Variants against each other"}
COLUMNS = {
    "variant": "variant",
    "against": "against",
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
    """The tests of variants against controls and against each other, by family."""
    rows = lake.read("comparisons")
    blocks: list[Block] = []
    for family, title in FAMILIES.items():
        own = rows.filter(family=family).sort("p_holm", "variant", "against")
        if own.is_empty():
            continue
        gains = [
            (f"{row['variant']} - {row['against']}", *(row[f"gain{end}"] for end in ENDS))
            for row in own.iter_rows(named=True)
        ]
        table = Table(title, [*COLUMNS.values()], own.select(*COLUMNS).rows(), FORMATS)
        blocks += [
            Bullets(own["conclusion"].to_list()),
            Picture(
                figures.intervals(gains, f"difference in {own['metric'][0]}"),
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
