"""Reference log-probabilities, and one trained policy per variant and seed."""

import json
from pathlib import Path

import dagster as dg
import polars as pl

from assets import plots
from assets.preferences import preferences
from assets.produce import Made, Metadata, Recipe, Result, column_schema, produce
from assets.sampling import OWNERS
from assets.variants import VARIANTS
from assets.workshop import Workshop
from pipeline import config, tables
from pipeline.code import code_version
from pipeline.engine.model import fingerprint
from pipeline.engine.rendering import Renderer
from pipeline.ids import content_id
from pipeline.preferences.build import variant as registered
from pipeline.progress import bar
from pipeline.validation.rows import training_rows
from pipeline.validation.select import equal_budget, held_out, reported, stopping

SELECTION = ("pipeline/validation/select.py", "pipeline/validation/rows.py")
CODE = code_version("pipeline/training", *SELECTION, "pipeline/tables")


def budget(shop: Workshop) -> dict[str, pl.DataFrame]:
    """Training rows of each variant of the profile, at equal budget."""
    settings, length = shop.settings.validation, Renderer(shop.base.path).length
    each = {name: training_rows(shop.lake, name, length, shop.settings) for name in settings.variants}
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
        [section, chosen.equal_tokens, shop.base.policy_id],
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
    rows = budget(shop) if wanted else {}
    held = watched(shop) if wanted else {}
    for variant in wanted:
        metadata = _variant(context, shop, variant, pl.concat([rows[variant], *([held[variant]] if held else [])]))
        context.add_asset_metadata(metadata, asset_key=context.asset_key, partition_key=variant)


def _known_logps(shop: Workshop) -> pl.DataFrame:
    """The table's rows, where the code that made them is this code: then only new texts are computed."""
    history = shop.lake.history("reference_logps")
    if history.is_empty() or history["code_version"][-1] != CODE:
        return tables.empty("reference_logps")
    return shop.lake.read("reference_logps").filter(pl.col("policy_id") == shop.base.policy_id)


def _basis(shop: Workshop, variant: str, rows: pl.DataFrame) -> list[str]:
    """Marks of the rows that a variant's policies stand for: those of the last training while few have changed.

    So a night with a few new prompts costs their sampling and not a training of every variant.
    """
    new = sorted(rows["mark"])
    last = shop.lake.read("training_runs").filter(pl.col("variant") == variant)["row_marks"].drop_nulls()
    old = last[0].to_list() if len(last) else []
    changed = 1 - len(set(old) & set(new)) / len(new)
    return old if old and changed <= shop.settings.validation.retrain_share else new


def _variant(context: dg.AssetExecutionContext, shop: Workshop, variant: str, rows: pl.DataFrame) -> Metadata:
    settings = shop.settings

    def compute() -> Made:
        shop.room.rest()
        reference = shop.lake.read("reference_logps")
        done = [_train(shop, variant, rows, reference, seed) for seed in settings.training.seeds]
        runs = pl.DataFrame([row for row, _ in done], schema=tables.empty("training_runs").schema)
        lines = {f"seed {row['seed']}": [(p[0], p[1]) for p in json.loads(str(row["curve"]))] for row, _ in done}
        rejects = pl.concat([dropped for _, dropped in done])
        return Made(runs, rejects, {"loss": plots.curves(lines, "step", "loss")})

    recipe = Recipe(
        "training_runs",
        f"train {variant}",
        CODE,
        [settings.training.model_dump(), registered(variant, settings).loss, shop.base.policy_id],
        reads=("preferences", "reference_logps"),
        partition={"variant": variant},
        extra=tuple(_basis(shop, variant, rows)),
    )
    return produce(context, shop, recipe, compute)


def _train(
    shop: Workshop, variant: str, rows: pl.DataFrame, reference: pl.DataFrame, seed: int
) -> tuple[dict[str, object], pl.DataFrame]:
    """The row of one seed, and rejected rows; a policy of the same code, data, settings and seed is not made again."""
    from pipeline.training.loop import train

    chosen = shop.settings.training
    settings = chosen.model_copy(update={"loss": registered(variant, shop.settings).loss or chosen.loss})
    data = content_id(sorted(rows["mark"]), settings.model_dump(exclude={"seeds"}), shop.base.policy_id, CODE)
    run_id = content_id(variant, data, seed)
    out = Path("policies") / f"{variant}-s{seed}-{run_id[:8]}"
    known = shop.lake.read("training_runs", where=f"run_id = '{run_id}'")
    if known.height and (config.home() / out).is_dir():
        said = f"\"table\" = 'training_runs' AND step = 'train {variant}'"
        return known.row(0, named=True), shop.lake.read("rejects", where=said).unique(["row_id", "reason"])
    with bar(f"train {variant}") as advance:
        result = train(
            shop.base.path,
            _with_rationales(shop, rows),
            reference,
            settings,
            seed=seed,
            out=config.home() / out,
            progress=lambda step, steps, _: advance(step, steps),
        )
    row: dict[str, object] = {
        "run_id": run_id,
        "variant": variant,
        "seed": seed,
        "policy_id": f"{variant}-s{seed}@{fingerprint(result.path)}",
        "reference_id": shop.base.policy_id,
        "checkpoint": str(out),
        "loss": settings.loss,
        "method": settings.method,
        "settings": settings.model_dump_json(),
        "n_pairs": result.n_pairs,
        "row_ids": sorted(rows.filter(pl.col("split") == "train")["row_id"]),
        "row_marks": sorted(rows["mark"]),
        "n_steps": result.n_steps,
        "kept_step": result.kept_step,
        "looks": json.dumps(result.looks),
        "n_tokens": result.n_tokens,
        "loss_first": result.loss_first,
        "loss_last": result.loss_last,
        "accuracy_last": result.accuracy_last,
        "curve": json.dumps(result.curve),
        "length_ratio": result.length_ratio,
        "seconds": result.seconds,
    }
    return row, result.rejects


def _with_rationales(shop: Workshop, rows: pl.DataFrame) -> pl.DataFrame:
    from pipeline.training.rationales import attach

    if "rationale_id" not in rows.columns or rows["rationale_id"].null_count() == rows.height:
        return rows
    return attach(rows, shop.lake.read("rationales"))
