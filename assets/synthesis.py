"""Prompts with instructions whose fulfilment a program checks (MAPL)."""

import dagster as dg
import polars as pl

from assets.produce import Made, Metadata, Recipe, Result, column_schema, produce
from assets.sampling import OWNERS, responses, speed
from assets.workshop import Workshop
from pipeline.code import code_version
from pipeline.engine.base import Reject
from pipeline.progress import bar
from pipeline.synthesis.mapl import synthesise
from pipeline.synthesis.rewording import reword_all

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
        wording: Metadata = {}
        if settings.mapl.reword:
            rows, failed, wording = _reworded(shop, rows, texts)
            rejects = [*rejects, *failed]
        counts = rows.group_by("kind", "condition").len().sort("kind", "condition").iter_rows()
        return Made(rows, rejects, {**{f"{kind}_{condition}": n for kind, condition, n in counts}, **wording})

    recipe = Recipe(
        "instructions",
        "instructions",
        CODE,
        [settings.seed, settings.mapl.model_dump()],
        parents=("prompts", "responses"),
        extra=(shop.base.policy_id, settings.model.dtype) if settings.mapl.reword else (),
    )
    return dg.MaterializeResult(metadata=produce(context, shop, recipe, compute))


def _reworded(shop: Workshop, rows: pl.DataFrame, texts: pl.DataFrame) -> tuple[pl.DataFrame, list[Reject], Metadata]:
    """The rows in the model's words, where these pass; and how many lines were reworded, or kept for which reason."""
    engine = shop.room.engine(shop.base)
    with bar("rewording", lambda: speed(engine)) as advance:
        found, failed, kept = reword_all(engine, rows, texts, shop.settings.mapl, shop.settings.seed, advance)
    reasons = {f"kept its template: {reason}": n for reason, n in kept.most_common()}
    return found, failed, {"reworded_instructions": int(found["reworded"].sum()), **reasons}
