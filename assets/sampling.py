"""Prompts, and what the policy makes of them: sampled responses and reasoning trees."""

import dagster as dg
import polars as pl

from assets.produce import Made, Recipe, Result, column_schema, produce
from assets.treeviews import tree_metadata
from assets.workshop import Workshop
from pipeline import responses as sampled
from pipeline.code import code_version
from pipeline.engine.base import Engine
from pipeline.ids import content_id, unit_for
from pipeline.progress import bar
from pipeline.prompts import load_pools
from pipeline.trees.forest import plant

CODE = {
    "prompts": code_version("pipeline/prompts", "pipeline/verify", "pipeline/tables"),
    "responses": code_version("pipeline/responses.py", "pipeline/engine", "pipeline/verify", "pipeline/tables"),
    "tree_nodes": code_version("pipeline/trees", "pipeline/engine", "pipeline/verify", "pipeline/tables"),
}
OWNERS = ["team:data"]


@dg.asset(
    group_name="prompts",
    kinds={"polars", "parquet"},
    owners=OWNERS,
    code_version=CODE["prompts"],
    metadata={"dagster/column_schema": column_schema("prompts")},
    description="The prompt pools of the profile, split into train, validation and test by hash of the prompt.",
)
def prompts(context: dg.AssetExecutionContext, shop: Workshop) -> Result:
    settings = shop.settings
    rows, rejects = load_pools(settings)
    # The rows themselves are in the fingerprint: a pool's file may change while its settings stay.
    recipe = Recipe("prompts", "prompts", CODE["prompts"], "", extra=(content_id(rows.to_dicts()),))
    splits = {f"split_{name}": n for name, n in rows.group_by("split").len().sort("split").iter_rows()}
    return dg.MaterializeResult(metadata=produce(context, shop, recipe, lambda: Made(rows, rejects, splits)))


@dg.asset(
    group_name="sampling",
    kinds={"vllm", "parquet"},
    owners=OWNERS,
    deps=[prompts],
    code_version=CODE["responses"],
    metadata={"dagster/column_schema": column_schema("responses")},
    description="Several responses to every train and validation prompt by the policy itself, judged by the verifier.",
)
def responses(context: dg.AssetExecutionContext, shop: Workshop) -> Result:
    settings = shop.settings

    def compute() -> Made:
        engine = shop.room.engine(shop.base)
        with bar("responses", lambda: speed(engine)) as advance:
            rows, rejects = sampled.draw(engine, learnable(shop), settings.sampling, settings.seed, advance)
        right = rows["correct"].mean()
        share = round(float(right), 4) if isinstance(right, float) else None
        missing = rows.filter(pl.col("correct").is_not_null())["answer"].null_count()
        return Made(rows, rejects, {"share_right": share, "judged_without_an_answer": missing})

    recipe = Recipe(
        "responses", "responses", CODE["responses"], sampling_settings(shop, "sampling"), parents=("prompts",)
    )
    return dg.MaterializeResult(metadata=produce(context, shop, recipe, compute))


@dg.asset(
    group_name="sampling",
    kinds={"vllm", "parquet"},
    owners=OWNERS,
    deps=[prompts],
    code_version=CODE["tree_nodes"],
    metadata={"dagster/column_schema": column_schema("tree_nodes")},
    description="A Tree-PLV best-first tree for every train and validation prompt: the rows with method best_first.",
)
def tree_nodes(context: dg.AssetExecutionContext, shop: Workshop) -> Result:
    settings = shop.settings
    if not shop.wants("tree_nodes"):
        return dg.MaterializeResult(metadata={"status": "no variant of this profile uses it"})

    def compute() -> Made:
        engine = shop.room.engine(shop.base)
        chosen = first_by_hash(learnable(shop), settings.trees.max_prompts)
        with bar("trees", lambda: speed(engine)) as advance:
            rows, rejects = plant(engine, chosen, settings.trees, settings.seed, advance)
        return Made(rows, rejects, tree_metadata(shop.lake, rows))

    recipe = Recipe(
        "tree_nodes",
        "trees",
        CODE["tree_nodes"],
        sampling_settings(shop, "trees"),
        parents=("prompts",),
        partition={"method": "best_first"},
    )
    return dg.MaterializeResult(metadata=produce(context, shop, recipe, compute))


def learnable(shop: Workshop) -> pl.DataFrame:
    """Train and validation prompts: test prompts are kept for the leaderboard."""
    return shop.lake.read("prompts", where="split <> 'test'")


def first_by_hash(prompts_: pl.DataFrame, limit: int | None) -> pl.DataFrame:
    """At most `limit` prompts, chosen by hash."""
    if limit is None or prompts_.height <= limit:
        return prompts_
    order = pl.Series("order", [unit_for("trees", prompt) for prompt in prompts_["prompt_id"]])
    return prompts_.with_columns(order).sort("order").drop("order").head(limit)


def speed(engine: Engine) -> str:
    """What the progress bar says of an engine."""
    usage = engine.usage
    per_second = usage.sampled_tokens / usage.seconds if usage.seconds else 0.0
    return f"{usage.sampled_tokens} tokens, {per_second:.0f}/s, {usage.cache_hits} from the cache"


def sampling_settings(shop: Workshop, section: str) -> list[object]:
    """What of the settings determines the rows of a sampling asset."""
    settings = shop.settings
    return [settings.seed, shop.base.policy_id, *shop.engine_kind, getattr(settings, section).model_dump()]
