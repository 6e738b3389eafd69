"""Preference pairs of every variant."""

import dagster as dg

from assets import plots
from assets.codefavor import code_pairs
from assets.judging import judges, rationales_asset
from assets.noise import pair_strengths
from assets.principles import principles
from assets.produce import Made, Metadata, Recipe, column_schema, forget, produce
from assets.sampling import OWNERS, responses, tree_nodes
from assets.synthesis import instructions
from assets.trees import preference_lists, thought_nodes
from assets.unpaired import unpaired
from assets.variants import VARIANTS
from assets.workshop import Workshop
from pipeline import config
from pipeline.code import code_version
from pipeline.engine.rendering import Renderer
from pipeline.preferences.build import SECTIONS, build, identity, sources
from pipeline.preferences.lengths import with_tokens

QUERIES = sorted(f"sql/{file.name}" for file in (config.SHIPPED / "sql").glob("*pairs*.sql"))
CODE = code_version(
    "pipeline/preferences",
    "pipeline/judge",
    "pipeline/noise",
    "pipeline/tables",
    "sql/mapl_intra.sql",
    "sql/mapl_inter.sql",
    *QUERIES,
)
SOURCES = [
    responses,
    tree_nodes,
    thought_nodes,
    preference_lists,
    judges,
    rationales_asset,
    principles,
    pair_strengths,
    instructions,
    code_pairs,
    unpaired,
]


@dg.asset(
    group_name="preferences",
    kinds={"duckdb", "parquet"},
    owners=OWNERS,
    deps=SOURCES,
    partitions_def=VARIANTS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    code_version=CODE,
    metadata={"dagster/column_schema": column_schema("preferences")},
    description="Pairs of every variant: right against wrong responses, siblings of different value, and controls.",
)
def preferences(context: dg.AssetExecutionContext, shop: Workshop) -> None:
    forget(shop.lake, "preferences", "variant", shop.settings.validation.variants, context.run_id)
    for name in context.partition_keys:
        if name in shop.settings.validation.variants:
            metadata = _pairs(context, shop, name)
            context.add_asset_metadata(metadata, asset_key=context.asset_key, partition_key=name)


def _pairs(context: dg.AssetExecutionContext, shop: Workshop, name: str) -> Metadata:
    settings = shop.settings

    def compute() -> Made:
        rows = with_tokens(build(name, shop.lake, settings), Renderer(shop.base.path))
        strengths = rows["strength"].drop_nulls().to_list()
        splits = {f"pairs_{split}": n for split, n in rows.group_by("split").len().sort("split").iter_rows()}
        return Made(rows, (), {**splits, "strengths": plots.histogram(strengths, "strength", "pairs")})

    recipe = Recipe(
        "preferences",
        f"pairs {name}",
        CODE,
        [settings.model_dump(include=SECTIONS), identity(name, settings), shop.base.policy_id],
        parents=sources(settings, [name]),
        partition={"variant": name},
    )
    return produce(context, shop, recipe, compute)
