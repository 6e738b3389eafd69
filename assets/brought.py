"""Policies that were trained elsewhere, measured as the profile's own are."""

import polars as pl

from assets.ranking import evaluated
from assets.validation import EVALUATIONS, measured_on, reads_of_policy, versions_of_tests
from pipeline import tables
from pipeline.brought import Row, is_address, settings_of
from pipeline.config import AskedModelSettings
from pipeline.engine.base import Engine, Reject
from pipeline.engine.model import Model
from pipeline.errors import OrchardError
from pipeline.steps import Inputs, Reads, Step, StepResult
from pipeline.validation.candidates import measure
from pipeline.validation.evaluate import Candidate

STEP = "brought_evaluations"


def _evaluate(inputs: Inputs) -> StepResult:
    frames, rejects = [tables.empty(STEP)], list[Reject]()
    for row in inputs.table("brought_policies").sort("name").iter_rows(named=True):
        try:
            rows, failed = _measured(inputs, row)
        except OrchardError as error:  # it alone is off the board
            away = is_address(row["place"])  # a server may be back when the next run asks
            mend = "the next run asks again" if away else "`orchard evaluate` it again"
            reason = f"{row['name']}: {error}: {mend}"
            failed = [Reject(STEP, STEP, row["policy_id"], reason, passing=away)]
        else:
            frames.append(rows)
        rejects += failed
    return StepResult(pl.concat(frames), rejects)


def _measured(inputs: Inputs, row: Row) -> tuple[pl.DataFrame, list[Reject]]:
    """All rows of one policy, and what failed."""
    name = row["name"]
    if name in evaluated(inputs.settings):
        raise OrchardError("a variant of the profile has this name")
    model, engine = _opened(inputs, row)
    candidate = Candidate(model.policy_id, name, 0, inputs.settings.training.beta, elsewhere=True)
    test = inputs.once("test", lambda: measured_on(inputs))
    with inputs.bar(f"test {name}", engine) as advance:
        return measure(test, candidate, model, engine, advance)


def _opened(inputs: Inputs, row: Row) -> tuple[Model, Engine]:
    """The policy as it was when it was brought, and its engine."""
    asked = settings_of(row, inputs.settings.model.max_model_len)
    model = inputs.resolve(asked)
    if model.policy_id != row["policy_id"]:
        raise OrchardError(f"{row['place']} holds other weights now ({model.policy_id})")
    if isinstance(asked, AskedModelSettings):
        return model, inputs.engine_on_servers(asked)
    return model, inputs.engine_of(model)


def _what_counts(inputs: Inputs) -> object:
    """The policies as they were brought, the test prompts and the held-out pairs: no server is
    asked, and no folder read, whether it is up to date.
    """
    known = inputs.table("brought_policies").sort("name").rows()
    return [known, versions_of_tests(inputs)] if known else []


BROUGHT_EVALUATIONS = Step(
    name=STEP,
    table=STEP,
    make=_evaluate,
    counts=_what_counts,
    reads=EVALUATIONS.reads.plus(
        Reads(beside=("brought_policies",), settings=("model.max_model_len",))
    ),
    reads_of=reads_of_policy,
    group="validation",
    kinds=("vllm",),
    description="Policies that were trained elsewhere, on the same test prompts and pairs.",
)
STEPS = (BROUGHT_EVALUATIONS,)
