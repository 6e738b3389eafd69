"""One way to make a table: skip what is up to date, write in one commit, report."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import polars as pl

from assets.workshop import Workshop
from pipeline import tables
from pipeline.engine.base import Reject
from pipeline.ids import content_id
from pipeline.store import Commit

Metadata = dict[str, Any]
Result = dg.MaterializeResult[Any]


@dataclass
class Made:
    """What a computation gives: rows, rejected rows, and what to show about it."""

    rows: pl.DataFrame
    rejects: Sequence[Reject] | pl.DataFrame = ()
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """What determines a table, or one partition of it: code, settings and parents. Equal recipes make equal rows."""

    table: str
    step: str
    code_version: str
    settings: object
    parents: tuple[str, ...] = ()
    partition: Mapping[str, str] | None = None
    extra: tuple[object, ...] = ()


def produce(context: dg.AssetExecutionContext, shop: Workshop, recipe: Recipe, compute: Callable[[], Made]) -> Metadata:
    """Writes the table unless its last commit has the same fingerprint; returns metadata for the UI either way."""
    lake = shop.lake
    fingerprint = content_id(
        recipe.code_version, recipe.settings, recipe.extra, [lake.fingerprint(parent) for parent in recipe.parents]
    )
    known = lake.fresh(recipe.table, fingerprint, recipe.partition)
    if known is not None:
        context.log.info(f"{recipe.table} {dict(recipe.partition or {})}: up to date at version {known}")
        return {"status": "up to date", "lake_version": known, "fingerprint": fingerprint}
    start, before = time.perf_counter(), shop.room.usage()
    made = compute()
    used = shop.room.usage().since(before)
    commit = Commit(
        step=recipe.step,
        run_id=context.run_id,
        code_version=recipe.code_version,
        fingerprint=fingerprint,
        parents={parent: lake.version(parent) for parent in recipe.parents},
    )
    rejects = made.rejects if isinstance(made.rejects, pl.DataFrame) else reject_rows(made.rejects)
    written = lake.write(recipe.table, made.rows, commit, partition=recipe.partition, rejects=rejects)
    return {
        "status": "written" if written.changed else "same content",
        "lake_version": written.version,
        "fingerprint": fingerprint,
        "dagster/row_count": written.rows,
        "rejected_rows": written.rejected,
        "seconds": round(time.perf_counter() - start, 2),
        "sampled_tokens": used.sampled_tokens,
        "cache_hits": used.cache_hits,
        "preview": dg.MetadataValue.md(preview(made.rows)),
        **made.metadata,
    }


def reject_rows(rejects: Sequence[Reject]) -> pl.DataFrame:
    """Rejects in the shape of their table."""
    rows = [
        {
            "reject_id": content_id(r.table, r.step, r.row_id, r.reason),
            "table": r.table,
            "step": r.step,
            "row_id": r.row_id,
            "reason": r.reason,
            "row": json.dumps(r.row, default=str),
        }
        for r in rejects
    ]
    return pl.DataFrame(rows, schema=tables.empty("rejects").schema)


def column_schema(table: str) -> dg.TableSchema:
    """A table's columns for the UI."""
    return dg.TableSchema(columns=[dg.TableColumn(n, t, description=d) for n, t, d in tables.columns(table)])


def preview(rows: pl.DataFrame, height: int = 5, width: int = 60) -> str:
    """The first rows as a Markdown table, long cells cut."""
    if rows.is_empty():
        return "(no rows)"

    def cell(value: object) -> str:
        text = " ".join(str(value).split()).replace("|", "\\|")
        return text if len(text) <= width else text[: width - 1] + "…"

    lines = ["| " + " | ".join(rows.columns) + " |", "|" + " --- |" * rows.width]
    lines += ["| " + " | ".join(map(cell, row)) + " |" for row in rows.head(height).iter_rows()]
    return "\n".join(lines)
