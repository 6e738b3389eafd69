"""Learning curves: what a variant gains with parts of its pairs."""

import polars as pl

from pipeline import figures
from pipeline.config import Settings
from pipeline.preferences.registry import variant
from pipeline.store.reader import Reader
from pipeline.validation.report.blocks import Picture, Section, Table, Text
from pipeline.validation.report.results import metric_of


def curves(lake: Reader, settings: Settings) -> Section | None:
    """Gain against pairs and against the tokens that sampling so many pairs costs."""
    board = lake.read("leaderboard")
    rows = points(lake, settings, board)
    if rows.is_empty():
        return None
    metric = metric_of(board)
    titles = ["variant", "share", "pairs", "tokens sampled", "gain", "from", "to"]
    cells = rows.select(
        "whole", "share", "n_pairs", "tokens", "gain", "gain_low", "gain_high"
    ).rows()
    table = Table("Gain by size", titles, cells, dict.fromkeys(("gain", "from", "to"), "+.3f"))
    pictures = [
        Picture(
            figures.curves(_lines(rows, column), name, f"gain in {metric}"),
            f"Gain of each variant against {name}.",
            table if column == "n_pairs" else None,
        )
        for column, name in (("n_pairs", "training pairs"), ("tokens", "tokens sampled"))
    ]
    said = (
        "Parts are drawn by hash, a smaller one lies within a larger one. Tokens sampled are what "
        "the recipe's data cost, times the share of its training rows that was learned from: what "
        "so many pairs would cost if prompts yield them evenly (our choice)."
    )
    return Section("Learning curves", [Text(said), *pictures])


def points(lake: Reader, settings: Settings, board: pl.DataFrame) -> pl.DataFrame:
    """A row per part and whole variant: whole, share, n_pairs, tokens, gain and its interval."""
    found = []
    known = {name: variant(name, settings) for name in settings.validation.variants}
    wholes = {own.part_of for own in known.values()}
    for row in board.iter_rows(named=True):
        own = known.get(row["variant"])
        if own is None or (own.part_of is None and own.name not in wholes):
            continue
        yielded = lake.read(own.rows, where=f"variant = '{own.name}' AND split = 'train'").height
        found.append(
            {
                "whole": own.part_of or own.name,
                "share": own.share,
                "n_pairs": row["n_pairs"],
                "tokens": round(row["data_tokens"] * row["n_pairs"] / max(1, yielded)),
                **{name: row[name] for name in ("gain", "gain_low", "gain_high")},
            }
        )
    return pl.DataFrame(found).sort("whole", "share") if found else pl.DataFrame()


def _lines(rows: pl.DataFrame, column: str) -> dict[str, list[tuple[float, float]]]:
    return {
        str(whole): list(own.select(column, "gain").iter_rows())
        for (whole,), own in rows.group_by("whole", maintain_order=True)
    }
