"""Preference pairs of every variant."""

import dagster as dg
import polars as pl

from assets import plots
from assets.codefavor import code_pairs
from assets.judging import judges, rationales_asset
from assets.noise import pair_strengths
from assets.principles import principles
from assets.produce import Made, Recipe, Result, column_schema, produce
from assets.sampling import OWNERS, responses, tree_nodes
from assets.synthesis import instructions
from assets.trees import preference_lists, thought_nodes
from assets.unpaired import unpaired
from assets.workshop import Workshop
from pipeline import config
from pipeline.code import code_version
from pipeline.engine.rendering import Renderer
from pipeline.preferences.build import build, sources
from pipeline.preferences.lengths import with_tokens

QUERIES = sorted(f"sql/{file.name}" for file in (config.ROOT / "sql").glob("*pairs*.sql"))
CODE = code_version(
    "pipeline/preferences",
    "pipeline/judge",
    "pipeline/noise",
    "pipeline/tables",
    "sql/mapl_intra.sql",
    "sql/mapl_inter.sql",
    *QUERIES,
)
SECTIONS = {"preferences", "judge", "noise", "mapl", "code"}  # of the settings, that building pairs reads
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
    code_version=CODE,
    metadata={"dagster/column_schema": column_schema("preferences")},
    description="Pairs of every variant: right against wrong responses, siblings of different value, and controls.",
)
def preferences(context: dg.AssetExecutionContext, shop: Workshop) -> Result:
    settings = shop.settings

    def compute() -> Made:
        frames = [build(name, shop.lake, settings) for name in settings.validation.variants]
        rows = with_tokens(pl.concat(frames), Renderer(shop.base.path))
        counts = {f"pairs_{name}": n for name, n in rows.group_by("variant").len().sort("variant").iter_rows()}
        strengths = rows["strength"].drop_nulls().to_list()
        return Made(rows, (), {**counts, "strengths": plots.histogram(strengths, "strength", "pairs")})

    recipe = Recipe(
        "preferences",
        "preferences",
        CODE,
        [settings.model_dump(include=SECTIONS), settings.validation.variants, shop.base.policy_id],
        parents=sources(settings),
    )
    return dg.MaterializeResult(metadata=produce(context, shop, recipe, compute))
