"""What it cost."""

from pipeline.config import Settings
from pipeline.store import Lake
from pipeline.validation.report.blocks import Section, Table


def spent(lake: Lake, _: Settings) -> Section | None:
    """What each step has really spent, over all runs."""
    usage = lake.query_file("usage")
    if usage.is_empty():
        return None
    shown = {
        "step": "step",
        "runs": "runs",
        "requests": "requests",
        "from the cache": "cache_hits",
        "sampled tokens": "sampled_tokens",
        "saved tokens": "saved_tokens",
        "seconds": "seconds",
    }
    cells = usage.select(shown.values()).rows()
    return Section("Cost", [Table("What each step has cost so far", [*shown], cells, {"seconds": ",.1f"})])
