"""Reference log-probabilities, and one trained policy per variant and seed."""

import json

import dagster as dg
import polars as pl

from assets import plots
from assets.preferences import preferences
from assets.produce import Made, Metadata, Recipe, Result, column_schema, produce, reject_rows
from assets.sampling import OWNERS
from assets.trained import CODE, Row, trained
from assets.variants import VARIANTS
from assets.workshop import Workshop
from pipeline import config, tables
from pipeline.engine.base import Reject
from pipeline.engine.rendering import Renderer
from pipeline.errors import Diverged
from pipeline.ids import content_id
from pipeline.preferences.build import variant as registered
from pipeline.validation.rows import training_rows
from pipeline.validation.select import common_prompts, equal_budget, held_out, reported, stopping
from pipeline.validation.standing import basis_of, remember, remembered, stand


def budget(shop: Workshop) -> dict[str, pl.DataFrame]:
    """Training rows of each variant of the profile, at equal budget."""
    settings, length = shop.settings.validation, Renderer(shop.base.path).length
    each = {name: training_rows(shop.lake, name, length, shop.settings) for name in settings.variants}
    each = common_prompts(each) if settings.common_prompts else each
    return equal_budget(each, settings.max_pairs, tokens=settings.equal_tokens)


def test_pairs(shop: Workshop) -> pl.DataFrame:
    """Held-out pairs of the variants that are no controls, equally many of each."""
    settings = shop.settings.validation
    pairs = shop.lake.read("preferences")
    if shop.settings.training.patience:
        pairs = reported(pairs)
    real = [name for name in settings.variants if registered(name, shop.settings).control_of is None]
    return held_out({name: pairs.filter(pl.col("variant") == name) for name in real}, settings.max_pairs)


def watched(shop: Workshop) -> dict[str, pl.DataFrame]:
    """Validation rows that each variant's training may stop on; none where the profile does not stop early."""
    if not shop.settings.training.patience:
        return {}
    chosen, length = shop.settings.validation, Renderer(shop.base.path).length
    return {
        name: stopping(training_rows(shop.lake, name, length, shop.settings), chosen.max_pairs)
        for name in chosen.variants
    }


@dg.asset(
    name="reference_logps",
    group_name="training",
    kinds={"torch", "parquet"},
    owners=OWNERS,
    deps=[preferences],
    code_version=CODE,
    metadata={"dagster/column_schema": column_schema("reference_logps")},
    description="Log-probability of every text of every pair under the base model: computed once for all variants.",
)
def reference_logps_asset(context: dg.AssetExecutionContext, shop: Workshop) -> Result:
    settings = shop.settings

    def compute() -> Made:
        from pipeline.training.reference import reference_logps  # torch only where a step needs it

        shop.room.rest()  # the engine's memory, before torch takes its own
        found = _known_logps(shop)
        # Tables of three shapes: one after the other.
        for rows in (*budget(shop).values(), test_pairs(shop), *watched(shop).values()):
            if rows.is_empty():
                continue
            new = reference_logps(shop.base.path, rows, settings.training, policy_id=shop.base.policy_id, known=found)
            found = pl.concat([found, new])
        return Made(found)

    chosen = settings.validation
    train = settings.training
    section = [train.max_length, train.too_long, bool(train.patience), chosen.variants, chosen.max_pairs]
    recipe = Recipe(
        "reference_logps",
        "reference",
        CODE,
        [section, chosen.equal_tokens, chosen.common_prompts, shop.base.policy_id],
        parents=("preferences", "preference_lists", "unpaired"),
    )
    return dg.MaterializeResult(metadata=produce(context, shop, recipe, compute))


@dg.asset(
    group_name="training",
    kinds={"torch", "huggingface"},
    owners=OWNERS,
    deps=[reference_logps_asset],
    partitions_def=VARIANTS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    code_version=CODE,
    metadata={"dagster/column_schema": column_schema("training_runs")},
    description="One policy per variant and seed, trained by DPO on equally many pairs.",
)
def training_runs(context: dg.AssetExecutionContext, shop: Workshop) -> None:
    wanted = [name for name in context.partition_keys if name in shop.settings.validation.variants]
    rows = _rows(shop) if wanted else {}
    marks = _standing(shop, rows) if wanted else {}
    for variant in wanted:
        metadata = _variant(context, shop, rows[variant], _recipe(shop, variant, marks[variant]))
        context.add_asset_metadata(metadata, asset_key=context.asset_key, partition_key=variant)


