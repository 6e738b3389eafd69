"""Variants without a training pair: how many rows they have, and what became of the others."""

from collections.abc import Callable, Sequence

from pipeline.config import Settings
from pipeline.preferences.registry import reads_of, variant
from pipeline.steps.declared import Reads
from pipeline.store.reader import Reader

REASONS = 3  # that a sentence names, the commonest first


def untrained(
    lake: Reader, settings: Settings, made_from: Callable[[Reads], Sequence[str]]
) -> list[str]:
    """One sentence for each variant of the profile on which no policy was trained.

    `made_from` gives the tables that something is made from, the nearest first.
    """
    trained = set(lake.read("training_runs")["variant"])
    return [
        _sentence(lake, name, variant(name, settings).rows, made_from(reads_of(name, settings)))
        for name in settings.validation.variants
        if name not in trained
    ]


def _sentence(lake: Reader, name: str, table: str, made_from: Sequence[str]) -> str:
    own = lake.read(table, where=f"variant = '{name}'")
    train = own.filter(own["split"] == "train").height
    said = f"{name} has {train} training pairs ({own.height} of all splits) and no policy"
    query = """
        SELECT reason FROM rejects WHERE "table" = 'training_runs' AND step = $step ORDER BY reason
    """
    stopped = lake.sql(query, {"step": f"training_runs {name}"})["reason"].to_list()
    if train and stopped:
        return f"{said}: {'; '.join(stopped)}."
    lost = [sentence for one in made_from if (sentence := _lost(lake, one))]
    if lost:
        return f"{said}; {'; '.join(lost)}."
    return f"{said}: its tables {', '.join(made_from)} make none."


def _lost(lake: Reader, table: str) -> str:
    """What was rejected on the way to a table."""
    query = """
        SELECT reason, count(*) AS n, (sum(count(*)) OVER ())::BIGINT AS lost
        FROM rejects WHERE "table" = $table GROUP BY reason ORDER BY n DESC, reason
    """
    found = lake.sql(query, {"table": table}).rows()
    if not found:
        return ""
    kept = lake.read(table).height
    reasons = ", ".join(f"{n} because {reason!r}" for reason, n, _ in found[:REASONS])
    more = f", and {len(found) - REASONS} other reasons" if len(found) > REASONS else ""
    return f"{table}: {kept} rows kept, {found[0][2]} rejected ({reasons}{more})"
