"""What determines a table's rows: code, settings, models and the versions of what is read."""

from typing import Any

from pipeline import tables
from pipeline.config import Settings
from pipeline.ids import content_id
from pipeline.steps.code import code_version
from pipeline.steps.context import RunContext
from pipeline.steps.declared import Need, Reads, Rows, Step, table_of
from pipeline.steps.inputs import Inputs, needs_of
from pipeline.steps.narrowed import UNCOUNTED, meaning, narrowed
from pipeline.steps.queries import meaning_of_query
from pipeline.steps.roles import HOW, how, role_of
from pipeline.store.files import query_text

__all__ = ["base_recipe", "code_of", "fingerprint", "table_of"]


def fingerprint(step: Step, run: RunContext, part: str | None = None) -> str:
    """A hash of all that determines the rows of a part: equal ones make equal rows."""
    return fingerprint_of(step, run, part, _inputs_now(step, run, part))


def fingerprint_of(step: Step, run: RunContext, part: str | None, counted: object) -> str:
    """The same, if `counted` is what counts of the tables that are read."""
    return content_id(base_recipe(step, run, part), counted)


def base_recipe(step: Step, run: RunContext, part: str | None = None) -> str:
    """The same without the tables that are read: code, settings and models."""

    def make() -> str:
        reads = step.reads_for(run.settings, part)
        said = _settings_of(reads, run)
        return content_id(step.name, part, code_of(step, run.settings, part), said)

    return run.once(("recipe", step.name, part), make)


def code_of(step: Step, settings: Settings, part: str | None = None) -> str:
    """The version of the code behind a part of a step;
    with no part, behind all of the profile's.
    """
    reads = step.reads_for(settings, part)
    per = [step.per.units] if step.per else []
    counts = [step.counts] if step.counts else []
    schema = [tables.TABLES[step.table]] if step.table else []
    code = code_version(step.make, *per, *counts, *schema, *reads.code)
    said = [meaning_of_query(query_text(name)) for name in sorted(reads.queries)]
    said += sorted(reads.texts)
    return content_id(code, said)[:12] if said else code


def _settings_of(reads: Reads, run: RunContext) -> list[Any]:
    """What the declared settings say, and which models stand in the declared roles."""

    def weights_of(settings: Any) -> str:
        return run.resolve(settings).policy_id

    asked = [role_of(role).settings for role in reads.engines]
    names = {*reads.settings, *(name for names in asked for name in names)}
    counted = sorted({*names, *(HOW if reads.engines else ())} - UNCOUNTED.keys())
    held = narrowed(run.settings, counted)
    ids = {
        role: [m.policy_id for m in run.models(role)] for role in {*reads.engines, *reads.models}
    }
    said = [meaning(held, weights_of, UNCOUNTED), dict(sorted(ids.items()))]
    return [*said, *(how(run.settings) if reads.engines else ())]


def _inputs_now(step: Step, run: RunContext, part: str | None) -> object:
    """The versions of what is read, or what of it counts."""
    if step.counts is not None:
        return step.counts(Inputs(run, step, part))
    reads = step.reads_for(run.settings, part)
    needs = [need for need in needs_of(reads) if need not in reads.uncounted]
    return sorted([str(need), version_of(need, run)] for need in needs)


def version_of(need: Need, run: RunContext) -> int:
    """The version that last changed a table, or the declared rows of it."""
    if isinstance(need, Rows):
        return run.lake.version(need.table, need.partition)
    return run.lake.version(need)
