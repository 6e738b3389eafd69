"""Every policy measured on the same held-out prompts and pairs, the leaderboard, the report."""

import json
from collections.abc import Mapping
from typing import Any

import polars as pl

from assets.ranking import COMPARISONS, LEADERBOARD, STATISTICS, UNITS, evaluated, sets_of
from assets.ranking import measured as measured_rows
from assets.sampling import verified
from pipeline import tables
from pipeline.config import Settings
from pipeline.engine.base import Reject
from pipeline.engine.model import Model
from pipeline.errors import Diverged
from pipeline.figures import curves
from pipeline.judge.kind import abilities, kinds_of
from pipeline.preferences.registry import registry
from pipeline.steps import Inputs, Reads, Rows, Step, StepResult
from pipeline.training import losses
from pipeline.training.once import FOLDER
from pipeline.validation import budgets
from pipeline.validation.candidates import Test, measure
from pipeline.validation.evaluate import Candidate
from pipeline.validation.metrics import summarise
from pipeline.validation.pair_sets import reads_of_pair_sets, rows_of_pair_sets
from pipeline.validation.ranked import BASE
from pipeline.validation.report import QUERIES, made, write_report
from pipeline.validation.sets import evaluation_sets
from pipeline.validation.sweep import cells, divided, learn, lines, measured
from pipeline.validation.untrained import untrained

JUDGED = (
    "judge.models",
    "judge.criteria",
    "judge.method",
    "judge.template",
    "judge.words",
    "judge.must_answer",
    "judge.combine",
    "judge.clip",
    "judge.seat_correction",
)


def reads_of_policy(settings: Settings, part: str | None) -> Reads:
    """The policies of a variant, and of judged answers their judges."""
    policies = () if part in (None, BASE) else (Rows("training_runs", "variant", part or ""),)
    judged = settings.validation.win_prompts and part != BASE
    judges = Reads(settings=JUDGED, engines=("judges",)).plus(abilities(settings))
    judges = judges if judged else Reads()
    more = (verified(settings), _open_prompts(settings), budgets.reads_of_search(settings))
    return Reads(tables=policies).plus(judges, *more, reads_of_pair_sets(settings))


def _open_prompts(settings: Settings) -> Reads:
    """The prompts of sources, of which those for tests are answered for judges."""
    names = _open_sources(settings)
    return Reads(tables=tuple(Rows("source_prompts", "origin", name) for name in names))


def _open_sources(settings: Settings) -> list[str]:
    """Sources whose test prompts are answered: where answers are judged, those that are learned
    from.
    """
    sources = settings.sources if settings.validation.win_prompts else ()
    return [one.name for one in sources if one.role == "training"]


def _policies(inputs: Inputs) -> list[tuple[Candidate, Model]]:
    if inputs.part == BASE:
        base = inputs.model("policy")
        return [(Candidate(base.policy_id, BASE, 0), base)]
    return [
        (
            Candidate(
                row["policy_id"], row["variant"], row["seed"], json.loads(row["settings"])["beta"]
            ),
            Model(inputs.home / row["checkpoint"], row["policy_id"]),
        )
        for row in inputs.table("training_runs").sort("seed").iter_rows(named=True)
        if row["variant"] == inputs.part
    ]


def _evaluate(inputs: Inputs) -> StepResult:
    test = measured_on(inputs)
    frames, rejects = [tables.empty("evaluations")], list[Reject]()
    for candidate, model in _policies(inputs):  # a variant without a pair has none
        engine = inputs.engine_of(model)
        with inputs.bar(f"test {candidate.variant}", engine) as advance:
            rows, failed = measure(test, candidate, model, engine, advance)
        frames.append(rows)
        rejects += failed
    return StepResult(pl.concat(frames), rejects)


