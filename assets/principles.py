"""Principles that responses are judged by, and questions in reversed contexts that show whether a judge reads them."""

import dagster as dg
import polars as pl

from assets import plots
from assets.produce import Made, Metadata, Recipe, Result, column_schema, produce
from assets.sampling import OWNERS, learnable, prompts, responses, speed
from assets.workshop import Workshop
from pipeline import config, tables
from pipeline.code import code_version
from pipeline.engine.model import Model, resolve
from pipeline.judge import contexts, likeness, templates
from pipeline.judge.annotate import annotate
from pipeline.preferences.principles import found
from pipeline.progress import bar

CODE = code_version("pipeline/judge", "pipeline/engine", "pipeline/tables", "sql/pairs_principles.sql")
UNUSED: Metadata = {"status": "no variant of this profile uses it"}
ASKED = {"template", "words", "must_answer", "contexts"}  # of the judge's settings, by the reversed contexts


def answering(shop: Workshop) -> list[Model]:
    """The judges that answer questions: a reward model does not."""
    kinds = [model.kind for model in shop.settings.judge.models] or ["generative"]
    return [model for model, kind in zip(shop.judges, kinds, strict=False) if kind == "generative"]


@dg.asset(
    group_name="judge",
    kinds={"vllm", "parquet"},
    owners=OWNERS,
    deps=[prompts, responses],
    code_version=CODE,
    metadata={"dagster/column_schema": column_schema("principles")},
    description="Yes/no principles that feedback judges responses by, the words that say so, and the consensus.",
)
def principles(context: dg.AssetExecutionContext, shop: Workshop) -> Result:
    if not shop.wants("principles"):
        return dg.MaterializeResult(metadata=UNUSED)
    settings = shop.settings
    chosen = settings.judge.principles
    model = None if chosen.embedding is None else resolve(chosen.embedding, config.home())

    def compute() -> Made:
        engines = [shop.room.engine(one) for one in answering(shop)]
        embed = likeness.characters if model is None else likeness.mean_pooled(model.path)
        drawn = shop.lake.read("responses")
        with bar("principles", lambda: speed(engines[0]) if engines else "") as advance:
            must = settings.judge.must_answer
            rows, rejects = annotate(
                engines, learnable(shop), drawn, chosen, settings.seed, embed, advance, must_answer=must
            )
        shown = {"principles": rows.height, "in_a_consensus": rows.height - rows["group_id"].null_count()}
        shown |= {"groups": rows["group_id"].drop_nulls().n_unique()}
        return Made(rows, rejects, {**shown, "spans": plots.histogram(rows["likeness"].to_list(), "likeness", "spans")})

    recipe = Recipe(
        "principles",
        "principles",
        CODE,
        [settings.seed, chosen.model_dump(), settings.judge.must_answer],
        parents=("prompts", "responses"),
        extra=(
            [one.policy_id for one in answering(shop)],
            model.policy_id if model else None,
            [templates.text(name) for name in ("feedback", "principles", "satisfies")],
            settings.model.dtype,
        ),
    )
    return dg.MaterializeResult(metadata=produce(context, shop, recipe, compute))


@dg.asset(
    group_name="judge",
    kinds={"vllm", "parquet"},
    owners=OWNERS,
    deps=[responses, principles],
    code_version=CODE,
    metadata={"dagster/column_schema": column_schema("judge_contexts")},
    description="Two questions about the same pair that prefer different sides: a judge that ignores them scores half.",
)
def judge_contexts(context: dg.AssetExecutionContext, shop: Workshop) -> Result:
    if not (shop.wants("votes") or shop.wants("principles")):
        return dg.MaterializeResult(metadata=UNUSED)
    settings = shop.settings

    def compute() -> Made:
        asked, drawn = learnable(shop), shop.lake.read("responses")
        cases = [*contexts.by_length(asked, drawn), *contexts.by_principle(asked, found(shop.lake, settings))]
        rows, rejects = [], []
        for model in answering(shop):
            engine = shop.room.engine(model)
            with bar("reversed contexts", lambda e=engine: speed(e)) as advance:  # type: ignore[misc]
                own, dropped = contexts.ask(engine, cases, settings.judge, advance)
            rows.append(own)
            rejects += dropped
        table = pl.concat([tables.empty("judge_contexts"), *rows])
        means = table.group_by("judge_id", "kind").agg(pl.col("points").mean()).sort("judge_id", "kind").rows()
        return Made(table, rejects, {f"{judge}, {kind}": round(mean, 3) for judge, kind, mean in means})

    recipe = Recipe(
        "judge_contexts",
        "judge contexts",
        CODE,
        settings.judge.model_dump(include=ASKED),
        parents=("prompts", "responses", "principles"),
        extra=(
            [one.policy_id for one in answering(shop)],
            templates.text(settings.judge.template),
            settings.model.dtype,
            settings.preferences.max_pairs_per_prompt,
        ),
    )
    return dg.MaterializeResult(metadata=produce(context, shop, recipe, compute))
