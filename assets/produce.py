"""One way to make a table: skip what is up to date, write in one commit, report."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import polars as pl

from assets.workshop import Workshop
from pipeline import tables
from pipeline.config import BudgetSettings
from pipeline.engine.base import AGAIN, Reject, Usage
from pipeline.engine.budget import price
from pipeline.ids import content_id
from pipeline.store import Commit, Lake

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
    """What determines a table, or one partition of it: code, settings and parents. Equal recipes make equal rows.

    `reads` are tables that the commit names with their versions, while the recipe says in `extra` what of them counts.
    """

    table: str
    step: str
    code_version: str
    settings: object
    parents: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    partition: Mapping[str, str] | None = None
    extra: tuple[object, ...] = ()

    def fingerprint(self, lake: Lake) -> str:
        """A hash of all that, with the parents as they are now."""
        parents = [lake.fingerprint(parent) for parent in self.parents]
        return content_id(self.code_version, self.settings, self.extra, parents)


def produce(context: dg.AssetExecutionContext, shop: Workshop, recipe: Recipe, compute: Callable[[], Made]) -> Metadata:
    """Writes the table unless its last commit has the same fingerprint; returns metadata for the UI either way.

    A commit with rows that no server has answered gets no fingerprint, so that the next run asks for them again.
    """
    lake, fingerprint = shop.lake, recipe.fingerprint(shop.lake)
    known = lake.fresh(recipe.table, fingerprint, recipe.partition)
    if known is not None:
        context.log.info(f"{recipe.table} {dict(recipe.partition or {})}: up to date at version {known}")
        return {"status": "up to date", "lake_version": known, "fingerprint": fingerprint}
    with accounted(context, shop, recipe) as account:
        made = compute()
    rejects = made.rejects if isinstance(made.rejects, pl.DataFrame) else reject_rows(made.rejects)
    unanswered = rejects["reason"].str.contains(AGAIN, literal=True).sum()
    if unanswered:  # without a fingerprint the commit is never up to date; what was answered is in the cache
        context.log.warning(f"{recipe.table}: {unanswered} rows found no answer: {AGAIN}")
    commit = Commit(
        step=recipe.step,
        run_id=context.run_id,
        code_version=recipe.code_version,
        fingerprint="" if unanswered else fingerprint,
        parents={parent: lake.version(parent) for parent in (*recipe.parents, *recipe.reads)},
    )
    written = lake.write(recipe.table, made.rows, commit, partition=recipe.partition, rejects=rejects)
    return {
        "status": "written" if written.changed else "same content",
        "lake_version": written.version,
        "fingerprint": fingerprint,
        "dagster/row_count": written.rows,
        "rejected_rows": written.rejected,
        **account,
        "preview": dg.MetadataValue.md(preview(made.rows)),
        **made.metadata,
    }


def forget(lake: Lake, table: str, column: str, keep: Iterable[str], run_id: str) -> None:
    """Empties the partitions of a table that the profile no longer names; older versions still hold their rows."""
    for (gone,) in lake.sql(f'SELECT DISTINCT "{column}" FROM "{table}" ORDER BY ALL').iter_rows():
        if gone not in set(keep):
            lake.write(table, tables.empty(table), Commit(f"forget {gone}", run_id), partition={column: gone})


@contextmanager
def accounted(context: dg.AssetExecutionContext, shop: Workshop, recipe: Recipe) -> Iterator[Metadata]:
    """Fills a dictionary with what the block cost, and keeps a row in `usage` where a model was asked."""
    account: Metadata = {}
    start, before, finished = time.perf_counter(), shop.room.usage(), False
    try:
        yield account
        finished = True
    finally:
        seconds, used = time.perf_counter() - start, shop.room.usage().since(before)
        account |= {"seconds": round(seconds, 2), **usage_metadata(used)}
        if used.requests or used.cache_hits:
            row = usage_row(used, seconds, shop.settings.budget)
            row |= {"run_id": context.run_id, "step": recipe.step, "table": recipe.table, "finished": finished}
            key = {"run_id": context.run_id, "step": recipe.step}
            rows = pl.DataFrame([row], schema=tables.empty("usage").schema)
            shop.lake.write("usage", rows, Commit(recipe.step, context.run_id), partition=key)


def usage_row(used: Usage, seconds: float, budget: BudgetSettings) -> Metadata:
    """The counts of a row of `usage`."""
    return {
        "requests": used.requests,
        "cache_hits": used.cache_hits,
        "prompt_tokens": used.prompt_tokens,
        "cached_prompt_tokens": used.cached_prompt_tokens,
        "sampled_tokens": used.sampled_tokens,
        "saved_tokens": used.hit_tokens,
        "seconds": seconds,
        "engine_seconds": used.seconds,
        "load_seconds": used.load_seconds,
        "occupancy": used.occupancy,
        "price": price(used.sampled_tokens, budget),
    }


def usage_metadata(used: Usage) -> Metadata:
    """What the UI shows of a step's cost; nothing where no model was asked."""
    if not (used.requests or used.cache_hits):
        return {}
    shown: Metadata = {
        "sampled_tokens": used.sampled_tokens,
        "prompt_tokens": used.prompt_tokens,
        "cached_prefix_tokens": used.cached_prompt_tokens,
        "cache_hits": used.cache_hits,
        "saved_tokens": used.hit_tokens,
    }
    if used.seconds:
        shown["tokens_per_second"] = round(used.sampled_tokens / used.seconds, 1)
    if used.occupancy is not None:
        shown["batch_occupancy"] = round(used.occupancy, 3)
    return shown


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
