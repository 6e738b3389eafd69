"""Rows against their table's rules:
those that pass, and those that go to `rejects` with the reason.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import dataframely as dy
import polars as pl

from pipeline import tables
from pipeline.errors import OrchardError
from pipeline.ids import content_id

UNSET = ("recipe",)  # columns that a write may leave out: they become null
UNSET_OF_REJECTS = ("prompt_id", "passing", "recipe")
# What is said of a reject besides table, step and id.
TOLD = {
    "row_id": pl.String,
    "reason": pl.String,
    "row": pl.String,
    "prompt_id": pl.String,
    "passing": pl.Boolean,
    "recipe": pl.String,
}


@dataclass(frozen=True)
class Checked:
    """What a write stores."""

    rows: pl.DataFrame  # the table's columns and types
    rejects: pl.DataFrame  # the columns and types of `rejects`


def declared(table: str) -> type[dy.Schema]:
    """A table's schema.

    Raises:
        OrchardError: no such table.
    """
    if table not in tables.TABLES:
        raise OrchardError(f"no table {table!r}: the tables are {', '.join(tables.TABLES)}")
    return tables.TABLES[table]


def check(
    table: str,
    rows: pl.DataFrame,
    step: str,
    partition: Mapping[str, str] | None = None,
    rejects: pl.DataFrame | None = None,
) -> Checked:
    """Sort rows into good ones and rejects.

    `rejects` are the caller's own, already shaped as that table.

    Rows in = rows out + new rejects. Table, step and id of the caller's rejects are set here, for a
    re-run to find.

    Raises:
        OrchardError: a missing or unknown column, one whose values cannot be cast, or a row outside
            the partition.
    """
    schema = declared(table)
    if table == "rejects":
        raise OrchardError(
            "table rejects is not written by itself: pass rejects= with the table it is about"
        )
    rows = _with_unset(rows, schema.column_names(), UNSET)
    _same_columns(table, schema.column_names(), rows.columns)
    _inside(table, schema, rows, partition or {})
    try:
        good, failure = schema.filter(rows, cast=True)
        broken = _broken(schema, rows.columns, failure)
    except (dy.exc.SchemaError, pl.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0]
        raise OrchardError(
            f"table {table}: column {_uncastable(schema, rows)}: {reason}"
        ) from error
    if rejects is not None:
        columns = tables.TABLES["rejects"].column_names()
        rejects = _with_unset(rejects, columns, UNSET_OF_REJECTS)
        _same_columns("rejects", columns, rejects.columns)
        own = rejects.select(pl.col(name).cast(kind) for name, kind in TOLD.items())
        broken = pl.concat([broken, own])
    return Checked(good.select(schema.column_names()), _identified(table, step, broken))


def _with_unset(rows: pl.DataFrame, wanted: list[str], unset: tuple[str, ...]) -> pl.DataFrame:
    lacking = [name for name in unset if name in wanted and name not in rows.columns]
    return rows.with_columns(pl.lit(None).alias(name) for name in lacking)


def _same_columns(table: str, wanted: Iterable[str], given: Iterable[str]) -> None:
    wanted, given = list(wanted), list(given)
    for column in given:
        if column not in wanted:
            raise OrchardError(
                f"table {table}: unknown column {column!r}: the columns are {', '.join(wanted)}"
            )
    for column in wanted:
        if column not in given:
            raise OrchardError(f"table {table}: column {column!r} is missing")


def _inside(
    table: str, schema: type[dy.Schema], rows: pl.DataFrame, partition: Mapping[str, str]
) -> None:
    for column, value in partition.items():
        if column not in schema.column_names():
            raise OrchardError(f"table {table}: unknown partition column {column!r}")
        outside = rows.filter(pl.col(column).cast(pl.String).ne_missing(pl.lit(value))).height
        if outside:
            count = f"{outside} of {rows.height} rows"
            raise OrchardError(
                f"table {table}: {count} are not in the partition {column}={value!r}"
            )


def _uncastable(schema: type[dy.Schema], rows: pl.DataFrame) -> str:
    for name, dtype in schema.create_empty().schema.items():
        try:
            rows[name].cast(dtype, strict=False)
        except pl.exceptions.PolarsError:
            return f"{name!r} ({rows[name].dtype}, should be {dtype})"
    return "unknown"


def _broken(schema: type[dy.Schema], columns: list[str], failure: dy.FailureInfo) -> pl.DataFrame:
    """(row_id, reason, row) of the rows that break a rule; the reason names the rules."""
    if len(failure) == 0:
        return tables.empty("rejects").select(list(TOLD))
    details = failure.details()
    rules = [name for name in details.columns if name not in columns]
    named = [
        pl.when(pl.col(rule).cast(pl.String) == "invalid").then(pl.lit(rule)) for rule in rules
    ]
    return details.select(
        row_id=pl.concat_str(pl.col(schema.primary_key()).cast(pl.String), separator=" "),
        reason=pl.concat_str(named, separator=", ", ignore_nulls=True),
        row=pl.struct(columns).struct.json_encode(),
        prompt_id=pl.col("prompt_id") if "prompt_id" in columns else pl.lit(None, pl.String),
        passing=pl.lit(False),
        recipe=pl.lit(None, pl.String),
    )


def _identified(table: str, step: str, broken: pl.DataFrame) -> pl.DataFrame:
    """The rows of `rejects`; equal rows get different ids, so that none is lost from the count."""
    seen: Counter[tuple[str, str]] = Counter()
    ids = []
    for reason, row in broken.select("reason", "row").iter_rows():
        ids.append(content_id(table, step, row, reason, seen[reason, row]))
        seen[reason, row] += 1
    identified = broken.with_columns(
        pl.Series("reject_id", ids, pl.String), table=pl.lit(table), step=pl.lit(step)
    )
    return identified.select(tables.TABLES["rejects"].column_names())
