"""Reference log-probabilities, and one trained policy per variant and seed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import polars as pl

from pipeline import tables
from pipeline.config import Settings
from pipeline.engine.base import Reject
from pipeline.engine.rendering import Renderer
from pipeline.errors import Diverged
from pipeline.figures import curves
from pipeline.ids import content_id
from pipeline.preferences.registry import registry, variant
from pipeline.steps import Inputs, Reads, Rows, Step, StepResult
from pipeline.steps.code import code_version
from pipeline.steps.rejects import reject_rows
from pipeline.training import losses
from pipeline.training.once import FOLDER, TRAINER, Row, Training, train_once
from pipeline.training.rationales import attach
from pipeline.training.search import best_of
from pipeline.validation import budgets
from pipeline.validation.pair_sets import reads_of_pair_sets
from pipeline.validation.report.training import SIDES, has_sides
from pipeline.validation.standing import basis_of, remember, remembered, stand

LEARNED = Reads(
    beside=("preferences", "preference_lists", "unpaired", "rationales"), settings=budgets.SETTINGS
)


def _length(inputs: Inputs) -> budgets.Length:
    return inputs.once("length", lambda: Renderer(inputs.model("policy").path).length)


def _learned(inputs: Inputs) -> Mapping[str, pl.DataFrame]:
    return inputs.once(
        "rows", lambda: budgets.trained_rows(inputs.lake, inputs.settings, _length(inputs))
    )


def _pairs_of_profile(settings: Settings, part: str | None) -> Reads:
    """The rows that the losses of a profile's variants learn from, and held-out pairs."""
    names = settings.validation.variants if part is None else [part]
    needs = [Rows("preferences", "variant", name) for name in names]
    needs += [Rows(variant(name, settings).rows, "variant", name) for name in names]
    return Reads(tables=tuple(dict.fromkeys(needs)))


def _unread(settings: Settings) -> Reads:
    """Says for which variants nothing is computed, and whether settings are searched for.

    No more than that of the losses: the rows that there are stay while this stays the same.
    """
    names = settings.validation.variants
    without = [n for n in names if not losses.get(_loss_of(n, settings)).reference]
    said = Reads(texts=tuple(f"{name}: no reference" for name in without))
    return said.plus(budgets.reads_of_search(settings))


def _reference(inputs: Inputs) -> StepResult:
    from pipeline.training.reference import reference_logps  # torch only where a step needs it

    inputs.rest()  # the engine's memory, before torch takes its own
    model, settings = inputs.model("policy"), inputs.settings
    found = inputs.rows_before().filter(pl.col("policy_id") == model.policy_id)
    learned = [
        rows
        for name, rows in _learned(inputs).items()
        if losses.get(_loss_of(name, settings)).reference
    ]
    searched = [
        rows
        for name, rows in budgets.searched_pairs(inputs.lake, settings).items()
        if losses.get(_loss_of(name, settings)).reference
    ]
    for rows in (*learned, *searched, budgets.ranked_pairs(inputs.lake, settings)):
        if not rows.is_empty():  # tables of three shapes: one after the other
            new = reference_logps(
                model.path, rows, settings.training, policy_id=model.policy_id, known=found
            )
            found = pl.concat([found, new])
    return StepResult(found)


REFERENCE_LOGPS = Step(
    name="reference_logps",
    table="reference_logps",
    make=_reference,
    reads=LEARNED.plus(
        Reads(
            settings=(
                "training.max_length",
                "training.too_long",
                "training.thoughts",
                "training.micro_tokens",
            ),
            models=("policy",),
        )
    ),
    reads_of=lambda settings, part: _pairs_of_profile(settings, part).plus(
        _unread(settings), reads_of_pair_sets(settings)
    ),
    group="training",
    kinds=("torch",),
    description="Log-probabilities under the base model, once for all losses that read them.",
)


def _training(inputs: Inputs) -> StepResult:
    assert inputs.part is not None
    rows = _learned(inputs)[inputs.part]
    if rows.is_empty():  # what an earlier run trained on other rows goes too
        note = {"note": "no training pair: no policy"}
        return StepResult(tables.empty("training_runs"), (), note)
    inputs.rest()
    reference = inputs.table("reference_logps")
    training = _searched(inputs, _training_of(inputs, inputs.part), reference)
    done = [_seed(training, reference, seed) for seed in training.settings.seeds]
    runs = pl.DataFrame(
        [row for row, _ in done if row], schema=tables.empty("training_runs").schema
    )
    return StepResult(runs, pl.concat([dropped for _, dropped in done]))


