"""Rows that a profile's own query gives, completed to rows of `preferences`,
or refused in one line.
"""

import polars as pl

from pipeline import tables
from pipeline.config import UserVariant
from pipeline.errors import OrchardError
from pipeline.ids import content_id
from pipeline.store.reader import Reader

REQUIRED = ("prompt_id", "chosen", "rejected")
# Set for every variant; what a query says is not read.
GIVEN = (
    "pair_id",
    "variant",
    "level",
    "method",
    "split",
)


def completed(own: UserVariant, rows: pl.DataFrame, lake: Reader) -> pl.DataFrame:
    """A query's rows with the columns that it left out; the split is always that of the prompt.

    Raises:
        OrchardError: missing or unknown columns, values of another type, no rows, a row twice, an
            unknown prompt, or a test prompt.
    """
    right_columns(own, rows.columns)
    if rows.is_empty():
        raise OrchardError(
            f"variant {own.name!r}: {own.sql} gives no rows: try it with `orchard sql {own.sql}`"
        )
    rows = _typed(own, rows.drop([name for name in GIVEN if name in rows.columns]))
    rows = _with_prompts(own, rows, lake)
    defaults = {
        "depth": pl.lit(0),
        "prefix": pl.lit(""),
        "chosen_ends": pl.lit(True),
        "rejected_ends": pl.lit(True),
        "strength": pl.lit(None, dtype=pl.Float64),
        "margin": pl.lit(None, dtype=pl.Float64),
        **{f"{side}_id": _ids(rows, side) for side in ("chosen", "rejected")},
    }
    rows = rows.with_columns(
        value.alias(name) for name, value in defaults.items() if name not in rows.columns
    )
    same = [
        name
        for name in ("prompt_id", "chosen", "rejected", "messages", "rejected_messages")
        if name in rows
    ]
    twice = rows.filter(rows.select(same).is_duplicated())
    if twice.height:
        what = (
            f"{twice.height} of {rows.height} rows are there more than once, "
            f"one of prompt {twice['prompt_id'][0]}"
        )
        raise OrchardError(
            f"variant {own.name!r}: {what}: use SELECT DISTINCT, or one row per pair"
        )
    return rows.sort("chosen_id", "rejected_id")


def right_columns(own: UserVariant, given: list[str]) -> None:
    """Raises OrchardError where a query lacks a column, or has one that `preferences` has not."""
    known = tables.empty("preferences").columns
    missing = [name for name in REQUIRED if name not in given]
    unknown = [name for name in given if name not in known]
    if missing:
        wanted = f"it needs {', '.join(REQUIRED)}"
        raise OrchardError(
            f"variant {own.name!r}: {own.sql} has no column {missing[0]!r}: {wanted}"
        )
    if unknown:
        raise OrchardError(
            f"variant {own.name!r}: {own.sql}: {unknown[0]!r} is no column of preferences: "
            "leave it out, or rename it "
            f"to one of {', '.join(name for name in known if name not in GIVEN)}"
        )


def _typed(own: UserVariant, rows: pl.DataFrame) -> pl.DataFrame:
    schema = tables.empty("preferences").schema
    for name in rows.columns:
        try:
            rows = rows.with_columns(pl.col(name).cast(schema[name]))
        except pl.exceptions.PolarsError as error:
            what = f"{rows.schema[name]}, which is not {schema[name]}"
            raise OrchardError(
                f"variant {own.name!r}: {own.sql}: column {name!r} is {what}: cast it"
            ) from error
    return rows


def _with_prompts(own: UserVariant, rows: pl.DataFrame, lake: Reader) -> pl.DataFrame:
    """Rows with their prompt's split and, where the query gave none, its messages."""
    prompts = lake.sql(
        "SELECT prompt_id, split, messages FROM prompts "
        "UNION ALL SELECT prompt_id, split, messages FROM code_pairs "
        "UNION ALL SELECT prompt_id, split, messages FROM source_prompts"
    ).unique("prompt_id", keep="first", maintain_order=True)
    joined = rows.join(
        prompts, on="prompt_id", how="left", suffix="_of_prompt", maintain_order="left"
    )
    lost = joined.filter(pl.col("split").is_null())
    if lost.height:
        first = lost["prompt_id"][0]
        what = (
            f"{lost.height} of {rows.height} rows have a prompt_id that `prompts` lacks, "
            f"the first {first}"
        )
        raise OrchardError(
            f"variant {own.name!r}: {what}: select prompt_id from one of the lake's tables"
        )
    tests = joined.filter(pl.col("split") == "test").height
    if tests:
        where = "add WHERE split <> 'test' on `prompts`"
        raise OrchardError(
            f"variant {own.name!r}: {tests} of {rows.height} rows belong to test prompts: {where}"
        )
    return joined.drop("messages_of_prompt", strict=False)


def _ids(rows: pl.DataFrame, side: str) -> pl.Expr:
    """Ids of texts that came without: a hash of prompt and text."""
    found = [
        content_id(prompt, text) for prompt, text in rows.select("prompt_id", side).iter_rows()
    ]
    return pl.lit(pl.Series(found, dtype=pl.String))
