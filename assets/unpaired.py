"""Single texts, good or bad, for losses that need no pairs."""

import dagster as dg
import polars as pl

from assets.produce import Made, Recipe, Result, column_schema, produce
from assets.sampling import OWNERS, responses
from assets.workshop import Workshop
from pipeline import tables
from pipeline.code import code_version
from pipeline.preferences.unpaired import VARIANTS, texts

CODE = code_version("pipeline/preferences/unpaired.py", "pipeline/tables", "sql/unpaired_verified.sql")


@dg.asset(
    group_name="preferences",
    kinds={"duckdb", "parquet"},
    owners=OWNERS,
    deps=[responses],
    code_version=CODE,
    metadata={"dagster/column_schema": column_schema("unpaired")},
    description="Responses that passed or failed their verifier, each on its own, with density-ratio weights (BCO).",
)
def unpaired(context: dg.AssetExecutionContext, shop: Workshop) -> Result:
    wanted = [variant.name for variant in VARIANTS if variant.name in shop.settings.validation.variants]
    if not wanted:
        return dg.MaterializeResult(metadata={"status": "no variant of this profile uses it"})

    def compute() -> Made:
        rows = pl.concat([tables.empty("unpaired"), *(texts(shop.lake, name) for name in wanted)])
        good = rows["desirable"].sum()
        return Made(rows, (), {"desirable": int(good), "undesirable": rows.height - int(good)})

    recipe = Recipe("unpaired", "unpaired", CODE, wanted, parents=("prompts", "responses"))
    return dg.MaterializeResult(metadata=produce(context, shop, recipe, compute))