def measured_on(inputs: Inputs) -> Test:
    """What a policy is measured on, and by whom."""
    settings = inputs.settings
    judges = []
    if settings.validation.win_prompts and inputs.part != BASE:
        pairs = zip(inputs.engines("judges"), kinds_of(settings.judge), strict=True)
        judges = [engine for engine, kind in pairs if kind.compares_answers]
    prompts = _test_prompts(inputs)
    of_sets = prompts.filter(pl.col("pool").is_in(evaluation_sets(settings)))
    return Test(
        settings,
        prompts,
        dict(of_sets.select("prompt_id", "pool").iter_rows()),
        inputs.once("pairs", lambda: budgets.ranked_pairs(inputs.lake, settings)),
        inputs.table("reference_logps"),
        inputs.model("policy"),
        inputs.engine("policy"),
        judges,
        inputs.rest,
    )


def _test_prompts(inputs: Inputs) -> pl.DataFrame:
    """Test prompts of the pools and, where answers are judged, of the sources."""
    prompts = inputs.table("prompts", where="split = 'test'")
    names = _open_sources(inputs.settings)
    if not names:
        return prompts
    sent = inputs.table("source_prompts", where="split = 'test'")
    sent = sent.filter(pl.col("origin").is_in(names))
    new = sent.filter(~pl.col("prompt_id").is_in(prompts["prompt_id"].to_list()))
    columns = [name for name in prompts.columns if name in sent.columns]
    once = new.unique("prompt_id", keep="first", maintain_order=True).select(columns)
    return pl.concat([prompts, once], how="diagonal_relaxed")


def _what_counts(inputs: Inputs) -> object:
    """The policies, the test prompts and the held-out pairs: not how they came to be."""
    return [[[c.policy_id, c.seed] for c, _ in _policies(inputs)], versions_of_tests(inputs)]


def versions_of_tests(inputs: Inputs) -> list[int]:
    """Versions of the tables that test prompts and held-out pairs are of."""
    settings, lake = inputs.settings, inputs.lake
    sent = ("source_prompts",) if _open_sources(settings) else ()
    found = [lake.version(table) for table in ("prompts", "preferences", *sent)]
    sets = rows_of_pair_sets(settings)
    return [*found, *(lake.version(rows.table, rows.partition) for rows in sets)]


EVALUATIONS = Step(
    name="evaluations",
    table="evaluations",
    part_column="variant",
    parts=evaluated,
    all_parts=evaluated,
    make=_evaluate,
    counts=_what_counts,
    reads=Reads(
        tables=("prompts", "reference_logps"),
        beside=("preferences",),
        settings=(
            "seed",
            "pools",
            "sampling",
            "sandbox",
            "variants",
            "validation.variants",
            "validation.max_pairs",
            "validation.draws",
            "validation.greedy",
            "validation.pass_at",
            "validation.kl_prompts",
            "validation.win_prompts",
            "training.patience",
            "search",
            "training.beta",
            "training.max_length",
            "training.too_long",
            "training.thoughts",
            "training.micro_tokens",
        ),
        engines=("policy",),
    ),
    reads_of=reads_of_policy,
    is_end=True,
    group="validation",
    kinds=("vllm",),
    description="The base model and every policy on test prompts and held-out pairs, by unit.",
)


def _metrics(inputs: Inputs) -> StepResult:
    settings = inputs.settings
    categories = dict(inputs.query("unit_categories").iter_rows())
    rows = measured_rows(inputs, sets_of(inputs.query("ranking_units"), settings))
    brought = inputs.table("brought_policies")["name"].to_list()
    found = summarise(rows, categories, settings.validation, settings.seed, brought)
    return StepResult(found)


def _metrics_shown(inputs: Inputs, rows: pl.DataFrame) -> Mapping[str, Any]:
    worse = rows.filter(pl.col("verdict") == "worse")
    return {"fallen_categories": worse.select("variant", "category", "change", "p_holm")}


METRICS = Step(
    name="metrics",
    table="metrics",
    make=_metrics,
    reads=Reads(
        tables=("evaluations", "brought_evaluations"),
        beside=UNITS,
        queries=("unit_categories", "ranking_units"),
        settings=STATISTICS,
    ),
    show=_metrics_shown,
    is_end=True,
    group="validation",
    kinds=("duckdb",),
    description="Every metric of every variant, its change against the base, and by category.",
)


def _swept(settings: Settings) -> list[str]:
    return [cell.sweep_id for cell in cells(settings)]


