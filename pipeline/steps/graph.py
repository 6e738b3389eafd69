"""The graph of all steps, from their declarations: who makes what, who needs whom."""

from collections.abc import Iterator, Sequence

import polars as pl

from pipeline import tables
from pipeline.config import Settings
from pipeline.errors import OrchardError
from pipeline.steps.declared import Need, Reads, Rows, Step, table_of
from pipeline.steps.inputs import needs_of
from pipeline.store.reader import Reader

KEPT_BY_COMMITS = ("rejects", "usage")  # tables that come with the steps of others
Made = tuple[Step, str | None]  # a step, and the part of it that is meant


class Graph:
    """Steps by name, in the order of their declaration."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = {step.name: step for step in steps}

    def makers(self, need: Need, settings: Settings) -> list[Made]:
        """The steps that write rows of a need, each with the part of it that is needed."""
        found: list[Made] = []
        for step in self.steps.values():
            if step.table != table_of(need):
                continue
            if isinstance(need, Rows) and step.part_column == need.column:
                if step.all_parts is None or need.value in step.all_parts(settings):
                    found.append((step, need.value))
            elif not isinstance(need, Rows) or step.partition in (None, need):
                found.append((step, None))
        return found

    def before(self, step: Step, settings: Settings) -> list[str]:
        """Names of the steps that come before one, whichever variants a profile compares."""
        reads = _reads_of_any_profile(step, settings)
        needs = [*needs_of(reads), *reads.gates]
        names = [maker.name for need in needs for maker, _ in self.makers(need, settings)]
        return [name for name in dict.fromkeys(names) if name != step.name]

    def needed(self, settings: Settings) -> set[str]:
        """Names of steps that a profile's ends need, and of those that describe their tables."""
        found: set[str] = set()
        waiting = [step.name for step in self.steps.values() if step.is_end]
        while waiting:
            name = waiting.pop()
            if name in found:
                continue
            found.add(name)
            step = self.steps[name]
            for reads in _reads_of_parts(step, settings):
                needs = [*_made_for_it(reads), *reads.gates]
                makers = [self.makers(need, settings) for need in needs]
                waiting += [maker.name for own in makers for maker, _ in own]
            waiting += [s.name for s in self.steps.values() if step.table in s.made_beside]
        return {name for name in found if _has_parts(self.steps[name], settings)}

    def made_for(self, step: Step, part: str | None, settings: Settings) -> list[Made]:
        """All that has to be made for a part of a step, in order and itself last; with no part,
        for those of the profile.
        """
        found: set[Made] = set()
        waiting: list[Made] = [(step, part)]
        while waiting:
            made = waiting.pop()
            for one in _each_part(*made, settings):
                if one not in found:
                    found.add(one)
                    needs = _made_for_it(one[0].reads_for(settings, one[1]))
                    waiting += [maker for need in needs for maker in self.makers(need, settings)]
        ordered = {one.name: place for place, one in enumerate(self.in_order(settings))}
        return sorted(found, key=lambda one: (ordered[one[0].name], one[1] or ""))

    def behind(self, reads: Reads, settings: Settings) -> list[Need]:
        """All that something is made from, the nearest first:
        rows of tables, and what these need.
        """
        found: dict[Need, None] = {}
        waiting = list(_made_for_it(reads))
        while waiting:
            need = waiting.pop(0)
            if need in found:
                continue
            found[need] = None
            for step, part in self.makers(need, settings):
                waiting += _made_for_it(step.reads_for(settings, part))
        return list(found)

    def tables_behind(self, reads: Reads, settings: Settings) -> list[str]:
        """Names of the tables that something is made from, the nearest first."""
        return list(dict.fromkeys(table_of(need) for need in self.behind(reads, settings)))

    def tokens(self, reads: Reads, settings: Settings, lake: Reader) -> int:
        """Sampled tokens that something would cost alone: those of all tables that it is made from.

        Completions that other tables share count in full, and so does what was sampled in vain.
        """
        tables_: dict[str, set[str]] = {}
        for need in self.behind(reads, settings):
            if "tokens" in tables.empty(table_of(need)).columns:
                tables_.setdefault(table_of(need), set()).add(self._condition(need, settings))
        return sum(_tokens(lake, table, conditions) for table, conditions in tables_.items())

    def brought_in(self, lake: Reader) -> dict[str, pl.DataFrame]:
        """Table -> its rows that no step makes: imports, and what was erased."""
        found = {}
        for table in tables.TABLES:
            makers = [step for step in self.steps.values() if step.table == table]
            own = [step.partition.condition for step in makers if step.partition]
            if table not in KEPT_BY_COMMITS and len(own) == len(makers):
                where = " AND ".join(f"NOT ({condition})" for condition in own)
                found[table] = lake.read(table, where=where or None)
        return {table: rows for table, rows in found.items() if not rows.is_empty()}

    def in_order(self, settings: Settings) -> list[Step]:
        """All steps, each after those that come before it.

        Raises:
            OrchardError: one does; the message names the steps of the circle.
        """
        before = {name: self.before(step, settings) for name, step in self.steps.items()}
        done: dict[str, Step] = {}

        def visit(name: str, path: tuple[str, ...]) -> None:
            if name in path:
                circle = " <- ".join([*path[path.index(name) :], name])
                raise OrchardError(
                    f"steps in a circle: {circle}: a query reads what is made from it"
                )
            if name not in done:
                for other in before[name]:
                    visit(other, (*path, name))
                done[name] = self.steps[name]

        for name in self.steps:
            visit(name, ())
        return list(done.values())

    def _condition(self, need: Need, settings: Settings) -> str:
        own = [need.condition] if isinstance(need, Rows) else []
        paid = [step.paid for step, _ in self.makers(need, settings) if step.paid]
        return " AND ".join([*own, *paid]) or "true"


def _made_for_it(reads: Reads) -> Iterator[Need]:
    """The needs of which a step wants the steps that make them: all but those beside it."""
    beside = {table_of(need) for need in (*reads.beside, *reads.uncounted)}
    wanted = {table_of(need) for need in reads.tables}
    return (n for n in needs_of(reads) if n in reads.tables or table_of(n) not in beside | wanted)


def _each_part(step: Step, part: str | None, settings: Settings) -> list[Made]:
    """A part of a step, or all of the profile's."""
    if part is not None or step.parts is None:
        return [(step, part)]
    return [(step, one) for one in step.parts(settings)]


def _reads_of_parts(step: Step, settings: Settings) -> list[Reads]:
    """What each part reads: what one reads as it is, another may need to be made."""
    parts = step.parts(settings) if step.parts else [None]
    return [step.reads_for(settings, part) for part in parts]


def _reads_of_any_profile(step: Step, settings: Settings) -> Reads:
    if step.reads_of is None or step.all_parts is None:
        return step.reads_for(settings)
    return step.reads.plus(*(step.reads_of(settings, one) for one in step.all_parts(settings)))


def _has_parts(step: Step, settings: Settings) -> bool:
    return step.parts is None or bool(step.parts(settings))


def _tokens(lake: Reader, table: str, conditions: set[str]) -> int:
    where = " OR ".join(f"({condition})" for condition in sorted(conditions))
    kept = lake.sql(f'SELECT sum(tokens)::BIGINT AS n FROM "{table}" WHERE {where}').item()
    in_vain = """
        SELECT sum(("row"->>'tokens')::BIGINT)::BIGINT AS n FROM rejects WHERE "table" = $table
    """
    lost = lake.sql(in_vain, {"table": table}).item()
    return int(kept or 0) + int(lost or 0)
