"""`orchard import` of votes on pairs of this lake:
by people, by a judge behind an API, by another's reward model.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from assets.cli.importing import opened
from pipeline import config, tables
from pipeline.cells import Rows, other_columns
from pipeline.errors import OrchardError
from pipeline.ids import content_id
from pipeline.noise.calibrate import calibrate
from pipeline.noise.reliability import one_coin
from pipeline.noise.truth import measured
from pipeline.noise.votes import Duplicates, checked_rows, read_votes
from pipeline.prompts.origins import known_imports, origin_of, remembered
from pipeline.prompts.record import to_json
from pipeline.sources.layout import LAYOUTS, VOTES, recognise
from pipeline.sources.opened import Opened
from pipeline.steps.rejects import reject_rows
from pipeline.store import Change, Commit, Lake

TABLE = "recorded_votes"


@dataclass(frozen=True)
class BroughtVotes:
    """What came of a source; `voters` as `_voters` gives them."""

    votes: int
    pairs: int
    rejected: int
    reasons: list[tuple[str, int]]
    voters: pl.DataFrame
    origin: str = ""
    replaced: int = 0  # votes of an earlier import


def holds_votes(columns: list[str], rows: Rows = ()) -> bool:
    """Whether a file with these columns names pairs by id, and brings only votes on them."""
    try:
        return recognise(rows, columns, "").name == VOTES
    except OrchardError:
        return False


def bring_votes(
    source: Opened | Path, duplicates: Duplicates, name: str | None = None
) -> BroughtVotes:
    """Replaces what an earlier import of this source brought.

    Columns: see `pipeline.noise.votes.read_votes`.

    Raises:
        OrchardError: no such source, a missing column, duplicates that should be an error, or no
            row that could be used.
    """
    source = opened(source)
    rows, columns = source.rows, source.columns
    with Lake(config.home()) as lake:
        origin = origin_of(source, known_imports(lake, TABLE), name)
        known = lake.query_file("known_pairs")
        ids = known["pair_id"].to_list()
        good, value, rejects = checked_rows(
            rows, columns, origin.name, known=ids, duplicates=duplicates
        )
        if good.is_empty():
            first = f": {rejects[0].row_id}: {rejects[0].reason}" if rejects else ""
            raise OrchardError(f"{origin.name}: no row could be used{first}")
        before = lake.read(TABLE).filter(pl.col("origin") == origin.name).height
        commit = Commit(f"import {origin.name}")
        partition = {"origin": origin.name}
        found = _rows(
            good.with_columns(_metadata(good, rows, origin.name)), value, known, origin.name
        )
        brought = Change(TABLE, found, partition, reject_rows(rejects))
        lake.write_together(commit, [brought, remembered(TABLE, origin, VOTES)])
        voted = known.join(good.select("pair_id").unique(), on="pair_id")
        labels = lake.query_file("known_labels", frames={"pairs": voted})
    votes, _ = read_votes(good.rename({"value": value}), duplicates=duplicates)
    reasons = Counter(reject.reason for reject in rejects).most_common(5)
    voters = _voters(votes, labels)
    pairs = good["pair_id"].n_unique()
    return BroughtVotes(good.height, pairs, len(rejects), reasons, voters, origin.name, before)


def _voters(votes: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """How often each voter is right on pairs whose better side the lake knows (`reliability`), and
    on how many (`n_known`); and how far it agrees with what these voters together say
    (`consensus`), which is no accuracy.
    """
    agreed = one_coin(calibrate(votes)).voters
    sides = votes.select("pair_id", "voter_id", side=pl.coalesce("margin", pl.col("p") - 0.5))
    every = agreed.select("voter_id", "n_votes", consensus="accuracy")
    joined = every.join(measured(sides, known), on="voter_id", how="left", maintain_order="left")
    return joined.select(
        "voter_id",
        "n_votes",
        pl.col("n_known").fill_null(0),
        "reliability",
        "low",
        "high",
        "consensus",
    )


def _metadata(good: pl.DataFrame, rows: Rows, origin: str) -> pl.Series:
    """What the file says of each vote besides."""
    known = LAYOUTS.find(VOTES).columns
    others = {f"{origin} row {number}": other_columns(row, known) for number, row in rows}
    written = [to_json(others[row_id]) if others[row_id] else None for row_id in good["row_id"]]
    return pl.Series("metadata", written, pl.String)


def _rows(good: pl.DataFrame, value: str, known: pl.DataFrame, origin: str) -> pl.DataFrame:
    """Rows of `recorded_votes`.

    Equal rows of nobody who was named are told apart by their number.
    """
    ordered = good.sort("pair_id", "voter_id", "order", "value").join(known, on="pair_id")
    number = pl.int_range(pl.len()).over("pair_id", "voter_id", "order").alias("number")
    keys = ordered.with_columns(number).select("pair_id", "voter_id", "order", "number").iter_rows()
    ids = [content_id(origin, *key) for key in keys]
    nothing = pl.lit(None, pl.Float64)
    p, margin = (nothing, pl.col("value")) if value == "margin" else (pl.col("value"), nothing)
    named = ordered.with_columns(
        pl.Series("vote_id", ids, pl.String), origin=pl.lit(origin), p=p, margin=margin
    )
    return named.select(tables.empty("recorded_votes").columns)
