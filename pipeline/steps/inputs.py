"""What a step's function gets: the settings, tables, engines and models that it declares."""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any, TypeVar

import polars as pl

from pipeline import tables
from pipeline.config import AskedModelSettings, ModelSettings, Settings
from pipeline.config.section import UndeclaredRead
from pipeline.engine.base import Engine
from pipeline.engine.model import Model
from pipeline.progress import Advance, bar
from pipeline.steps.context import RunContext
from pipeline.steps.declared import Need, Reads, Rows, Step, table_of
from pipeline.steps.narrowed import narrowed
from pipeline.steps.queries import tables_of_query
from pipeline.store.database import Parameters
from pipeline.store.files import query_text

T = TypeVar("T")
UNITS = "_units"  # the prompts of a chunk, as a table of a query
# What steps that make pairs see of a table: a response stands for those that nearly repeat it.
DISTINCT = dict.fromkeys(("responses", "policy_responses"), "near_duplicate_of IS NULL")


def needs_of(reads: Reads) -> tuple[Need, ...]:
    """All tables that are declared, those that the queries name among them."""
    declared = (*reads.tables, *reads.beside, *reads.uncounted)
    named = {table_of(need) for need in declared}
    asked = {table for name in reads.queries for table in tables_of_query(query_text(name))}
    return (*declared, *sorted((asked & set(tables.TABLES)) - named))


class DeclaredLake:
    """The lake, as far as a step declares it. Reading anything else raises UndeclaredRead."""

    def __init__(
        self,
        run: RunContext,
        reads: Reads,
        who: str,
        units: pl.DataFrame | None = None,
        shown: Mapping[str, str] | None = None,
    ) -> None:
        """With `units`, tables with a column prompt_id show the rows of these prompts only.

        `shown` maps a table to a condition on the rows of it that are seen.
        """
        self._lake = run.lake
        self._reads = reads
        self._who = who
        self._needs = needs_of(reads)
        self._units = None if units is None else units.select("prompt_id").unique()
        self._shown = shown or {}

    def read(self, table: str, *, where: str | None = None) -> pl.DataFrame:
        """A table's rows, those of the declared partition."""
        self._must_be_declared({table})
        if self._units is not None:
            condition = f" WHERE {where}" if where else ""
            return self._lake.conform(table, self.sql(f'SELECT * FROM "{table}"{condition}'))
        seen = (self._partition(table), self._shown.get(table), where)
        parts = [part for part in seen if part]
        return self._lake.read(table, where=" AND ".join(f"({part})" for part in parts) or None)

    def sql(
        self,
        query: str,
        parameters: Parameters = None,
        *,
        frames: Mapping[str, pl.DataFrame] | None = None,
    ) -> pl.DataFrame:
        """The rows of one SELECT over declared tables."""
        named = tables_of_query(query) & set(tables.TABLES) - set(frames or {})
        self._must_be_declared(named)
        only = {table: condition for table in named if (condition := self._condition(table))}
        shown = dict(frames or {})
        if self._units is not None:
            shown[UNITS] = self._units
        return self._lake.sql(query, parameters, frames=shown, only=only)

    def query_file(
        self, name: str, /, *, frames: Mapping[str, pl.DataFrame] | None = None, **parameters: Any
    ) -> pl.DataFrame:
        """The rows of a declared query of sql/."""
        if name not in self._reads.queries:
            raise UndeclaredRead(f"{self._who} asks sql/{name}.sql, which it does not declare")
        return self.sql(query_text(name), parameters or None, frames=frames)

    def version(self, table: str, partition: Mapping[str, str] | None = None) -> int:
        """The last version that changed a declared table, or a partition of it."""
        self._must_be_declared({table})
        return self._lake.version(table, partition)

    def history(self, table: str) -> pl.DataFrame:
        """A declared table's commits, oldest first."""
        self._must_be_declared({table})
        return self._lake.history(table)

    def _must_be_declared(self, named: AbstractSet[str]) -> None:
        for table in sorted(named - {table_of(need) for need in self._needs}):
            raise UndeclaredRead(f"{self._who} reads the table {table}, which it does not declare")

    def _partition(self, table: str) -> str | None:
        own = [need for need in self._needs if table_of(need) == table]
        if not all(isinstance(need, Rows) for need in own):
            return None
        return " OR ".join(need.condition for need in own if isinstance(need, Rows)) or None

    def _condition(self, table: str) -> str | None:
        """What restricts a table to the declared partition and to the prompts of the chunk."""
        parts = [self._partition(table), self._shown.get(table)]
        if self._units is not None and "prompt_id" in tables.empty(table).columns:
            parts.append(f"prompt_id IN (SELECT prompt_id FROM {UNITS})")
        return " AND ".join(f"({part})" for part in parts if part) or None


