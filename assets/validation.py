"""Every policy measured on the same held-out prompts and pairs, the leaderboard, and the report."""

import dagster as dg
import polars as pl

from assets.produce import Made, Metadata, Recipe, Result, column_schema, preview, produce
from assets.sampling import OWNERS, prompts, speed
from assets.sweep import noise_sweep
from assets.training import test_pairs, training_runs
from assets.workshop import Workshop
from pipeline import config
from pipeline.code import code_version
from pipeline.config import SamplingSettings
from pipeline.engine.model import Model
from pipeline.preferences.build import sources, tables_of
from pipeline.progress import bar
from pipeline.validation.evaluate import Candidate, accuracy, rows
from pipeline.validation.footing import footing
from pipeline.validation.leaderboard import rank
from pipeline.validation.report import write_report

CODE = {
    "evaluations": code_version("pipeline/validation/evaluate.py", "pipeline/verify", "pipeline/engine"),
    "leaderboard": code_version("pipeline/validation", "sql/data_tokens.sql", "pipeline/tables"),
}


@dg.asset(
    group_name="validation",
    kinds={"vllm", "parquet"},
    owners=OWNERS,
    deps=[prompts, training_runs],
    code_version=CODE["evaluations"],
    metadata={"dagster/column_schema": column_schema("evaluations")},
    description="Exact-match accuracy of the base model and every trained policy on test prompts, and reward accuracy.",
)
def evaluations(context: dg.AssetExecutionContext, shop: Workshop) -> Result:
    found = {"base": _evaluate(context, shop, [(Candidate(shop.base.policy_id, "base", 0), shop.base)], "base")}
    runs = shop.lake.read("training_runs")
    for variant in shop.settings.validation.variants:
        mine = runs.filter(pl.col("variant") == variant)
        candidates = [
            (
                Candidate(row["policy_id"], variant, row["seed"]),
                Model(config.home() / row["checkpoint"], row["policy_id"]),
            )
            for row in mine.iter_rows(named=True)
        ]
        if candidates:
            found[variant] = _evaluate(context, shop, candidates, variant)
    return dg.MaterializeResult(
        metadata={f"{name}: {key}": value for name, m in found.items() for key, value in m.items()}
    )


def _evaluate(
    context: dg.AssetExecutionContext, shop: Workshop, candidates: list[tuple[Candidate, Model]], variant: str
) -> Metadata:
    settings = shop.settings
    sampling = SamplingSettings(**{**settings.sampling.model_dump(), "n": settings.validation.draws})

    def compute() -> Made:
        tests = shop.lake.read("prompts", where="split = 'test'")
        frames = []
        for candidate, model in candidates:
            engine = shop.room.engine(model)
            with bar(f"test {variant}", lambda e=engine: speed(e)) as advance:  # type: ignore[misc]
                frames.append(accuracy(engine, candidate, tests, sampling, settings.seed, advance))
            if variant != "base":
                shop.room.rest()
                frames.append(_rewards(shop, candidate, model))
        return Made(pl.concat(frames))

    ids = [[candidate.policy_id, candidate.seed] for candidate, _ in candidates]
    recipe = Recipe(
        "evaluations",
        f"evaluate {variant}",
        CODE["evaluations"],
        [settings.seed, ids, sampling.model_dump(), settings.validation.max_pairs],
        parents=("prompts",) if variant == "base" else ("prompts", "preferences"),
        partition={"variant": variant},
    )
    return {k: v for k, v in produce(context, shop, recipe, compute).items() if k in ("status", "sampled_tokens")}


def _rewards(shop: Workshop, candidate: Candidate, model: Model) -> pl.DataFrame:
    """Reward accuracy on held-out pairs; no rows where there are none."""
    from pipeline.training.accuracy import reward_accuracy

    pairs = test_pairs(shop)
    if pairs.is_empty():
        return rows(candidate, "reward_accuracy", pl.DataFrame(schema={"unit_id": pl.String, "value": pl.Float64, "n": pl.Int64, "tokens": pl.Int64}))  # fmt: skip  # noqa: E501
    values = reward_accuracy(model.path, pairs, shop.lake.read("reference_logps"), shop.settings.training)
    units = values.select(unit_id="pair_id", value="value", n=pl.lit(1), tokens=pl.lit(0))
    return rows(candidate, "reward_accuracy", units)


@dg.asset(
    group_name="validation",
    kinds={"duckdb", "parquet"},
    owners=OWNERS,
    deps=[evaluations],
    code_version=CODE["leaderboard"],
    metadata={"dagster/column_schema": column_schema("leaderboard")},
    description="One row per variant: accuracy, gain over the base model with its interval, and what it cost.",
)
def leaderboard(context: dg.AssetExecutionContext, shop: Workshop) -> Result:
    settings = shop.settings

    def compute() -> Made:
        cost = dict(shop.lake.query_file("data_tokens").select("source", "tokens").iter_rows())
        wanted = ["base", *settings.validation.variants]
        measured = shop.lake.read("evaluations").filter(pl.col("variant").is_in(wanted))
        made_from = {name: tables_of(name, settings) for name in settings.validation.variants}
        tokens = {name: sum(cost.get(table, 0) for table in set(found)) for name, found in made_from.items()}
        board = rank(measured, shop.lake.read("training_runs"), tokens, settings.validation, settings.seed)
        said = dg.MetadataValue.md("\n".join(f"- {sentence}" for sentence in footing(board)))
        return Made(board, (), {"board": dg.MetadataValue.md(preview(board, board.height)), "equal_footing": said})

    recipe = Recipe(
        "leaderboard",
        "leaderboard",
        CODE["leaderboard"],
        settings.validation.model_dump(),
        parents=("evaluations", "training_runs", *sources(settings)),
    )
    return dg.MaterializeResult(metadata=produce(context, shop, recipe, compute))


@dg.asset(
    group_name="validation",
    kinds={"html"},
    owners=OWNERS,
    deps=[leaderboard, noise_sweep],
    code_version=CODE["leaderboard"],
    description="The leaderboard and what stands behind it as one self-contained HTML file.",
)
def report(context: dg.AssetExecutionContext, shop: Workshop) -> Result:
    path = write_report(shop.lake, shop.settings, config.home() / "report.html")
    return dg.MaterializeResult(
        metadata={"path": dg.MetadataValue.path(str(path)), "kilobytes": path.stat().st_size // 1024}
    )
