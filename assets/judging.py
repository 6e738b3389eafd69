"""Judges: their votes on sampled responses, their report card, and rationales."""

import json

import dagster as dg
import polars as pl

from assets import plots
from assets.produce import Made, Metadata, Recipe, Result, column_schema, preview, produce
from assets.sampling import OWNERS, learnable, responses, speed
from assets.workshop import Workshop
from pipeline import config
from pipeline.code import code_version
from pipeline.engine.model import Model, resolve
from pipeline.judge import card, collect, rationales, templates
from pipeline.preferences.judged import rationale_pairs
from pipeline.progress import bar

CODE = code_version("pipeline/judge", "pipeline/engine", "pipeline/preferences/judged.py", "pipeline/tables")
CARD_CODE = code_version("pipeline/judge", "pipeline/tables", "sql/judge_items.sql", "sql/judge_labels.sql")
UNUSED: Metadata = {"status": "no variant of this profile uses it"}
ASKED = ("words", "scale", "must_answer", "criteria", "method", "pairing", "max_prompts", "max_responses")


def judge_models(shop: Workshop) -> list[Model]:
    """The profile's judges; the policy itself where it names none."""
    return [resolve(model, config.home()) for model in shop.settings.judge.models] or [shop.base]


@dg.asset(
    name="votes",
    group_name="judge",
    kinds={"vllm", "parquet"},
    owners=OWNERS,
    deps=[responses],
    code_version=CODE,
    metadata={"dagster/column_schema": column_schema("votes")},
    description="Judgements of pairs of responses by every judge and criterion, each pair in both orders.",
)
def votes_asset(context: dg.AssetExecutionContext, shop: Workshop) -> Result:
    if not shop.wants("votes"):
        return dg.MaterializeResult(metadata=UNUSED)
    settings = shop.settings.judge
    models = judge_models(shop)

    def compute() -> Made:
        sampled, recorded = shop.lake.read("responses"), shop.lake.read("recorded_pairs")
        frames, rejects = [], []
        for model in models:
            engine = shop.room.engine(model)
            with bar(f"votes of {model.policy_id}", lambda e=engine: speed(e)) as advance:  # type: ignore[misc]
                rows, dropped = collect.collect(engine, learnable(shop), sampled, recorded, settings, advance)
            frames.append(rows)
            rejects += dropped
        rows = pl.concat(frames)
        return Made(rows, rejects, {"p_first": plots.histogram(rows["p_first"].to_list(), "P(first wins)", "votes")})

    recipe = Recipe(
        "votes",
        "votes",
        CODE,
        settings.model_dump(include={*ASKED, "max_recorded"}),
        parents=("prompts", "responses", "recorded_pairs"),
        partition={"source": "model"},
        extra=(
            [model.policy_id for model in models],
            [templates.text(name) for name in (settings.template, "score")],
            shop.engine_kind,
        ),
    )
    return dg.MaterializeResult(metadata=produce(context, shop, recipe, compute))


@dg.asset(
    group_name="judge",
    kinds={"polars", "parquet"},
    owners=OWNERS,
    deps=[votes_asset],
    code_version=CARD_CODE,
    metadata={"dagster/column_schema": column_schema("judges")},
    description="Every judge's report card: accuracy on labelled pairs, flips, favourite seat, length, itself, cost.",
)
def judges(context: dg.AssetExecutionContext, shop: Workshop) -> Result:
    if not shop.wants("votes") and shop.lake.read("votes").is_empty():
        return dg.MaterializeResult(metadata=UNUSED)
    settings = shop.settings.judge

    def compute() -> Made:
        items, labels = shop.lake.query_file("judge_items"), shop.lake.query_file("judge_labels")
        rows = card.cards(shop.lake.read("votes"), items, labels, settings)
        return Made(rows, (), _report(rows))

    recipe = Recipe(
        "judges",
        "judges",
        CARD_CODE,
        settings.model_dump(exclude={*ASKED, "models", "rationales", "max_recorded", "template"}),
        parents=("votes", "responses", "recorded_pairs"),
    )
    return dg.MaterializeResult(metadata=produce(context, shop, recipe, compute))


def _report(rows: pl.DataFrame) -> Metadata:
    cards = rows.to_dicts()
    said = [f"- **{row['judge_id']}**, {row['criterion']}, {row['origin']}: {row['verdict']}" for row in cards]
    curves = {f"{row['judge_id']}, {row['criterion']}": json.loads(row["curve"]) for row in cards if row["curve"]}
    lines = {name: [(confidence, share) for confidence, share, _ in points] for name, points in curves.items()}
    return {
        "in_words": dg.MetadataValue.md("\n".join(said) or "no votes"),
        "report_card": dg.MetadataValue.md(preview(rows, rows.height)),
        "calibration": plots.curves(lines, "mean confidence", "share right"),
    }


@dg.asset_check(
    asset=judges, blocking=True, description="No judge of a variant's pairs flips too often or favours a seat."
)
def judges_are_fair(shop: Workshop) -> dg.AssetCheckResult:
    settings = shop.settings.judge
    if not shop.wants("votes"):
        return dg.AssetCheckResult(passed=True, metadata=UNUSED)
    cards = shop.lake.read("judges").filter(pl.col("source") == "model").to_dicts()
    found = [
        f"judge {row['judge_id']} on {row['criterion']!r}: {problem}"
        for row in cards
        for problem in card.problems(row, settings)
    ]
    said = f"{'; '.join(found)}: {card.advice(settings)}" if found else ""
    severity = dg.AssetCheckSeverity.ERROR if settings.on_bias == "stop" else dg.AssetCheckSeverity.WARN
    return dg.AssetCheckResult(passed=not found, severity=severity, description=said or None, metadata={"said": said})


@dg.asset(
    name="rationales",
    group_name="judge",
    kinds={"vllm", "parquet"},
    owners=OWNERS,
    deps=[responses, judges],
    code_version=CODE,
    metadata={"dagster/column_schema": column_schema("rationales")},
    description="Why a pair's chosen side is better: checked for polarity and copies; permuted rows for the control.",
)
def rationales_asset(context: dg.AssetExecutionContext, shop: Workshop) -> Result:
    if not shop.wants("rationales"):
        return dg.MaterializeResult(metadata=UNUSED)
    settings = shop.settings

    def compute() -> Made:
        engine = shop.room.engine(shop.base)
        pairs = rationale_pairs(shop.lake, settings)
        with bar("rationales", lambda: speed(engine)) as advance:
            rows, rejects = rationales.write(engine, pairs, settings.judge.rationales, settings.seed, advance)
        sides = rows.filter(~pl.col("permuted"))["chosen_first"].mean()
        shown = {"share_with_the_chosen_side_first": round(sides, 3) if isinstance(sides, float) else None}
        return Made(rows, rejects, {"pairs": pairs.height, **shown})

    used = [name for name in settings.validation.variants if "rationale" in name]
    recipe = Recipe(
        "rationales",
        "rationales",
        CODE,
        [settings.seed, settings.preferences.model_dump(), settings.judge.model_dump(), used],
        parents=("prompts", "responses", "votes"),
        extra=(
            shop.base.policy_id,
            shop.engine_kind,
            [templates.text(name) for name in ("rationale_general", "rationale_detailed", "polarity")],
        ),
    )
    return dg.MaterializeResult(metadata=produce(context, shop, recipe, compute))
