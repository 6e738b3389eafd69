"""Votes from anywhere: reward models, judges, people. One shape, checked where they enter."""

from collections.abc import Collection, Iterable, Sequence
from typing import Literal

import polars as pl

from pipeline import cells
from pipeline.cells import BadRow
from pipeline.engine.base import Reject
from pipeline.errors import OrchardError

Duplicates = Literal["error", "mean"]
UNKNOWN = "unknown"  # all votes without a voter's name count as one voter's
Value = Literal["p", "label", "margin"]
VALUES: tuple[Value, ...] = ("p", "label", "margin")
TRUTH = {"true": 1.0, "false": 0.0}
ALIASES = {"probability": "p", "score": "margin", "judge_id": "voter_id", "annotator": "voter_id"}
COLUMNS = ("pair_id", "voter_id", "p", "margin")
SIDES = ("chosen_score", "rejected_score")  # whose difference is a margin
_SCHEMA = {
    "pair_id": pl.String,
    "voter_id": pl.String,
    "order": pl.String,
    "value": pl.Float64,
    "said": pl.String,
    "reason": pl.String,
    "row_id": pl.String,
}


def read_votes(
    frame: pl.DataFrame, *, known: Collection[str] | None = None, duplicates: Duplicates = "error"
) -> tuple[pl.DataFrame, list[Reject]]:
    """Recorded votes as (pair_id, voter_id, p, margin),
    one row per pair and voter, and the rows that are no votes.

    Args:
        frame: `pair_id`, `voter_id` (null or absent: unknown) and one of `p` (probability that the
            chosen side is better), `label` (1 or true: chosen, 0 or false: rejected) or `margin`
            (score of the chosen side minus that of the rejected one, on any scale); `order` where a
            voter was asked with each side first.
        known: ids of the pairs that exist; a vote on another pair is rejected. Null: any pair.
        duplicates: same voter, pair and order again: an error, or their mean.

    Returns:
        Votes sorted by pair and voter. A voter's votes in different orders are averaged. `margin`
        is null where the vote came as p or label; where it came as margin, p is its sigmoid, and
        has yet to be calibrated.

    Raises:
        OrchardError: a column is missing, or there are duplicates that should be an error.
    """
    good, value, rejects = checked(frame, known=known, duplicates=duplicates)
    named = good.filter(pl.col("voter_id") != UNKNOWN)
    keys = ["pair_id", "voter_id"]
    means = (
        named.group_by(*keys, "order")
        .agg(pl.col("value").mean())
        .group_by(keys)
        .agg(pl.col("value").mean())
    )
    votes = pl.concat([means, good.filter(pl.col("voter_id") == UNKNOWN).select(*keys, "value")])
    odds = 1 / (1 + (-pl.col("value")).exp())
    p, margin = (
        (odds, pl.col("value"))
        if value == "margin"
        else (pl.col("value"), pl.lit(None, pl.Float64))
    )
    return votes.with_columns(p=p, margin=margin).select(COLUMNS).sort(
        "pair_id", "voter_id", "p"
    ), rejects


def checked(
    frame: pl.DataFrame, *, known: Collection[str] | None = None, duplicates: Duplicates = "error"
) -> tuple[pl.DataFrame, Value, list[Reject]]:
    """The votes among the rows of `read_votes`; what a value is; the other rows.

    Columns: pair_id, voter_id, order, value and row_id.

    Raises:
        OrchardError: see `read_votes`.
    """
    frame = frame.rename(_renamed(frame.columns))
    value = _value_column(frame.columns)
    if _is_typed(frame, value):
        rows = _typed(frame, value)
    else:
        rows = _read(((None, row) for row in frame.iter_rows(named=True)), value)
    return _sorted_out(rows, value, known, duplicates)


def checked_rows(
    rows: cells.Rows,
    columns: Sequence[str],
    origin: str,
    *,
    known: Collection[str],
    duplicates: Duplicates,
) -> tuple[pl.DataFrame, Value, list[Reject]]:
    """The same of a file's rows; rejects name file and row, and keep the row as it came.

    Raises:
        OrchardError: see `read_votes`.
    """
    names = _renamed(columns)
    value = _value_column([names.get(name, name) for name in columns])
    named = (
        (f"{origin} row {number}", {names.get(name, name): cell for name, cell in row.items()})
        for number, row in rows
    )
    good, value, rejects = _sorted_out(_read(named, value), value, known, duplicates)
    raw = {f"{origin} row {number}": row for number, row in rows}
    found = [
        Reject("recorded_votes", f"import {origin}", r.row_id, r.reason, raw[str(r.row_id)])
        for r in rejects
    ]
    return good, value, found


