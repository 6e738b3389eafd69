"""Every policy measured on the same held-out prompts and pairs, the metrics, the leaderboard, and the report."""

import dagster as dg
import polars as pl

from assets import plots
from assets.judging import CODE as JUDGING
from assets.produce import Made, Metadata, Recipe, Result, column_schema, preview, produce
from assets.sampling import OWNERS, prompts, speed
from assets.sweep import noise_sweep
from assets.training import test_pairs, training_runs
from assets.workshop import Workshop
from pipeline import config, tables
from pipeline.code import code_version
from pipeline.config import SamplingSettings
from pipeline.engine.base import Reject
from pipeline.engine.model import Model
from pipeline.engine.rendering import Renderer
from pipeline.judge import templates
from pipeline.preferences.build import sources, tables_of
from pipeline.progress import bar
from pipeline.validation import evaluate, wins
from pipeline.validation.evaluate import Candidate, Drawn
from pipeline.validation.footing import footing
from pipeline.validation.leaderboard import rank
from pipeline.validation.metrics import summarise
from pipeline.validation.report import made, write_report
from pipeline.validation.untrained import untrained

MEASURES = [f"pipeline/validation/{name}.py" for name in ("evaluate", "diversity", "ranking", "likelihood", "wins")]
TRAINER = ("attention", "fused", "head", "loading", "logps", "policy", "reference", "tokens", "tree")
LOGPS = [f"pipeline/training/{name}.py" for name in TRAINER]
RANKING = ("metrics", "leaderboard", "scores", "seeds", "power", "statistics")
TABLES = [f"pipeline/validation/{name}.py" for name in RANKING]
CODE = {
    "evaluations": code_version(*MEASURES, *LOGPS, "pipeline/verify", "pipeline/engine"),
    "metrics": code_version(*TABLES, "sql/unit_categories.sql", "pipeline/tables"),
    "leaderboard": code_version(*TABLES, "sql/data_tokens.sql", "sql/engine_speed.sql", "pipeline/tables"),
    "report": code_version("pipeline/validation"),
}


