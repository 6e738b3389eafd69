"""Variants without a training pair: how many rows they have, and what became of the rows that they wanted."""

import polars as pl

from pipeline.config import Settings
from pipeline.preferences.build import tables_of, variant
from pipeline.store import Lake

REASONS = 3  # that a sentence names, the commonest first


def untrained(lake: Lake, settings: Settings) -> list[str]:
    """One sentence for each variant of the profile on which no policy was trained, in the profile's order."""
    trained = set(lake.read("training_runs")["variant"])
    return [_sentence(lake, settings, name) for name in settings.validation.variants if name not in trained]


def _sentence(lake: Lake, settings: Settings, name: str) -> str:
    rows = lake.read(variant(name, settings).rows).filter(pl.col("variant") == name)
    train = rows.filter(rows["split"] == "train").height
    said = f"{name} has {train} training pairs ({rows.height} of all splits) and no policy"
    stopped = lake.read("rejects", where=f"\"table\" = 'training_runs' AND step = 'train {name}'")["reason"].to_list()
    if train and stopped:
        return f"{said}: {'; '.join(stopped)}."
    made_from = dict.fromkeys("tree_nodes" if one == "thought_nodes" else one for one in tables_of(name, settings))
    lost = [sentence for table in made_from if (sentence := _lost(lake, table))]
    return f"{said}; {'; '.join(lost)}." if lost else f"{said}: its tables {', '.join(made_from)} make none."


def _lost(lake: Lake, table: str) -> str:
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