def _rows(shop: Workshop) -> dict[str, pl.DataFrame]:
    """What each variant's training reads: rows to learn from, and with early stopping those to stop on."""
    held = watched(shop)
    learned = budget(shop)
    return {
        name: pl.concat([rows, held[name]]) if name in held and len(rows) else rows for name, rows in learned.items()
    }


def _known_logps(shop: Workshop) -> pl.DataFrame:
    """The table's rows, where the code that made them is this code: then only new texts are computed."""
    history = shop.lake.history("reference_logps")
    if history.is_empty() or history["code_version"][-1] != CODE:
        return tables.empty("reference_logps")
    return shop.lake.read("reference_logps").filter(pl.col("policy_id") == shop.base.policy_id)


def _standing(shop: Workshop, rows: dict[str, pl.DataFrame]) -> dict[str, list[str]]:
    """Marks of the rows that each variant's policies stand for: those of the last decision while few have changed.

    So a night with a few new prompts costs their sampling and not a training of every variant. Where a variant is not
    what it was to be at that decision (the run was killed, or there is another seed), today's rows count for all.
    """
    note = config.home() / "policies" / f"standing-{content_id(sorted(rows))[:8]}.json"
    old, new = remembered(note), {name: basis_of(frame) for name, frame in rows.items()}
    prompts = set(shop.lake.query_file("training_prompts")["prompt_id"])
    made = all(_made(shop, _recipe(shop, name, basis.marks)) for name, basis in old.items() if name in rows)
    if not (made and stand(old, new, prompts, shop.settings.validation.retrain_share)):
        remember(note, new)
        old = new
    return {name: basis.marks for name, basis in old.items()}


def _made(shop: Workshop, recipe: Recipe) -> bool:
    return shop.lake.fresh(recipe.table, recipe.fingerprint(shop.lake), recipe.partition) is not None


def _recipe(shop: Workshop, variant: str, marks: list[str]) -> Recipe:
    """What determines a variant's policies; a budget that was asked for is never within `retrain_share`."""
    training, chosen = shop.settings.training, shop.settings.validation
    return Recipe(
        "training_runs",
        f"train {variant}",
        CODE,
        [
            [training.model_dump(), registered(variant, shop.settings).loss, shop.base.policy_id],
            [chosen.max_pairs, chosen.equal_tokens, chosen.common_prompts],
        ],
        reads=("prompts", "preferences", "preference_lists", "unpaired", "rationales", "reference_logps"),
        partition={"variant": variant},
        extra=tuple(marks),
    )


def _variant(context: dg.AssetExecutionContext, shop: Workshop, rows: pl.DataFrame, recipe: Recipe) -> Metadata:
    def compute() -> Made:
        if rows.is_empty():  # what an earlier run trained on other rows goes too
            return Made(tables.empty("training_runs"), (), {"note": "no training pair: no policy"})
        shop.room.rest()
        reference = shop.lake.read("reference_logps")
        variant = (recipe.partition or {})["variant"]
        done = [_seed(shop, variant, rows, reference, seed) for seed in shop.settings.training.seeds]
        rejects = pl.concat([dropped for _, dropped in done])
        runs = pl.DataFrame([row for row, _ in done if row], schema=tables.empty("training_runs").schema)
        return Made(runs, rejects, _shown(runs))

    return produce(context, shop, recipe, compute)


def _seed(
    shop: Workshop, variant: str, rows: pl.DataFrame, reference: pl.DataFrame, seed: int
) -> tuple[Row | None, pl.DataFrame]:
    """The row of one seed and rejected rows; where the training diverges no row, and it is a reject itself."""
    try:
        return trained(shop, variant, rows, reference, seed)
    except Diverged as error:  # one variant's loss without a lower bound ends no other's training
        lost = Reject("training_runs", f"train {variant}", f"{variant} seed {seed}", f"seed {seed}: {error}")
        return None, reject_rows([lost])


def _shown(runs: pl.DataFrame) -> Metadata:
    if runs.is_empty():
        return {"note": "every training diverged: no policy"}
    lines = {f"seed {seed}": [(p[0], p[1]) for p in json.loads(c)] for seed, c in runs.select("seed", "curve").rows()}
    unwatched = any(json.loads(row)["patience"] for row in runs["settings"]) and set(runs["looks"]) == {"[]"}
    note = "not watched: a curriculum, or no validation rows to stop on"
    return {"loss": plots.curves(lines, "step", "loss"), **({"note": note} if unwatched else {})}
