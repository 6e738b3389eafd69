"""What it cost."""

from pipeline.config import Settings
from pipeline.store.reader import Reader
from pipeline.validation.report.blocks import Section, Table


def spent(lake: Reader, _: Settings) -> Section | None:
    """What each step has really spent, over all runs, and all of them together."""
    usage = lake.query_file("usage")
    if usage.is_empty():
        return None
    columns = [
        "step",
        "runs",
        "requests",
        "cache_hits",
        "sampled_tokens",
        "saved_tokens",
        "seconds",
    ]
    titles = [
        "step",
        "runs",
        "requests",
        "from the cache",
        "sampled tokens",
        "saved tokens",
        "seconds",
    ]
    total = ["all", None, *(usage[name].sum() for name in columns[2:])]
    cells = [*usage.select(columns).rows(), total]
    return Section(
        "Cost",
        [Table("What each step has really spent so far", titles, cells, {"seconds": ",.1f"})],
    )
