"""Preference pairs of every variant."""

import dagster as dg
import polars as pl

from assets import plots
from assets.produce import Made, Recipe, Result, column_schema, produce
from assets.sampling import OWNERS, responses, tree_nodes
from assets.synthesis import code_pairs
from assets.workshop import Workshop
from pipeline.code import code_version
from pipeline.preferences.build import build

CODE = code_version(
    "pipeline/preferences",
    "pipeline/tables.py",
    "sql/pairs_siblings.sql",
    "sql/pairs_outcome.sql",
    "sql/pairs_code.sql",
)


@dg.asset(
    group_name="preferences",
    kinds={"duckdb", "parquet"},
    owners=OWNERS,
    deps=[responses, tree_nodes, code_pairs],
    code_version=CODE,
    metadata={"dagster/column_schema": column_schema("preferences")},
    description="Pairs of every variant: right against wrong responses, siblings of different value, and controls.",
)
def preferences(context: dg.AssetExecutionContext, shop: Workshop) -> Result:
    settings = shop.settings

    def compute() -> Made:
        frames = [build(name, shop.lake, settings) for name in settings.validation.variants]
        rows = pl.concat(frames)
        counts = {f"pairs_{name}": n for name, n in rows.group_by("variant").len().sort("variant").iter_rows()}
        strengths = rows["strength"].drop_nulls().to_list()
        return Made(rows, (), {**counts, "strengths": plots.histogram(strengths, "strength", "pairs")})

    recipe = Recipe(
        "preferences",
        "preferences",
        CODE,
        [settings.preferences.model_dump(), settings.validation.variants],
        parents=("prompts", "responses", "tree_nodes", "code_pairs"),
    )
    return dg.MaterializeResult(metadata=produce(context, shop, recipe, compute))