def _sorted_out(
    rows: pl.DataFrame, value: Value, known: Collection[str] | None, duplicates: Duplicates
) -> tuple[pl.DataFrame, Value, list[Reject]]:
    faulty = _faulty(rows, value, known).to_dicts()
    rejects = [
        Reject(
            "pair_votes",
            "read votes",
            row.pop("row_id") or row["pair_id"],
            str(row.pop("reason")),
            row,
        )
        for row in faulty
    ]
    good = _faulty(rows, value, known, keep=True).drop("reason", "said")
    _refuse_duplicates(good, duplicates)
    return good, value, rejects


def _renamed(columns: Sequence[str]) -> dict[str, str]:
    """Our names of columns that have others."""
    return {name: ours for name, ours in ALIASES.items() if name in columns and ours not in columns}


def _value_column(columns: Sequence[str]) -> Value:
    found = [
        name
        for name in VALUES
        if name in columns or (name == "margin" and set(SIDES) <= set(columns))
    ]
    if "pair_id" not in columns:
        raise OrchardError(
            f"votes: column 'pair_id' is missing: found {', '.join(columns) or 'no columns'}"
        )
    if len(found) != 1:
        raise OrchardError(
            f"votes: exactly one of the columns {', '.join(VALUES)} is needed: "
            f"found {found or 'none'}"
        )
    return found[0]


def _is_typed(frame: pl.DataFrame, value: str) -> bool:
    """Whether every column has its kind already, as in tables of ours."""
    names = [name for name in ("pair_id", "voter_id", "order") if name in frame.columns]
    has_numbers = value in frame.columns and frame.schema[value].is_numeric()
    return has_numbers and all(frame.schema[name] in (pl.String, pl.Null) for name in names)


def _typed(frame: pl.DataFrame, value: str) -> pl.DataFrame:
    """The votes of a frame of texts and numbers."""

    def text(name: str) -> pl.Expr:
        return (pl.col(name) if name in frame.columns else pl.lit(None)).cast(pl.String).alias(name)

    number = pl.col(value).cast(pl.Float64).fill_nan(None)
    return frame.select(
        text("pair_id"),
        text("voter_id").fill_null(UNKNOWN),
        text("order").fill_null(""),
        number.alias("value"),
        number.cast(pl.String).alias("said"),
        pl.lit(None, pl.String).alias("reason"),
        pl.lit(None, pl.String).alias("row_id"),
    )


def _read(rows: Iterable[tuple[str | None, cells.Row]], value: str) -> pl.DataFrame:
    """The votes of rows whose cells have to be read one by one."""
    return pl.DataFrame([_read_vote(row_id, row, value) for row_id, row in rows], schema=_SCHEMA)


def _read_vote(row_id: str | None, row: cells.Row, value: str) -> cells.Row:
    """A vote, or why it is none."""
    shown = {"pair_id": row.get("pair_id"), "said": row.get(value)}
    vote = {
        name: None if cells.plain(cell) is None else cells.printable(cell)
        for name, cell in shown.items()
    }
    vote["row_id"] = row_id
    try:
        return {**vote, **cells.attempt(_vote, row, value)}
    except BadRow as bad:
        return {**vote, "reason": str(bad)}


def _vote(row: cells.Row, value: str) -> cells.Row:
    cells.check_row(row)
    pair_id, voter_id, order = (
        cells.identifier(row.get(name), name) for name in ("pair_id", "voter_id", "order")
    )
    named = {"pair_id": pair_id, "voter_id": voter_id or UNKNOWN, "order": order or ""}
    if value == "margin" and "margin" not in row:
        scores = [cells.number(row.get(name), name) for name in SIDES]
        return {**named, "value": None if None in scores else scores[0] - scores[1]}  # type: ignore[operator]
    word = cells.label(row.get(value), value) if value == "label" else None
    if word in TRUTH:
        return {**named, "value": TRUTH[word]}
    return {**named, "value": cells.number(row.get(value), value)}


def _faulty(
    rows: pl.DataFrame, value: str, known: Collection[str] | None, *, keep: bool = False
) -> pl.DataFrame:
    """Rows that are no votes, with the reason; or, with `keep`, the others."""
    number = pl.col("value")
    allowed = number.is_in([0.0, 1.0]) if value == "label" else number.is_between(0, 1)
    outside = "is neither 0 nor 1" if value == "label" else "is outside [0, 1]"
    reason: pl.Expr = (
        pl.when(pl.col("reason").is_not_null())
        .then("reason")
        .when(pl.col("pair_id").is_null())
        .then(pl.lit("no pair_id"))
        .when(number.is_null())
        .then(pl.lit(f"no {value}"))
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
    again = (
        votes.filter(pl.col("voter_id") != UNKNOWN)
        .group_by(keys)
        .len()
        .filter(pl.col("len") > 1)
        .sort(keys)
    )
    if duplicates == "error" and again.height:
        pair, voter, _, n = again.row(0)
        raise OrchardError(
            f"votes: voter {voter!r} votes {n} times on pair {pair!r} in one order "
            f"({again.height} such cases): "
            "remove the duplicates, or set noise.duplicates to mean"
        )