def _training_of(inputs: Inputs, name: str) -> Training:
    """What determines a variant's policies, as the profile says it."""
    return Training(
        name,
        _with_rationales(inputs, _learned(inputs)[name]),
        variant(name, inputs.settings).settings(inputs.settings.training),
        inputs.model("policy"),
        code_version(TRAINER, *_code_of_losses(name, inputs.settings)),
        inputs.home,
    )


def _searched(inputs: Inputs, training: Training, reference: pl.DataFrame) -> Training:
    """The training with the settings that its search chose, where the profile asks for one.

    A control takes those of the variant that it controls, whose tries are made only once; a loss
    of its own it keeps.
    """
    if not inputs.settings.search.asked:
        return training
    name = budgets.trains_as(training.variant, inputs.settings)
    own = training if name == training.variant else _training_of(inputs, name)
    pairs = inputs.once("searched", lambda: budgets.searched_pairs(inputs.lake, inputs.settings))
    if own.rows.is_empty() or pairs[name].is_empty():
        return replace(training, tries="[]" if own is training else None)
    shared = own.settings.model_dump()
    changes = inputs.settings.search.changes_of(name, shared)
    chosen, tries = best_of(own, changes, pairs[name], reference)
    said = json.dumps([asdict(one) for one in tries]) if own is training else None
    settings = chosen.settings.model_copy(update={"loss": training.settings.loss})
    return replace(training, settings=settings, tries=said)


def _seed(
    training: Training, reference: pl.DataFrame, seed: int
) -> tuple[Row | None, pl.DataFrame]:
    """The row of one seed and rejected rows; a training that diverges is a reject itself."""
    try:
        return train_once(training, reference, seed)
    except Diverged as error:  # one variant's loss without a lower bound ends no other's training
        name = training.variant
        reason = f"seed {seed}: {error}"
        lost = Reject("training_runs", f"train {name}", f"{name} seed {seed}", reason)
        return None, reject_rows([lost])


def _with_rationales(inputs: Inputs, rows: pl.DataFrame) -> pl.DataFrame:
    if "rationale_id" not in rows.columns or rows["rationale_id"].null_count() == rows.height:
        return rows
    return attach(rows, inputs.table("rationales"))


def _training_shown(inputs: Inputs, runs: pl.DataFrame) -> Mapping[str, Any]:
    if runs.is_empty():
        return {"note": "no policy: no training pair, or every training diverged"}
    known = [(seed, json.loads(curve)) for seed, curve in runs.select("seed", "curve").iter_rows()]
    lines = {f"seed {seed}": [(p[0], p[1]) for p in points] for seed, points in known}
    watched = any(json.loads(row)["patience"] for row in runs["settings"])
    unwatched = watched and set(runs["looks"]) == {"[]"}
    note = {"note": "not watched: a curriculum, or no validation rows to stop on"}
    shown = {"loss": curves(lines, "step", "loss"), **_displacement(known)}
    return {**shown, **_tries_shown(runs), **(note if unwatched else {})}


def _tries_shown(runs: pl.DataFrame) -> Mapping[str, Any]:
    """The tries that chose the settings, where there was a search."""
    said = next((one for one in runs["tries"].to_list() if one), None)
    if said is None:
        return {}
    if said == "[]":
        return {"search": "nothing was tried: no validation pairs to choose settings on"}
    rows = [{**one, "changes": json.dumps(one["changes"])} for one in json.loads(said)]
    return {"search": pl.DataFrame(rows, infer_schema_length=None)}


def _displacement(runs: list[tuple[int, list[Any]]]) -> Mapping[str, Any]:
    """Log-probabilities of the better texts and of the others, where the curves hold them."""
    lines = {
        f"{name}, seed {seed}": line
        for seed, points in runs
        for name, place in SIDES.items()
        if (line := [(p[0], p[place]) for p in points if has_sides(p) and p[place] is not None])
    }
    what = "mean log-probability per token"
    return {"log_probabilities": curves(lines, "step", what)} if lines else {}


