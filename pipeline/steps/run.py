"""One way to make a table: skip what is up to date, write in one commit, say what it cost."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from pipeline import tables
from pipeline.engine.budget import price
from pipeline.steps import recipe
from pipeline.steps.chunks import make_missing
from pipeline.steps.context import RunContext
from pipeline.steps.declared import Step, StepResult
from pipeline.steps.inputs import Inputs, needs_of
from pipeline.steps.rejects import reject_rows
from pipeline.store import Commit, Written
from pipeline.verify import code as programs

UP_TO_DATE = "up to date"
LONG = 5.0  # seconds: what a step without a model cost is kept from here on; our choice


@dataclass
class StepReport:
    """What became of a step, or of one part of it.

    status: "written", "same content" (made again with the same rows) or "up to date".
    version: of the table, in the lake. rows, rejected: how many; null where nothing was made.
    cost: requests, tokens and seconds. shown: what the step shows of its rows. rows_shown: the
    first rows.
    """

    status: str
    version: int
    fingerprint: str
    rows: int | None = None
    rejected: int | None = None
    cost: Mapping[str, Any] = field(default_factory=dict)
    shown: Mapping[str, Any] = field(default_factory=dict)
    rows_shown: pl.DataFrame | None = None


def run_step(step: Step, run: RunContext, part: str | None = None) -> StepReport:
    """Makes a step's rows and writes them, unless its last commit has the same fingerprint.

    A commit with rows that no server has answered gets no fingerprint, so that the next run asks
    for them again.

    Raises:
        OrchardError: what the step's function raises; nothing is written then.
    """
    assert step.table is not None, f"{step.name} writes no table"
    fingerprint = recipe.fingerprint(step, run, part)
    known = run.lake.fresh(step.table, fingerprint, step.partition_for(part))
    if known is not None:
        return StepReport(UP_TO_DATE, known, fingerprint)
    cost: dict[str, Any] = {}
    with _accounted(step, run, part, cost), _sandbox(step, run, part):
        if step.per is None:
            written, made = _make_all(step, run, part, fingerprint)
        else:
            written, made = make_missing(step, run, part, fingerprint)
    shown = dict(made.shown)
    if step.show is not None:
        shown |= step.show(Inputs(run, step, part, more=step.show_reads), made.rows)
    status = "written" if written.changed else "same content"
    return StepReport(
        status,
        written.version,
        fingerprint,
        written.rows,
        written.rejected,
        cost,
        shown,
        made.rows.head(5),
    )


def empty_other_parts(step: Step, run: RunContext) -> None:
    """Empties the partitions of parts that the profile no longer names.

    Older versions keep them. Rows that no step with such parts wrote stay: those that were
    imported, and another step's partition of the table.
    """
    if step.parts is None or step.table is None or step.part_column is None:
        return
    column, settings = step.part_column, run.settings
    writers = run.graph.steps.values() if run.graph else (step,)
    same = [one for one in writers if one.table == step.table and one.parts]
    kept = {part for one in same if one.parts for part in one.parts(settings)}
    own = step.partition.condition if step.partition else "true"
    query = f'SELECT DISTINCT "{column}" FROM "{step.table}" WHERE {own} ORDER BY ALL'
    written = set(run.lake.history(step.table)["step"])
    for (gone,) in run.lake.sql(query).iter_rows():
        if gone not in kept and written & {step_name(one, gone) for one in same}:
            commit = Commit(f"forget {gone}", run.run_id)
            empty = tables.empty(step.table)
            run.lake.write(step.table, empty, commit, partition=step.partition_for(gone))


def commit_of(step: Step, run: RunContext, part: str | None, fingerprint: str) -> Commit:
    """Who writes a part, and from which versions of which tables."""
    reads = step.reads_for(run.settings, part)
    parents = {
        table: run.lake.version(table)
        for table in sorted({recipe.table_of(need) for need in needs_of(reads)})
    }
    version = recipe.code_of(step, run.settings, part)
    return Commit(step_name(step, part), run.run_id, version, fingerprint, parents)


def step_name(step: Step, part: str | None) -> str:
    """What a commit, a reject and a row of `usage` call a part of a step."""
    return step.name if part is None else f"{step.name} {part}"


def _make_all(
    step: Step, run: RunContext, part: str | None, fingerprint: str
) -> tuple[Written, StepResult]:
    assert step.table is not None
    made = step.make(Inputs(run, step, part))
    rejects = rejects_of(made)
    passing = bool(rejects["passing"].fill_null(False).any())
    commit = commit_of(step, run, part, "" if passing else fingerprint)
    partition = step.partition_for(part)
    written = run.lake.write(step.table, made.rows, commit, partition=partition, rejects=rejects)
    return written, made


def rejects_of(made: StepResult) -> pl.DataFrame:
    """What a step's function rejected, shaped as the table `rejects`."""
    found = made.rejects
    return found if isinstance(found, pl.DataFrame) else reject_rows(found)


@contextmanager
def _sandbox(step: Step, run: RunContext, part: str | None) -> Iterator[None]:
    """The sandbox has the profile's limits, and is closed to steps that do not declare them."""
    reads = step.reads_for(run.settings, part)
    programs.use(run.settings.sandbox if "sandbox" in reads.settings else None)
    try:
        yield
    finally:
        programs.use(run.settings.sandbox)


@contextmanager
def _accounted(
    step: Step, run: RunContext, part: str | None, cost: dict[str, Any]
) -> Iterator[None]:
    """Fills in what the block cost, and keeps a row in `usage` where a model was asked, or where
    it took long.
    """
    start, before, finished = time.perf_counter(), run.room.usage(), False
    try:
        yield
        finished = True
    finally:
        seconds, used = time.perf_counter() - start, run.room.usage().since(before)
        name = step_name(step, part)
        row = {"run_id": run.run_id, "step": name, "table": step.table, "finished": finished}
        counts = {
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
            "price": price(used.sampled_tokens, run.settings.budget),
        }
        cost |= counts
        if used.requests or used.cache_hits or seconds >= LONG:
            rows = pl.DataFrame([row | counts], schema=tables.empty("usage").schema)
            key = {"run_id": run.run_id, "step": name}
            run.lake.write("usage", rows, Commit(name, run.run_id), partition=key)
