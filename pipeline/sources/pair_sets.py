"""Sources that are evaluation sets: pairs that policies rank, and that nothing learns from."""

from collections.abc import Iterable

import polars as pl

from pipeline.config import Settings
from pipeline.folding import turns_id


def pair_sets(settings: Settings) -> list[str]:
    """Names of the sources that are evaluation sets."""
    return [source.name for source in settings.sources if source.role == "evaluation"]


def asked_by(pairs: pl.DataFrame, names: Iterable[str]) -> dict[str, str]:
    """Conversation (`turns_id`) -> the set of pairs that holds it; pairs: `recorded_pairs`."""
    own = pairs.filter(pl.col("origin").is_in(list(names))).drop_nulls("messages")
    found: dict[str, str] = {}
    for origin, messages in own.select("origin", "messages").iter_rows():
        found.setdefault(turns_id(messages), origin)
    return found