@dg.asset(
    group_name="validation",
    kinds={"vllm", "parquet"},
    owners=OWNERS,
    deps=[prompts, training_runs],
    code_version=CODE["evaluations"],
    metadata={"dagster/column_schema": column_schema("evaluations")},
    description="The base model and every policy on test prompts and held-out pairs: one row per metric and unit.",
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
        found[variant] = _evaluate(context, shop, candidates, variant)
    return dg.MaterializeResult(
        metadata={f"{name}: {key}": value for name, m in found.items() for key, value in m.items()}
    )


def _evaluate(
    context: dg.AssetExecutionContext, shop: Workshop, candidates: list[tuple[Candidate, Model]], variant: str
) -> Metadata:
    settings = shop.settings
    chosen = settings.validation

    def compute() -> Made:
        tests = shop.lake.read("prompts", where="split = 'test'")
        done = [_candidate(shop, candidate, model, tests) for candidate, model in candidates]
        frames = [tables.empty("evaluations"), *(frame for frame, _ in done)]  # a variant without a pair has no policy
        return Made(pl.concat(frames), [reject for _, failed in done for reject in failed])

    ids = [[candidate.policy_id, candidate.seed] for candidate, _ in candidates]
    judged = [settings.judge.model_dump(), [model.policy_id for model in shop.judges]]
    asked = [settings.seed, *shop.engine_kind, ids, _sampling(shop).model_dump()]
    measured = [chosen.max_pairs, chosen.greedy, chosen.pass_at, chosen.kl_prompts, chosen.win_prompts]
    recipe = Recipe(
        "evaluations",
        f"evaluate {variant}",
        CODE["evaluations"],
        [*asked, measured, settings.training.beta, chosen.variants],
        parents=("prompts", "preferences"),
        partition={"variant": variant},
        extra=(JUDGING, judged, templates.text(settings.judge.template)) if chosen.win_prompts else (),
    )
    shown = ("status", "sampled_tokens", "rejected_rows")
    return {key: value for key, value in produce(context, shop, recipe, compute).items() if key in shown}


def _sampling(shop: Workshop) -> SamplingSettings:
    return shop.settings.sampling.model_copy(update={"n": shop.settings.validation.draws})


def _candidate(
    shop: Workshop, candidate: Candidate, model: Model, tests: pl.DataFrame
) -> tuple[pl.DataFrame, list[Reject]]:
    """All rows of one policy, and what failed."""
    chosen, seed = shop.settings.validation, shop.settings.seed
    engine = shop.room.engine(model)
    with bar(f"test {candidate.variant}", lambda: speed(engine)) as advance:
        drawn = evaluate.answers(engine, tests, _sampling(shop), seed, advance)
    frames = [evaluate.of_draws(candidate, drawn, chosen.pass_at), evaluate.instructed(candidate, drawn)]
    failed = drawn.failed
    if chosen.greedy:
        single = _sampling(shop).model_copy(update={"n": 1, "temperature": 0.0})
        greedy = evaluate.answers(engine, tests, single, seed)
        frames.append(evaluate.accuracy(candidate, greedy, "greedy"))
        failed = failed + greedy.failed
    values, lost = _judged(shop, candidate, drawn)
    values |= _likely(shop, candidate, model, drawn.prompts)
    frames += [evaluate.units(candidate, metric, frame) for metric, frame in values.items()]
    return pl.concat(frames), evaluate.as_rejects(candidate, [*failed, *lost], f"evaluate {candidate.variant}")


def _judged(shop: Workshop, candidate: Candidate, drawn: Drawn) -> tuple[dict[str, pl.DataFrame], list[Reject]]:
    """Win rate of the first draws against the base model's, where the profile asks for it."""
    limit = shop.settings.validation.win_prompts
    if candidate.variant == "base" or not limit:
        return {}, []
    asked = evaluate.first_prompts(drawn.prompts, "wins", limit)
    base = evaluate.answers(shop.room.engine(shop.base), asked, _sampling(shop), shop.settings.seed)
    engines = [shop.room.engine(model) for model in _comparing(shop)]
    return wins.win_rate(engines, asked, drawn.first_texts, base.first_texts, shop.settings.judge)


def _comparing(shop: Workshop) -> list[Model]:
    """The judges that compare two answers; a reward model scores each alone."""
    kinds = [model.kind for model in shop.settings.judge.models] or ["generative"]
    return [model for model, kind in zip(shop.judges, kinds, strict=True) if kind != "reward"]


def _likely(shop: Workshop, candidate: Candidate, model: Model, answered: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """What the weights say of held-out pairs, and of the policy's own answers."""
    from pipeline.validation import likelihood  # torch only where a step needs it

    settings, pairs, reference = shop.settings, test_pairs(shop), shop.lake.read("reference_logps")
    if candidate.variant == "base":
        return likelihood.of_base(model.path, pairs, reference, settings.training)
    asked = evaluate.first_prompts(answered, "divergence", settings.validation.kl_prompts)
    tokens = settings.sampling.max_tokens
    own = likelihood.own_answers(shop.room.engine(model), Renderer(model.path), asked, tokens, settings.seed)
    shop.room.rest()
    return likelihood.of_policy(model.path, shop.base.path, pairs, reference, own, settings.training)


@dg.asset(
    group_name="validation",
    kinds={"duckdb", "parquet"},
    owners=OWNERS,
    deps=[evaluations],
    code_version=CODE["metrics"],
    metadata={"dagster/column_schema": column_schema("metrics")},
    description="Every metric of every variant with its interval and its change against the base, and by category.",
)
def metrics(context: dg.AssetExecutionContext, shop: Workshop) -> Result:
    settings = shop.settings

    def compute() -> Made:
        categories = dict(shop.lake.query_file("unit_categories").iter_rows())
        rows = summarise(_measured(shop), categories, settings.validation, settings.seed)
        worse = rows.filter(pl.col("verdict") == "worse").select("variant", "category", "change", "p_holm")
        return Made(rows, (), {"fallen_categories": dg.MetadataValue.md(preview(worse, worse.height))})

    recipe = Recipe(
        "metrics",
        "metrics",
        CODE["metrics"],
        [settings.validation.model_dump(), settings.seed],
        parents=("evaluations", "prompts", "preferences"),
    )
    return dg.MaterializeResult(metadata=produce(context, shop, recipe, compute))


def _measured(shop: Workshop) -> pl.DataFrame:
    """Evaluations of the base model and of the profile's variants."""
    wanted = ["base", *shop.settings.validation.variants]
    return shop.lake.read("evaluations").filter(pl.col("variant").is_in(wanted))


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
        made_from = {name: tables_of(name, settings) for name in settings.validation.variants}
        tokens = {name: sum(cost.get(table, 0) for table in set(found)) for name, found in made_from.items()}
        tests = shop.lake.read("prompts", where="split = 'test' AND verifier IS NOT NULL")["prompt_id"].to_list()
        board = rank(
            _measured(shop),
            shop.lake.read("training_runs"),
            tokens,
            settings.validation,
            settings.seed,
            tests=tests,
            tokens_per_second=shop.lake.query_file("engine_speed").item(),
        )
        without = untrained(shop.lake, settings)
        shown = {
            "conclusions": _listed(board["conclusion"].to_list()),
            "equal_footing": _listed(footing(board)),
            **({"not_trained": _listed(without)} if without else {}),
            "board": dg.MetadataValue.md(preview(board.drop("conclusion"), board.height)),
        }
        return Made(board, (), shown)

    recipe = Recipe(
        "leaderboard",
        "leaderboard",
        CODE["leaderboard"],
        settings.validation.model_dump(),
        parents=("evaluations", "training_runs", *sources(settings)),
        reads=("usage",),
    )
    return dg.MaterializeResult(metadata=produce(context, shop, recipe, compute))


def _listed(sentences: list[str]) -> dg.MarkdownMetadataValue:
    return dg.MetadataValue.md("\n".join(f"- {sentence}" for sentence in sentences))


@dg.asset(
    group_name="validation",
    kinds={"html"},
    owners=OWNERS,
    deps=[metrics, leaderboard, noise_sweep],
    code_version=CODE["report"],
    description="The leaderboard and what stands behind it as one self-contained HTML file; the same figures below.",
)
def report(context: dg.AssetExecutionContext, shop: Workshop) -> Result:
    sections = made(shop.lake, shop.settings)
    path = write_report(sections, shop.settings, config.home() / "report.html")
    shown = {section.title: plots.markdown(section) for section in sections}
    size = path.stat().st_size // 1024
    return dg.MaterializeResult(metadata={"path": dg.MetadataValue.path(str(path)), "kilobytes": size, **shown})
