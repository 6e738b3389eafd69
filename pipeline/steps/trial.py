"""A step tried out: a few prompts through all that it is made from, in a home of its own.

The home's lake is not touched. Completions are kept in its cache, so that a run does not pay for
them again.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipeline.config import Settings
from pipeline.engine.room import EngineRoom
from pipeline.errors import OrchardError
from pipeline.ids import unit_for
from pipeline.live import preview_folder, preview_lock
from pipeline.lock import locked
from pipeline.steps import rates
from pipeline.steps.context import RunContext
from pipeline.steps.declared import Step
from pipeline.steps.graph import Graph
from pipeline.steps.inputs import Inputs
from pipeline.steps.run import rejects_of, run_step, step_name
from pipeline.store import Commit, Lake

PROMPTS = "prompts"  # the table whose rows are taken a few of
Opened = Callable[[Settings, Path], EngineRoom]


@dataclass(frozen=True)
class Trial:
    """What came of it.

    rows: of the step's table. rejects: of all steps that were run, the step's own last. made: the
    names of these steps. rates: what each cost and gave.
    """

    rows: pl.DataFrame
    rejects: pl.DataFrame
    made: list[str]
    rates: rates.Rates


def tried(
    graph: Graph,
    step: Step,
    part: str | None,
    settings: Settings,
    home: Path,
    count: int,
    engines: Opened = EngineRoom,
) -> Trial:
    """Makes a step, and all that it is made from, for a few prompts.

    Args:
        graph: of all steps.
        step: one that writes a table.
        part: of the step; null: those of the profile.
        settings: of the profile.
        home: whose models and completions are used.
        count: training prompts; of validation and test prompts a quarter of that, at least one.
        engines: opens what hands out engines.

    Raises:
        OrchardError: the step writes no table, nothing of the profile is made by it, or what a step
            raises.
    """
    _check_made(graph, step, part, settings)
    with _scratch(home) as scratch, Lake(scratch) as lake:
        bring_in(graph, home, lake)
        room = engines(settings, scratch)
        run = RunContext(settings, lake, room, scratch, "preview", graph)
        names: list[str] = []
        found: dict[str, rates.Rate] = {}
        try:
            run.check_policies()
            for one, own in graph.made_for(step, part, settings):
                if one.table is None:
                    continue
                made_for = _make(one, run, own, count)
                names.append(name := step_name(one, own))
                cost, rows = rates.costs(lake).get(name), _rows(lake, one, own)
                found[name] = rates.rate(cost, rows, made_for)
        finally:
            room.close()
        rejects = lake.read("rejects")
        return Trial(_rows(lake, step, part), rejects, names, found)


def _check_made(graph: Graph, step: Step, part: str | None, settings: Settings) -> None:
    if step.table is None:
        raise OrchardError(f"{step.name} makes no table: it cannot be previewed")
    made, needed = graph.made_for(step, part, settings), graph.needed(settings)
    # what depends on the variants reads no table where none of them needs it
    idle = [
        one.name
        for one, own in made
        if one.name not in needed
        and one.reads_of is not None
        and one.parts is None
        and not one.reads_for(settings, own).tables
    ]
    if not made or idle:
        raise OrchardError(
            f"{step.name}: no variant of the profile needs {', '.join(idle) or 'it'}: "
            "name one that does in validation.variants, or a part of it (--part)"
        )


def bring_in(graph: Graph, home: Path, lake: Lake) -> None:
    """Copy what no step makes out of a home's lake into another lake."""
    with Lake(home) as own:
        for table, rows in graph.brought_in(own).items():
            lake.write(table, rows, Commit("preview"))


def _make(step: Step, run: RunContext, part: str | None, count: int) -> int:
    """Makes a part of a step; for how many prompts."""
    if step.table == PROMPTS:
        made = step.make(Inputs(run, step, part))
        commit, rejects = Commit(step.name, run.run_id), rejects_of(made)
        run.lake.write(PROMPTS, few(made.rows, count), commit, rejects=rejects)
    else:
        run_step(step, run, part)
    if step.per is not None:
        return step.per.units(Inputs(run, step, part))["prompt_id"].n_unique()
    return run.lake.read(PROMPTS).height


def few(prompts: pl.DataFrame, count: int) -> pl.DataFrame:
    """So many training prompts by hash, taken from all pools in turn, and a quarter as many of
    validation and of test, at least one.
    """
    units = [unit_for("preview", one) for one in prompts["prompt_id"]]
    order = pl.Series("order", units, dtype=pl.Float64)
    turns = prompts.with_columns(order).with_columns(
        turn=pl.col("order").rank("ordinal").over("split", "pool")
    )
    place = pl.struct("turn", "order").rank("ordinal").over("split")
    most = pl.when(pl.col("split") == "train").then(count).otherwise(max(1, count // 4))
    return turns.filter(place <= most).drop("order", "turn")


def _rows(lake: Lake, step: Step, part: str | None) -> pl.DataFrame:
    assert step.table is not None
    conditions = (f"\"{name}\" = '{own}'" for name, own in step.partition_for(part).items())
    return lake.read(step.table, where=" AND ".join(conditions) or None)


@contextmanager
def _scratch(home: Path) -> Iterator[Path]:
    """A data folder with the models and the completions of another, gone at the end."""
    folder = preview_folder(home)
    with ExitStack() as stack:
        try:
            home.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(preview_lock(home)))
            shutil.rmtree(folder, ignore_errors=True)  # of a preview that was killed
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            folder.mkdir()
            for name in ("models", "cache"):
                (home / name).mkdir(exist_ok=True)
                (folder / name).symlink_to(home / name)
        except OSError as error:
            raise OrchardError(
                f"data folder {home}: {error.strerror}: set ORCHARD_HOME to a writable folder"
            ) from error
        yield folder
