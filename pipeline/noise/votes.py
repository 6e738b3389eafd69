"""Votes from anywhere: reward models, judges, people. One shape, checked where they enter."""

from collections.abc import Collection
from typing import Literal

import polars as pl

from pipeline.engine.base import Reject
from pipeline.errors import OrchardError

Duplicates = Literal["error", "mean"]
UNKNOWN = "unknown"  # all votes without a voter's name count as one voter's
Value = Literal["p", "label", "margin"]
VALUES: tuple[Value, ...] = ("p", "label", "margin")
TRUTH = {"true": "1", "false": "0"}
ALIASES = {"probability": "p", "score": "margin", "judge_id": "voter_id", "annotator": "voter_id"}
COLUMNS = ("pair_id", "voter_id", "p", "margin")


def read_votes(
    frame: pl.DataFrame, *, known: Collection[str] | None = None, duplicates: Duplicates = "error"
) -> tuple[pl.DataFrame, list[Reject]]:
    """Recorded votes as (pair_id, voter_id, p, margin), one row per pair and voter, and the rows that are no votes.

    Args:
        frame: `pair_id`, `voter_id` (null or absent: unknown) and one of `p` (probability that the chosen side is
            better), `label` (1 or true: chosen, 0 or false: rejected) or `margin` (score of the chosen side minus that
            of the rejected one, on any scale); `order` where a voter was asked with each side first.
        known: ids of the pairs that exist; a vote on another pair is rejected. Null: any pair.
        duplicates: same voter, pair and order again: an error, or their mean.

    Returns:
        Votes sorted by pair and voter. A voter's votes in different orders are averaged. `margin` is null where the
        vote came as p or label; where it came as margin, p is its sigmoid, and has yet to be calibrated.

    Raises:
        OrchardError: a column is missing, or there are duplicates that should be an error.
    """
    good, value, rejects = checked(frame, known=known, duplicates=duplicates)
    named = good.filter(pl.col("voter_id") != UNKNOWN)
    keys = ["pair_id", "voter_id"]
    means = named.group_by(*keys, "order").agg(pl.col("value").mean()).group_by(keys).agg(pl.col("value").mean())
    votes = pl.concat([means, good.filter(pl.col("voter_id") == UNKNOWN).select(*keys, "value")])
    odds = 1 / (1 + (-pl.col("value")).exp())
    p, margin = (odds, pl.col("value")) if value == "margin" else (pl.col("value"), pl.lit(None, pl.Float64))
    return votes.with_columns(p=p, margin=margin).select(COLUMNS).sort("pair_id", "voter_id", "p"), rejects


def checked(
    frame: pl.DataFrame, *, known: Collection[str] | None = None, duplicates: Duplicates = "error"
) -> tuple[pl.DataFrame, Value, list[Reject]]:
    """The rows of `read_votes` that are votes, as pair_id, voter_id, order and value; what a value is; and the others.

    Raises:
        OrchardError: see `read_votes`.
    """
    frame = _renamed(frame)
    value = _value_column(frame)
    rows = _typed(frame, value)
    rejects = [
        Reject("pair_votes", "read votes", row["pair_id"], str(row.pop("reason")), row)
        for row in _faulty(rows, value, known).to_dicts()
    ]
    good = _faulty(rows, value, known, keep=True).drop("reason", "said")
    _refuse_duplicates(good, duplicates)
    return good, value, rejects


def _renamed(frame: pl.DataFrame) -> pl.DataFrame:
    """Other names of the columns, and a margin from the scores of both sides."""
    sides = ("chosen_score", "rejected_score")
    if set(sides) <= set(frame.columns) and "margin" not in frame.columns:
        score, other = (pl.col(name).cast(pl.Float64, strict=False) for name in sides)
        frame = frame.with_columns(margin=score - other).drop(sides)
    return frame.rename({k: v for k, v in ALIASES.items() if k in frame.columns and v not in frame.columns})


def _value_column(frame: pl.DataFrame) -> Value:
    found = [name for name in VALUES if name in frame.columns]
    if "pair_id" not in frame.columns:
        raise OrchardError(f"votes: column 'pair_id' is missing: found {', '.join(frame.columns) or 'no columns'}")
    if len(found) != 1:
        raise OrchardError(f"votes: exactly one of the columns {', '.join(VALUES)} is needed: found {found or 'none'}")
    return found[0]


def _typed(frame: pl.DataFrame, value: str) -> pl.DataFrame:
    def text(name: str) -> pl.Expr:
        return (pl.col(name) if name in frame.columns else pl.lit(None)).cast(pl.String).alias(name)

    said = pl.col(value)
    if frame.schema[value] == pl.String:
        said = said.str.strip_chars().replace("", None)
    words = value == "label" and frame.schema[value] == pl.String
    number = said.str.to_lowercase().replace(TRUTH) if words else said
    return frame.select(
        text("pair_id"),
        text("voter_id").fill_null(UNKNOWN),
        text("order").fill_null(""),
        number.cast(pl.Float64, strict=False).alias("value"),
        said.alias("said"),
    )


def _faulty(rows: pl.DataFrame, value: str, known: Collection[str] | None, *, keep: bool = False) -> pl.DataFrame:
    """Rows that are no votes, with the reason; or, with `keep`, the others."""
    number = pl.col("value")
    allowed = number.is_in([0.0, 1.0]) if value == "label" else number.is_between(0, 1)
    outside = "is neither 0 nor 1" if value == "label" else "is outside [0, 1]"
    reason: pl.Expr = (
        pl.when(pl.col("pair_id").is_null())
        .then(pl.lit("no pair_id"))
        .when(pl.col("said").is_null())
        .then(pl.lit(f"no {value}"))
        .when(number.is_null())
        .then(pl.lit(f"{value} is no number"))
        .when(~number.is_finite())
        .then(pl.lit(f"{value} is not finite"))
        .when(~allowed if value != "margin" else pl.lit(False))
        .then(pl.lit(f"{value} {outside}"))
    )
    if known is not None:
        strange = ~pl.col("pair_id").is_in(list(known))
        reason = pl.coalesce(reason, pl.when(strange).then(pl.lit("no such pair")))
    marked = rows.with_columns(reason=reason)
    return marked.filter(pl.col("reason").is_null() if keep else pl.col("reason").is_not_null())


def _refuse_duplicates(votes: pl.DataFrame, duplicates: Duplicates) -> None:
    keys = ["pair_id", "voter_id", "order"]
    again = votes.filter(pl.col("voter_id") != UNKNOWN).group_by(keys).len().filter(pl.col("len") > 1).sort(keys)
    if duplicates == "error" and again.height:
        pair, voter, _, n = again.row(0)
        raise OrchardError(
            f"votes: voter {voter!r} votes {n} times on pair {pair!r} in one order ({again.height} such cases): "
            "remove the duplicates, or set noise.duplicates to mean"
        )
