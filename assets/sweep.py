"""The noise sweep: one small training per loss, share of flipped labels, and seed."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import dagster as dg
import polars as pl

from assets import plots
from assets.preferences import preferences
from assets.produce import Made, Metadata, Recipe, Result, column_schema, forget, preview, produce
from assets.sampling import OWNERS
from assets.training import reference_logps_asset
from assets.workshop import Workshop
from pipeline import config, tables
from pipeline.code import code_version
from pipeline.engine.base import Reject
from pipeline.errors import Diverged
from pipeline.preferences.build import build, identity, sources
from pipeline.progress import bar
from pipeline.validation.sweep import Cell, cells, divided, learn, lines, measured, told

CODE = code_version(
    "pipeline/training", "pipeline/validation/sweep.py", "pipeline/validation/select.py", "pipeline/tables"
)


class Inputs(NamedTuple):
    """What all trainings of a sweep share."""

    train: pl.DataFrame
    clean: pl.DataFrame
    reference: pl.DataFrame


@dg.asset(
    group_name="validation",
    kinds={"torch", "parquet"},
    owners=OWNERS,
    deps=[preferences, reference_logps_asset],
    code_version=CODE,
    metadata={"dagster/column_schema": column_schema("noise_sweep")},
    description="Labels flipped on purpose (0, 10, 20, 40 %): reward accuracy on clean pairs, one curve per loss.",
)
def noise_sweep(context: dg.AssetExecutionContext, shop: Workshop) -> Result:
    asked = cells(shop.settings)
    forget(shop.lake, "noise_sweep", "sweep_id", [cell.sweep_id for cell in asked], context.run_id)
    if not asked:
        return dg.MaterializeResult(metadata={"status": "this profile asks for no sweep (sweep.losses)"})
    inputs = cache(lambda: _inputs(shop))  # only where a cell is not up to date
    found = [_cell(context, shop, cell, inputs) for cell in asked]
    rows = shop.lake.query_file("noise_sweep")
    curves = lines(shop.lake.read("noise_sweep"))
    return dg.MaterializeResult(
        metadata={
            "trained": sum(one["status"] != "up to date" for one in found),
            "up_to_date": sum(one["status"] == "up to date" for one in found),
            "sweep": dg.MetadataValue.md(preview(rows, rows.height)),
            "curves": plots.curves(curves, "share of training labels flipped", "reward accuracy on clean pairs"),
        }
    )


def _inputs(shop: Workshop) -> Inputs:
    from pipeline.training.reference import reference_logps

    settings = shop.settings
    shop.room.rest()  # the engine's memory, before torch takes its own
    train, clean = divided(build(settings.sweep.source, shop.lake, settings), settings.sweep.max_pairs)
    known = shop.lake.read("reference_logps", where=f"policy_id = '{shop.base.policy_id}'")
    rows = pl.concat([train, clean])
    new = reference_logps(shop.base.path, rows, settings.training, policy_id=shop.base.policy_id, known=known)
    return Inputs(train, clean, pl.concat([known, new]))


def _cell(context: dg.AssetExecutionContext, shop: Workshop, cell: Cell, inputs: Callable[[], Inputs]) -> Metadata:
    settings = shop.settings

    def compute() -> Made:
        train, clean, reference = inputs()
        out = config.home() / "policies" / f"sweep-{cell.sweep_id[:12]}"
        with bar(f"sweep {cell.loss} {cell.share:.0%}") as advance:
            try:
                result = learn(
                    shop.base.path,
                    train,
                    reference,
                    settings.training,
                    cell,
                    out=out,
                    progress=lambda step, steps, _: advance(step, steps),
                )
            except Diverged as error:  # a loss without a lower bound may: that is a result too
                return Made(
                    tables.empty("noise_sweep"), [Reject("noise_sweep", "noise sweep", cell.sweep_id, str(error))]
                )
        return Made(measured(cell, result, clean, reference, settings.training), result.rejects)

    recipe = Recipe(
        "noise_sweep",
        f"sweep {cell.loss} {cell.share} s{cell.seed}",
        CODE,
        [
            told(settings.training, cell).model_dump(exclude={"seeds"}),
            [cell.seed, settings.sweep.max_pairs, settings.preferences.model_dump(), shop.base.policy_id],
            [cell.source, identity(cell.source, settings)],
        ],
        parents=sources(settings, [cell.source]),
        partition={"sweep_id": cell.sweep_id},
    )
    return produce(context, shop, recipe, compute)
