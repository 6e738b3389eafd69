"""What further policies of the profile answer to the same prompts, and judges' votes on all."""

import json
from collections.abc import Mapping
from typing import Any

import polars as pl

from assets.judging import ASKED, votes_on, votes_shown
from assets.sampling import learnable, verified
from pipeline import responses as sampled
from pipeline import tables
from pipeline.config import PolicySettings, Settings
from pipeline.engine.base import Reject
from pipeline.judge import collect
from pipeline.judge.kind import reads_of_kinds
from pipeline.steps import Inputs, PerPrompt, Reads, Step, StepResult
from pipeline.steps.narrowed import meaning


def _names(settings: Settings) -> list[str]:
    return [own.name for own in settings.policies]


def _own(settings: Settings, part: str | None) -> PolicySettings:
    (own,) = (own for own in settings.policies if own.name == part)
    return own


def _asked(settings: Settings, part: str | None) -> Reads:
    """Which model is asked and how: of a policy's settings nothing counts for another one."""
    own = _own(settings, part)
    said = meaning(own, lambda model: "")  # its weights count by its role
    text = json.dumps(said, sort_keys=True)
    return verified(settings).plus(Reads(engines=(own.role,), texts=(text,)))


def _responses(inputs: Inputs) -> StepResult:
    own, settings = _own(inputs.settings, inputs.part), inputs.settings
    engine = inputs.engine(own.role)
    sampling = own.sampling_from(settings.sampling)
    with inputs.bar(f"responses of {own.name}", engine) as advance:
        rows, rejects = sampled.draw(engine, inputs.units, sampling, settings.seed, advance)
    # the ids are those of another vocabulary than that of the model that is trained
    rows = rows.with_columns(
        policy=pl.lit(own.name),
        on_policy=False,
        token_ids=pl.lit(None, dtype=rows.schema["token_ids"]),
    )
    return StepResult(rows, [_named(one, f"policy_responses {own.name}") for one in rejects])


def _named(reject: Reject, step: str) -> Reject:
    """The same reject, as one of these steps here."""
    row = {**reject.row, **({"origin": collect.POLICIES} if "origin" in reject.row else {})}
    return Reject(step.split()[0], step, reject.row_id, reject.reason, row, reject.passing)


def _style_shown(inputs: Inputs, rows: pl.DataFrame) -> Mapping[str, Any]:
    return {"length_and_style": inputs.query("policy_style")}


POLICY_RESPONSES = Step(
    name="policy_responses",
    table="policy_responses",
    part_column="policy",
    parts=_names,
    all_parts=_names,
    make=_responses,
    reads=Reads(tables=("prompts",), settings=("seed", "sampling", "sandbox")),
    reads_of=_asked,
    per=PerPrompt(learnable),
    show=_style_shown,
    show_reads=Reads(queries=("policy_style",)),
    is_end=True,
    group="sampling",
    kinds=("vllm",),
    description="Responses of the profile's further policies to the same prompts, verified.",
)


def _voted_prompts(inputs: Inputs) -> pl.DataFrame:
    prompts = collect.judged_prompts(learnable(inputs), inputs.settings.judge)
    return prompts.select("prompt_id")


def _votes(inputs: Inputs) -> StepResult:
    prompts = learnable(inputs).join(inputs.units, on="prompt_id", how="semi")
    own, others = inputs.table("responses"), inputs.table("policy_responses")
    known = (prompts, pl.concat([own, others], how="diagonal"), tables.empty("recorded_pairs"))
    found = votes_on(known, inputs)
    assert not isinstance(found.rejects, pl.DataFrame)
    rejects = [_named(one, "policy_votes") for one in found.rejects]
    return StepResult(found.rows.with_columns(origin=pl.lit(collect.POLICIES)), rejects)


POLICY_VOTES = Step(
    name="policy_votes",
    table="policy_votes",
    make=_votes,
    reads=Reads(
        tables=("prompts", "responses", "policy_responses"),
        settings=ASKED,
        models=("judges",),
    ),
    reads_of=reads_of_kinds,
    per=PerPrompt(_voted_prompts),
    show=votes_shown,
    makes_pairs=True,
    group="judge",
    kinds=("vllm",),
    description="Judgements of pairs of all policies' responses, in both orders.",
)

STEPS = (POLICY_RESPONSES, POLICY_VOTES)
