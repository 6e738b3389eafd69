"""Prompts with instructions whose fulfilment a program checks (MAPL)."""

import dagster as dg

from assets.produce import Made, Recipe, Result, column_schema, produce
from assets.sampling import OWNERS, responses
from assets.workshop import Workshop
from pipeline.code import code_version
from pipeline.synthesis.mapl import synthesise

CODE = code_version(
    "pipeline/synthesis",
    "pipeline/verify",
    "pipeline/verify/instructions/wordings.yaml",
    "pipeline/verify/instructions/vocabulary.txt",
    "pipeline/tables",
    "sql/mapl_responses.sql",
    "sql/pairs_outcome.sql",
)


@dg.asset(
    group_name="synthesis",
    kinds={"polars", "parquet"},
    owners=OWNERS,
    deps=[responses],
    code_version=CODE,
    metadata={"dagster/column_schema": column_schema("instructions")},
    description="Prompts with added instructions that a response provably fulfils or violates (MAPL).",
)
def instructions(context: dg.AssetExecutionContext, shop: Workshop) -> Result:
    settings = shop.settings
    if not shop.wants("instructions"):
        return dg.MaterializeResult(metadata={"status": "no variant of this profile uses it"})

    def compute() -> Made:
        texts = shop.lake.query_file("mapl_responses")
        known = texts.select("prompt_id", "answer", "own").unique("prompt_id")
        pairs = shop.lake.query_file("pairs_outcome", per_prompt=settings.mapl.max_per_prompt)
        rows, rejects = synthesise(texts, pairs.join(known, on="prompt_id"), settings.mapl, settings.seed)
        counts = rows.group_by("kind", "condition").len().sort("kind", "condition").iter_rows()
        return Made(rows, rejects, {f"{kind}_{condition}": n for kind, condition, n in counts})

    recipe = Recipe(
        "instructions",
        "instructions",
        CODE,
        [settings.seed, settings.mapl.model_dump()],
        parents=("prompts", "responses"),
    )
    return dg.MaterializeResult(metadata=produce(context, shop, recipe, compute))
