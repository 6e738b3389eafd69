"""Selectors: reward models learnt from pairs, which take one of several answers to a prompt."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from assets.sampling import verified
from pipeline.by_hash import first_by_hash
from pipeline.config import Settings
from pipeline.preferences.registry import registry
from pipeline.selection.compare import in_words, selections
from pipeline.selection.score import Material, material, score_steps
from pipeline.steps import Inputs, Reads, Rows, Step, StepResult
from pipeline.validation.evaluate import answers


def _sources(settings: Settings) -> tuple[str, ...]:
    return settings.selection.sources


def _pairs_of_sources(settings: Settings, part: str | None) -> Reads:
    """The pairs of all sources: all selectors learn from equally many."""
    named = dict.fromkeys((*_sources(settings), *([] if part is None else [part])))
    needs = tuple(Rows("preferences", "variant", name) for name in named)
    return Reads(tables=needs).plus(verified(settings))


def _material(inputs: Inputs) -> Material:
    settings, chosen = inputs.settings, inputs.settings.selection
    prompts = inputs.table("prompts", where="split = 'test' AND verifier IS NOT NULL")
    prompts = first_by_hash(prompts, "selection", chosen.max_prompts)
    sampling = settings.sampling.model_copy(update={"n": chosen.draws})
    engine = inputs.engine("policy")
    with inputs.bar("selection", engine) as advance:
        drawn = answers(engine, prompts, sampling, settings.seed, advance)
    inputs.rest()  # the engine's memory, before torch takes its own
    rows = drawn.rows.join(prompts.select("prompt_id", "messages"), on="prompt_id")
    pairs = inputs.table("preferences")
    own = {name: pairs.filter(pl.col("variant") == name) for name in chosen.sources}
    found = material(own, rows, inputs.model("policy"), settings)
    found.rejects.extend(drawn.failed)
    return found


def _step_scores(inputs: Inputs) -> StepResult:
    given, source = inputs.once("material", lambda: _material(inputs)), inputs.part or ""
    scored = score_steps(source, given, inputs.model("policy"), inputs.settings, inputs.home)
    first = source == inputs.settings.selection.sources[0]  # what all share is told once
    return StepResult(scored[0], [*scored[1], *(given.rejects if first else [])])


STEP_SCORES = Step(
    name="step_scores",
    table="step_scores",
    part_column="selector",
    parts=_sources,
    all_parts=lambda settings: tuple(registry(settings)),
    make=_step_scores,
    reads=Reads(
        tables=("prompts",),
        settings=("seed", "selection", "sampling", "noise", "trees.delimiter"),
        engines=("policy",),
    ),
    reads_of=_pairs_of_sources,
    is_end=True,
    group="validation",
    kinds=("torch",),
    description="Every step of several answers under reward models learnt from variants' pairs.",
)


def _shown(inputs: Inputs, rows: pl.DataFrame) -> Mapping[str, Any]:
    return {"in_words": in_words(rows) or ["no selection"], "selections": rows}


SELECTIONS = Step(
    name="selections",
    table="selections",
    make=lambda inputs: StepResult(selections(inputs.table("step_scores"), inputs.settings)),
    reads=Reads(
        tables=("step_scores",),
        settings=(
            "seed",
            "selection.draws",
            "selection.pooling",
            "validation.bootstrap",
            "validation.confidence",
        ),
        code=(selections,),
    ),
    made_beside=("step_scores",),
    show=_shown,
    group="validation",
    kinds=("duckdb",),
    description="Best of N by a selector, against a majority vote and the outcome verifier.",
)

STEPS = (STEP_SCORES, SELECTIONS)