def _reads_of_sweep(settings: Settings, part: str | None) -> Reads:
    """The losses, and the pairs that are swept:
    those of the profile's source, or of a variant that could be one.
    """
    source = part if part in registry(settings) else settings.sweep.source
    swept = [cell.loss for cell in cells(settings) if part in (None, cell.sweep_id)]
    code = tuple(losses.code_of(loss) for loss in dict.fromkeys(swept))
    return Reads(tables=(Rows("preferences", "variant", str(source)),), code=code)


def _swept_pairs(inputs: Inputs) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Training pairs, clean pairs, and reference log-probabilities of both: for all cells."""
    from pipeline.training.reference import reference_logps

    model, settings = inputs.model("policy"), inputs.settings
    inputs.rest()  # the engine's memory, before torch takes its own
    pairs = inputs.table("preferences").sort("chosen_id", "rejected_id", maintain_order=True)
    train, clean = divided(pairs, settings.sweep.max_pairs)
    known = inputs.table("reference_logps").filter(pl.col("policy_id") == model.policy_id)
    new = reference_logps(
        model.path,
        pl.concat([train, clean]),
        settings.training,
        policy_id=model.policy_id,
        known=known,
    )
    return train, clean, pl.concat([known, new])


def _sweep(inputs: Inputs) -> StepResult:
    settings = inputs.settings
    (cell,) = [cell for cell in cells(settings) if cell.sweep_id == inputs.part]
    train, clean, reference = inputs.once("pairs", lambda: _swept_pairs(inputs))
    out = inputs.home / FOLDER / f"sweep-{cell.sweep_id[:12]}"
    with inputs.bar(f"sweep {cell.loss} {cell.share:.0%}") as advance:
        try:
            result = learn(
                inputs.model("policy").path,
                train,
                reference,
                settings.training,
                cell,
                out=out,
                progress=lambda step, steps, _: advance(step, steps),
            )
        except Diverged as error:  # a loss without a lower bound may: that is a result too
            lost = Reject("noise_sweep", "noise sweep", cell.sweep_id, str(error))
            return StepResult(tables.empty("noise_sweep"), [lost])
    return StepResult(measured(cell, result, clean, reference, settings.training), result.rejects)


def _sweep_shown(inputs: Inputs, rows: pl.DataFrame) -> Mapping[str, Any]:
    every = inputs.table("noise_sweep")
    axes = ("share of training labels flipped", "reward accuracy on clean pairs")
    return {"sweep": inputs.query("noise_sweep"), "curves": curves(lines(every), *axes)}


NOISE_SWEEP = Step(
    name="noise_sweep",
    table="noise_sweep",
    part_column="sweep_id",
    parts=_swept,
    all_parts=lambda settings: tuple(registry(settings)),
    make=_sweep,
    reads=Reads(
        uncounted=("reference_logps",),
        settings=("training", "sweep"),
        models=("policy",),
        code=(learn, measured),
    ),
    reads_of=_reads_of_sweep,
    show=_sweep_shown,
    show_reads=Reads(queries=("noise_sweep",)),
    is_end=True,
    group="validation",
    kinds=("torch",),
    description="Labels flipped on purpose: reward accuracy on clean pairs, one curve per loss.",
)


def _report(inputs: Inputs) -> StepResult:
    without = untrained(inputs.lake, inputs.settings, inputs.made_from)
    sections = made(inputs.lake, inputs.settings, without)
    path = write_report(sections, inputs.settings, inputs.home / "report.html")
    shown = {section.title: section for section in sections}
    size = {"path": path, "kilobytes": path.stat().st_size // 1024}
    return StepResult(pl.DataFrame(), (), {**size, **shown})


REPORT = Step(
    name="report",
    table=None,
    make=_report,
    reads=Reads(
        tables=("metrics", "comparisons", "leaderboard"),
        beside=tuple(tables.TABLES),
        queries=QUERIES,
        settings=("seed", "model", "validation", "variants", "noise.source"),
    ),
    is_end=True,
    group="validation",
    kinds=("html",),
    description="The leaderboard and what stands behind it as one self-contained HTML file.",
)

STEPS = (EVALUATIONS, METRICS, COMPARISONS, LEADERBOARD, NOISE_SWEEP, REPORT)