def _marks_that_count(inputs: Inputs) -> object:
    """Marks of the rows that a variant's policies stand for: today's, or those of an earlier day.

    Those of the last decision count while few have changed, so that a night with a few new prompts
    costs their sampling and not a training of every variant. A budget that was asked for is never
    within `retrain_share`: it is part of the settings.
    """
    decided = inputs.once("decision", lambda: _decide(inputs))
    return _counted(inputs.part or "", decided, inputs.settings)


def _counted(name: str, marks: Mapping[str, list[str]], settings: Settings) -> object:
    """Of the marks of all variants those that decide one's policies: where settings are searched
    for, those of the variant that chooses them too.
    """
    if not settings.search.asked:
        return marks[name]
    return [marks[name], marks[budgets.trains_as(name, settings)]]


def _decide(inputs: Inputs) -> dict[str, list[str]]:
    rows = _learned(inputs)
    folder = inputs.home / FOLDER
    note = folder / f"standing-{content_id(sorted(rows))[:8]}.json"
    old, new = remembered(note), {name: basis_of(frame) for name, frame in rows.items()}
    prompts = set(inputs.query("training_prompts")["prompt_id"])
    share = inputs.settings.validation.retrain_share
    # A killed run left a variant otherwise than it was to be at the last decision.
    marks = {name: basis.marks for name, basis in old.items()}
    made = all(inputs.is_made(n, _counted(n, marks, inputs.settings)) for n in marks if n in rows)
    if not (made and stand(old, new, prompts, share)):
        remember(note, new)
        old = new
    return {name: basis.marks for name, basis in old.items()}


def _loss_of(name: str, settings: Settings) -> str:
    """The name of the loss that a variant is learned with."""
    return variant(name, settings).loss or settings.training.loss


def _code_of_losses(name: str, settings: Settings) -> tuple[str, ...]:
    """Where the code of a variant's loss is; of a mixture, of its parts' losses too."""
    parts = [part.loss or settings.training.loss for part in variant(name, settings).parts]
    return tuple(dict.fromkeys(map(losses.code_of, (_loss_of(name, settings), *parts))))


def _code(settings: Settings, part: str | None) -> Reads:
    """The code of the losses of a profile's variants, or of one."""
    names = settings.validation.variants if part is None else [part]
    code = tuple(one for n in names for one in _code_of_losses(n, settings))
    losses_named = tuple(f"{n}: {loss}" for n in names if (loss := variant(n, settings).loss))
    return Reads(code=code, texts=losses_named).plus(budgets.reads_of_search(settings))


def _otherwise(names: Sequence[str], settings: Settings) -> tuple[str, ...]:
    """What variants have otherwise than the profile's `training`."""
    changes = {name: variant(name, settings).training for name in names}
    said = [json.dumps({name: own}, sort_keys=True) for name, own in changes.items() if own]
    return (*said, settings.search.model_dump_json()) if settings.search.asked else tuple(said)


def _reads_of_training(settings: Settings, part: str | None) -> Reads:
    """Rows, the rationales among them, and the code of the losses."""
    names = settings.validation.variants if part is None else [part]
    needs = [variant(n, settings).reads_for(settings).tables for n in names]
    reasons = {n for own in needs for n in own if isinstance(n, Rows) and n.table == "rationales"}
    own = Reads(tables=tuple(sorted(reasons, key=str)), texts=_otherwise(names, settings))
    return _pairs_of_profile(settings, part).plus(own, _code(settings, part))


TRAINING_RUNS = Step(
    name="training_runs",
    table="training_runs",
    part_column="variant",
    parts=lambda settings: settings.validation.variants,
    all_parts=lambda settings: tuple(registry(settings)),
    is_partitioned=True,
    make=_training,
    counts=_marks_that_count,
    reads=LEARNED.plus(
        Reads(
            tables=("reference_logps", "prompts"),
            beside=("code_pairs", "source_prompts"),
            queries=("training_prompts",),
            settings=("training", "validation.retrain_share"),
            models=("policy",),
            code=(TRAINER,),
        )
    ),
    reads_of=_reads_of_training,
    show=_training_shown,
    is_end=True,
    group="training",
    kinds=("torch", "huggingface"),
    description="One policy per variant and seed, trained on equally many pairs.",
)

STEPS = (REFERENCE_LOGPS, TRAINING_RUNS)
