"""Judges: their votes on sampled responses, their report card, and rationales."""

import json
from typing import Any

import dagster as dg
import polars as pl

from assets import plots
from assets.principles import judge_contexts
from assets.produce import Made, Metadata, Recipe, Result, column_schema, preview, produce
from assets.sampling import OWNERS, learnable, responses, speed
from assets.workshop import Workshop
from pipeline import config
from pipeline.code import code_version
from pipeline.config import VoterSettings
from pipeline.engine.base import Reject
from pipeline.engine.model import Model
from pipeline.judge import card, collect, rationales, reward, templates
from pipeline.preferences.judged import rationale_pairs
from pipeline.progress import bar
from pipeline.rewards import reward_model

CODE = code_version("pipeline/judge", "pipeline/engine", "pipeline/preferences/judged.py", "pipeline/tables")
CARD_CODE = code_version("pipeline/judge", "pipeline/tables", "sql/judge_items.sql", "sql/judge_labels.sql")
UNUSED: Metadata = {"status": "no variant of this profile uses it"}
ASKED = ("words", "scale", "must_answer", "criteria", "method", "pairing", "max_prompts", "max_responses")


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

    def compute() -> Made:
        found = [_votes_of(shop, model, number) for number, model in enumerate(shop.judges)]
        rows, rejects = pl.concat([rows for rows, _ in found]), [one for _, dropped in found for one in dropped]
        return Made(rows, rejects, {"p_first": plots.histogram(rows["p_first"].to_list(), "P(first wins)", "votes")})

    recipe = Recipe(
        "votes",
        "votes",
        CODE,
        settings.model_dump(include={*ASKED, "max_recorded"}),
        parents=("prompts", "responses", "recorded_pairs"),
        partition={"source": "model"},
        extra=(
            [model.policy_id for model in shop.judges],
            [model.model_dump() for model in settings.models],
            [templates.text(name) for name in (settings.template, "score")],
            shop.engine_kind,
        ),
    )
    return dg.MaterializeResult(metadata=produce(context, shop, recipe, compute))


def _votes_of(shop: Workshop, model: Model, number: int) -> tuple[pl.DataFrame, list[Reject]]:
    """Votes of the profile's judge of that number: of a reward model by its scores, of any other by its answers."""
    settings = shop.settings.judge
    sampled, recorded = shop.lake.read("responses"), shop.lake.read("recorded_pairs")
    if number < len(settings.models) and settings.models[number].kind == "reward":
        shop.room.rest()  # the engine's memory, before torch takes its own
        with bar(f"scores of {model.policy_id}") as advance:
            chosen = settings.models[number]
            voter = VoterSettings(
                name=model.policy_id, model=chosen.name, revision=chosen.revision, max_length=chosen.max_model_len
            )
            score = reward_model(voter, shop.settings.engine, config.home(), shop.settings.noise.micro_tokens)
            return reward.votes(score, model.policy_id, (learnable(shop), sampled, recorded), settings, advance)
    engine = shop.room.engine(model)
    with bar(f"votes of {model.policy_id}", lambda: speed(engine)) as advance:
        return collect.collect(engine, learnable(shop), sampled, recorded, settings, advance)


@dg.asset(
    group_name="judge",
    kinds={"polars", "parquet"},
    owners=OWNERS,
    deps=[votes_asset, judge_contexts],
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
        rows = card.cards(shop.lake.read("votes"), items, labels, settings, shop.lake.read("judge_contexts"))
        return Made(rows, (), _report(rows))

    recipe = Recipe(
        "judges",
        "judges",
        CARD_CODE,
        settings.model_dump(
            exclude={*ASKED, "models", "rationales", "principles", "contexts", "max_recorded", "template"}
        ),
        parents=("votes", "responses", "recorded_pairs", "judge_contexts"),
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
    asset=judges,
    blocking=True,
    description="No judge of a variant's pairs flips too often, favours a seat or is silent.",
)
def judges_are_fair(shop: Workshop) -> dg.AssetCheckResult:
    settings = shop.settings.judge
    if not shop.wants("votes"):
        return dg.AssetCheckResult(passed=True, metadata=UNUSED)
    cards = shop.lake.read("judges")
    used = card.used(cards, shop.lake.read("votes"), shop.lake.read("responses"))
    found = [
        f"judge {row['judge_id']} on {row['criterion']!r}{_imported(row)}: {problem}"
        for row in used.to_dicts()
        for problem in card.problems(row, settings)
    ]
    found += card.silent(cards, shop.lake.read("rejects"))
    said = f"{'; '.join(found)}: {card.advice(settings)}" if found else ""
    severity = dg.AssetCheckSeverity.ERROR if settings.on_bias == "stop" else dg.AssetCheckSeverity.WARN
    return dg.AssetCheckResult(passed=not found, severity=severity, description=said or None, metadata={"said": said})


def _imported(row: dict[str, Any]) -> str:
    return "" if row["source"] == "model" else f" (imported from {row['origin']})"


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
            chosen, must = settings.judge.rationales, settings.judge.must_answer
            rows, rejects = rationales.write(engine, pairs, chosen, settings.seed, advance, must_answer=must)
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
