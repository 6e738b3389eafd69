"""`orchard import` of votes on pairs of this lake: by people, by a judge behind an API, by another's reward model."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipeline import config, tables
from pipeline.engine.base import Reject
from pipeline.errors import OrchardError
from pipeline.ids import content_id
from pipeline.noise.calibrate import calibrate
from pipeline.noise.reliability import one_coin
from pipeline.noise.votes import Duplicates, checked, read_votes
from pipeline.prompts.files import read
from pipeline.steps.rejects import reject_rows
from pipeline.store import Commit, Lake

WITH_TEXTS = {
    "first",
    "first_id",
    "input",
    "question",
    "instruction",
}  # columns of files that bring the pairs as well


@dataclass(frozen=True)
class BroughtVotes:
    """What came of a file; `voters` are rows of `Reliability.voters`, from these votes alone."""

    votes: int
    pairs: int
    rejected: int
    reasons: list[tuple[str, int]]
    voters: pl.DataFrame


def holds_votes(columns: list[str]) -> bool:
    """Whether a file with these columns names pairs by id, and brings only votes on them."""
    return "pair_id" in columns and not WITH_TEXTS & set(columns)


def bring_votes(path: Path, duplicates: Duplicates) -> BroughtVotes:
    """Replaces what an earlier import of a file of this name brought. Columns: see `pipeline.noise.votes.read_votes`.

    Raises:
        OrchardError: no such file, a missing column, duplicates that should be an error, or no row that could be used.
    """
    rows, _ = read(path)
    texts = [{name: _text(value) for name, value in row.items()} for _, row in rows]
    frame = pl.DataFrame(texts, infer_schema_length=None)
    with Lake(config.home()) as lake:
        known = lake.query_file("known_pairs")
        good, value, rejects = checked(
            frame, known=known["pair_id"].to_list(), duplicates=duplicates
        )
        if good.is_empty():
            first = f": {rejects[0].reason} ({rejects[0].row_id})" if rejects else ""
            raise OrchardError(f"{path.name}: no row could be used{first}")
        found = _rows(good, value, known, path.name)
        rejects = [_named(reject, path.name) for reject in rejects]
        commit = Commit(f"import {path.name}")
        partition = {"origin": path.name}
        lake.write(
            "recorded_votes", found, commit, partition=partition, rejects=reject_rows(rejects)
        )
    votes, _ = read_votes(good.rename({"value": value}), duplicates=duplicates)
    reasons = Counter(reject.reason for reject in rejects).most_common(5)
    return BroughtVotes(
        good.height,
        good["pair_id"].n_unique(),
        len(rejects),
        reasons,
        one_coin(calibrate(votes)).voters,
    )


def _text(value: object) -> str | None:
    """A column of texts holds whatever a row says: a list among numbers is that row's fault, and not the file's."""
    return value if value is None or isinstance(value, str) else json.dumps(value, default=str)


def _rows(good: pl.DataFrame, value: str, known: pl.DataFrame, origin: str) -> pl.DataFrame:
    """Rows of `recorded_votes`; equal rows of nobody who was named are told apart by their number."""
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


def _named(reject: Reject, origin: str) -> Reject:
    return Reject("recorded_votes", f"import {origin}", reject.row_id, reject.reason, reject.row)