class Inputs:
    """What a step's function may read.

    part: the part that is made, such as a variant; null where a step has none.
    units: the prompts to make, for a step that is made for each prompt alone; empty for others.
    """

    def __init__(
        self,
        run: RunContext,
        step: Step,
        part: str | None = None,
        units: pl.DataFrame | None = None,
        more: Reads | None = None,
    ) -> None:
        self._run = run
        self._step = step
        self._reads = step.reads_for(run.settings, part).plus(more or Reads())
        self.part = part
        self.units = pl.DataFrame() if units is None else units
        self.home = run.home
        distinct = step.makes_pairs and run.settings.preferences.skip_near_duplicates
        seen = DISTINCT if distinct else None
        self.lake = DeclaredLake(run, self._reads, f"the step {step.name}", units, seen)

    @cached_property
    def settings(self) -> Settings:
        """The declared settings; any other raises UndeclaredRead."""
        return narrowed(self._run.settings, ("profile", *self._reads.settings))

    def table(self, name: str, *, where: str | None = None) -> pl.DataFrame:
        """The rows of a declared table."""
        return self.lake.read(name, where=where)

    def query(
        self, name: str, /, *, frames: Mapping[str, pl.DataFrame] | None = None, **parameters: Any
    ) -> pl.DataFrame:
        """The rows of a declared query of sql/."""
        return self.lake.query_file(name, frames=frames, **parameters)

    def engine(self, role: str) -> Engine:
        """The engine of a declared role that has one model."""
        (engine,) = self.engines(role)
        return engine

    def engines(self, role: str) -> list[Engine]:
        """The engines of a declared role, in the order of the settings."""
        self._must_be_declared(role, self._reads.engines, "asks")
        return [self._run.room.engine(model, role) for model in self._run.models(role)]

    def engine_of(self, model: Model) -> Engine:
        """The engine of a model that was trained here from the policy, loaded like the policy."""
        self._must_be_declared("policy", self._reads.engines, "asks")
        return self._run.room.engine(model)

    def engine_on_servers(self, asked: AskedModelSettings) -> Engine:
        """The engine of a policy that its own servers have."""
        self._must_be_declared("policy", self._reads.engines, "asks")
        return self._run.room.engine_on_servers(asked)

    def model(self, role: str) -> Model:
        """The model of a declared role that has one: its folder and its id."""
        (model,) = self.models(role)
        return model

    def models(self, role: str) -> list[Model]:
        """The models of a declared role, in the order of the settings."""
        self._must_be_declared(role, (*self._reads.models, *self._reads.engines), "reads")
        return self._run.models(role)

    def resolve(self, settings: ModelSettings) -> Model:
        """The model that a declared setting names."""
        return self._run.resolve(settings)

    @property
    def code_version(self) -> str:
        """The version of this step's code."""
        from pipeline.steps.recipe import code_of

        return code_of(self._step, self._run.settings, self.part)

    def rows_before(self) -> pl.DataFrame:
        """The rows that this step wrote last, where its code is the same; else none.

        For a step that keeps what it has and adds what is new.
        """
        assert self._step.table is not None
        history = self._run.lake.history(self._step.table)
        if history.is_empty() or history["code_version"][-1] != self.code_version:
            return tables.empty(self._step.table)
        return self._run.lake.read(self._step.table)

    def is_made(self, part: str, counted: object) -> bool:
        """Whether another part of this step is up to date, if that is what counts for it."""
        from pipeline.steps.recipe import fingerprint_of

        assert self._step.table is not None
        wanted = fingerprint_of(self._step, self._run, part, counted)
        partition = self._step.partition_for(part)
        return self._run.lake.fresh(self._step.table, wanted, partition) is not None

    def cost_of(self, reads: Reads) -> int:
        """Sampled tokens of all that something is made from (see `Graph.tokens`)."""
        assert self._run.graph is not None
        return self._run.graph.tokens(reads, self._run.settings, self.lake)

    def made_from(self, reads: Reads) -> list[str]:
        """Names of the tables that something is made from, the nearest first."""
        assert self._run.graph is not None
        return self._run.graph.tables_behind(reads, self._run.settings)

    def rest(self) -> None:
        """Gives the engines' memory back before torch takes its own.

        The next request wakes them.
        """
        self._run.room.rest()

    def bar(self, label: str, engine: Engine | None = None) -> AbstractContextManager[Advance]:
        """A progress bar; with an engine it says how fast that one samples."""
        return bar(label, (lambda: _speed(engine)) if engine else (lambda: ""))

    def once(self, key: str, make: Callable[[], T]) -> T:
        """A value that all parts of this step share, made at most once a run."""
        return self._run.once((self._step.name, key), make)

    def _must_be_declared(self, role: str, declared: tuple[str, ...], verb: str) -> None:
        if role not in declared:
            raise UndeclaredRead(
                f"the step {self._step.name} {verb} the model of the role {role!r}, "
                "which it does not declare"
            )


def _speed(engine: Engine) -> str:
    usage = engine.usage
    per_second = usage.sampled_tokens / usage.seconds if usage.seconds else 0.0
    cached = f"{usage.cache_hits} from the cache"
    return f"{usage.sampled_tokens} tokens, {per_second:.0f}/s, {cached}"
