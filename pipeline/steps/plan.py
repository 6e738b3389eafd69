"""What a run would make and cost, before anything starts: estimates from measured rates."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipeline.errors import OrchardError
from pipeline.steps import rates, recipe
from pipeline.steps.chunks import missing_prompts
from pipeline.steps.context import RunContext
from pipeline.steps.declared import Step
from pipeline.steps.graph import Graph, Made
from pipeline.steps.inputs import Inputs, needs_of
from pipeline.steps.run import step_name
from pipeline.steps.trial import PROMPTS, bring_in
from pipeline.store import Commit, Lake

RUN, PREVIEW = "run", "preview"  # what a rate was measured by


@dataclass(frozen=True)
class Planned:
    """A part of a step that a run would make.

    name: of the step, with its part. prompts: for how many it would be made. asks: whether it asks
    models. requests, tokens, seconds, rows, bytes: what that costs and gives, at the rate of
    `measured`; null where nothing was measured. What the completion cache holds already is not
    taken off: it costs less. measured: run, preview or null.
    """

    name: str
    prompts: int
    asks: bool
    requests: int | None = None
    tokens: int | None = None
    seconds: float | None = None
    rows: int | None = None
    bytes: int | None = None
    measured: str | None = None


@dataclass(frozen=True)
class Plan:
    """What a run would make, in order, and the names of what is up to date."""

    to_make: list[Planned]
    up_to_date: list[str]


def plan(graph: Graph, run: RunContext) -> Plan:
    """What a run of the profile would make of each step, and what that would cost.

    A step is made where its recipe has changed, or where something that it reads is made. Its
    prompts are those that lack rows of today's recipe, and those of which something that it reads
    is made. Nothing is asked or written.
    """
    drawn = _Planning(graph, run)
    with tempfile.TemporaryDirectory() as folder, Lake(Path(folder)) as lake:
        bring_in(graph, run.home, lake)
        drawn.look(lake)
    return Plan(drawn.to_make, drawn.up_to_date)


class _Planning:
    def __init__(self, graph: Graph, run: RunContext) -> None:
        self._graph, self._run = graph, run
        self._todo: dict[Made, set[str]] = {}  # what is made, and for which prompts
        self._own = rates.costs(run.lake)
        self._previewed = rates.kept(run.home)
        self._prompts: set[str] = set(run.lake.read(PROMPTS)["prompt_id"])
        self.to_make: list[Planned] = []
        self.up_to_date: list[str] = []

    def look(self, scratch: Lake) -> None:
        """Goes through all steps in order; `scratch` is an empty lake."""
        settings = self._run.settings
        needed = self._graph.needed(settings)
        for step in self._graph.in_order(settings):
            if step.name not in needed or step.table is None:
                continue
            for part in step.parts(settings) if step.parts else [None]:
                self._part(step, part, scratch)

    def _part(self, step: Step, part: str | None, scratch: Lake) -> None:
        before = list(self._made_before(step, part))
        if not before and self._is_fresh(step, part):
            self.up_to_date.append(step_name(step, part))
            return
        if step.table == PROMPTS:
            todo = self._new_prompts(step, part, scratch)
        elif step.per is None:
            todo = self._prompts
        else:
            own = {} if self._is_first(step, part) else missing_prompts(step, self._run, part)
            todo = set(own).union(*(self._todo[one] for one in before))
            todo = self._wanted(step, part, todo, scratch)
        self._todo[step, part] = todo
        self.to_make.append(self._estimated(step, part, len(todo)))

    def _made_before(self, step: Step, part: str | None) -> Iterator[Made]:
        """What is made of that which a part reads and counts."""
        reads = step.reads_for(self._run.settings, part)
        for need in needs_of(reads):
            if need in reads.uncounted:
                continue
            for maker, own in self._graph.makers(need, self._run.settings):
                yield from (
                    made for made in self._todo
                    if made[0].name == maker.name and own in (None, made[1])
                )  # fmt: skip

    def _is_fresh(self, step: Step, part: str | None) -> bool:
        assert step.table is not None
        fingerprint = recipe.fingerprint(step, self._run, part)
        return self._run.lake.fresh(step.table, fingerprint, step.partition_for(part)) is not None

    def _is_first(self, step: Step, part: str | None) -> bool:
        assert step.table is not None
        return self._run.lake.version(step.table, step.partition_for(part)) == 0

    def _new_prompts(self, step: Step, part: str | None, scratch: Lake) -> set[str]:
        """The prompts that pools give and the lake lacks; `scratch` gets all of them."""
        made = step.make(Inputs(self._run, step, part))
        scratch.write(PROMPTS, made.rows, Commit("plan"))
        now = set(made.rows["prompt_id"])
        new, self._prompts = now - self._prompts, now
        return new

    def _wanted(self, step: Step, part: str | None, todo: set[str], scratch: Lake) -> set[str]:
        """Those of the prompts that the step takes, as far as prompts alone tell that."""
        assert step.per is not None
        settings, home = self._run.settings, self._run.home
        if scratch.version(PROMPTS) == 0:
            scratch.write(PROMPTS, self._run.lake.read(PROMPTS), Commit("plan"))
        alone = RunContext(settings, scratch, self._run.room, home, "plan", self._graph)
        try:
            taken = set(step.per.units(Inputs(alone, step, part))["prompt_id"])
        except (OrchardError, pl.exceptions.PolarsError):  # it wants rows that are not there yet
            return todo
        return todo & taken if taken else todo

    def _estimated(self, step: Step, part: str | None, prompts: int) -> Planned:
        name = step_name(step, part)
        asks = bool(step.reads_for(self._run.settings, part).engines)
        found, measured = self._rate(step, part, name)
        if found is None or not found.prompts:
            return Planned(name, prompts, asks)
        share = prompts / found.prompts
        return Planned(
            name,
            prompts,
            asks,
            requests=round(found.requests * share),
            tokens=round(found.tokens * share),
            seconds=self._seconds(found, share, measured),
            rows=round(found.rows * share),
            bytes=round(found.bytes * share),
            measured=measured,
        )

    def _rate(
        self, step: Step, part: str | None, name: str
    ) -> tuple[rates.Rate | None, str | None]:
        """What was measured of a step here, else in a preview."""
        if self._is_first(step, part):
            found = self._previewed.get(name)
            return found, PREVIEW if found else None
        assert step.table is not None
        where = " AND ".join(
            f"\"{column}\" = '{own}'" for column, own in step.partition_for(part).items()
        )
        rows = self._run.lake.read(step.table, where=where or None)
        about = self._run.lake.read(PROMPTS)
        if step.per is not None:
            about = step.per.units(Inputs(self._run, step, part))
        prompts = about["prompt_id"].n_unique()
        return rates.rate(self._own.get(name), rows, prompts), RUN

    def _seconds(self, found: rates.Rate, share: float, measured: str | None) -> float | None:
        """Seconds in models, as measured or else by the mean speed, and of a run's besides.

        A preview is so small that its time outside models says nothing of a run's.
        """
        besides = found.other_seconds if measured == RUN else 0.0
        if not found.requests:
            return besides * share if measured == RUN else None
        if found.asked:
            in_models = found.engine_seconds * found.requests / found.asked
            return (in_models + besides) * share
        speed = self._speed()
        return (found.tokens / speed + besides) * share if speed else None

    def _speed(self) -> float | None:
        """Sampled tokens a second, over all that was measured."""
        known = [one for one in self._previewed.values() if one.requests and one.asked]
        tokens = sum(one.tokens * one.asked / one.requests for one in known)
        seconds = sum(one.engine_seconds for one in known)
        for cost in self._own.values():
            tokens, seconds = tokens + cost["sampled_tokens"], seconds + cost["engine_seconds"]
        return tokens / seconds if tokens and seconds else None
