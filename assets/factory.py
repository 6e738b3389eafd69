"""Dagster assets from the declarations of steps."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import dagster as dg

from assets.run import Run
from assets.shown import column_schema, of_report, of_value
from pipeline.config import Settings
from pipeline.steps import RunContext, Step, StepReport, run_step
from pipeline.steps.graph import Graph
from pipeline.steps.inputs import Inputs
from pipeline.steps.recipe import code_of
from pipeline.steps.run import empty_other_parts

OWNERS = ["team:data"]
NOT_NEEDED = {"status": "no variant of this profile uses it"}
Result = dg.MaterializeResult[Any]


def assets_of(
    graph: Graph, settings: Settings, variants: dg.StaticPartitionsDefinition
) -> list[dg.AssetsDefinition]:
    """One asset a step; those with a part for each variant are partitioned by `variants`."""
    return [
        asset_of(step, graph.before(step, settings), settings, variants)
        for step in graph.steps.values()
    ]


def asset_of(
    step: Step,
    before: Sequence[str],
    settings: Settings,
    variants: dg.StaticPartitionsDefinition,
) -> dg.AssetsDefinition:
    """The asset of a step, downstream of the assets of these names."""

    def whole(context: dg.AssetExecutionContext, run: Run) -> Result:
        return dg.MaterializeResult(metadata=_whole(context, step, run.context))

    def parts(context: dg.AssetExecutionContext, run: Run) -> None:
        for part, report in _parts(context, step, run.context, context.partition_keys):
            shown, key = of_report(report), context.asset_key
            context.add_asset_metadata(shown, asset_key=key, partition_key=part)

    made = dg.asset(
        name=step.name,
        group_name=step.group,
        kinds={*step.kinds, *(("parquet",) if step.table else ())},
        owners=OWNERS,
        deps=list(before),
        partitions_def=variants if step.is_partitioned else None,
        backfill_policy=dg.BackfillPolicy.single_run() if step.is_partitioned else None,
        code_version=code_of(step, settings),
        metadata={"dagster/column_schema": column_schema(step.table)} if step.table else {},
        description=step.description,
    )
    return made(parts if step.is_partitioned else whole)


def _whole(context: dg.AssetExecutionContext, step: Step, run: RunContext) -> dict[str, Any]:
    """Makes all of a step that the profile needs, and says what came of it."""
    if not _is_needed(step, run):
        empty_other_parts(step, run)  # such as the cells of a sweep that is asked for no more
        return NOT_NEEDED
    if step.table is None:
        shown = step.make(Inputs(run, step)).shown
        return {title: of_value(value, title) for title, value in shown.items()}
    if step.parts is None:
        return _logged(context, step, None, run_step(step, run))
    said: dict[str, Any] = {}
    for part, report in _parts(context, step, run, step.parts(run.settings)):
        short = {"status": report.status, "rejected_rows": report.rejected}
        said |= {f"{part}: {name}": value for name, value in short.items() if value is not None}
        said |= {title: of_value(value, title) for title, value in report.shown.items()}
    return said


def _parts(
    context: dg.AssetExecutionContext, step: Step, run: RunContext, wanted: Sequence[str]
) -> list[tuple[str, StepReport]]:
    """Makes those of some parts that the profile has."""
    assert step.parts is not None
    empty_other_parts(step, run)
    if not _is_needed(step, run):
        return []
    own = [part for part in step.parts(run.settings) if part in wanted]
    done = [(part, run_step(step, run, part)) for part in own]
    for part, report in done:
        _logged(context, step, part, report)
    return done


def _is_needed(step: Step, run: RunContext) -> bool:
    assert run.graph is not None
    return step.name in run.once(("needed",), partial(run.graph.needed, run.settings))


def _logged(
    context: dg.AssetExecutionContext, step: Step, part: str | None, report: StepReport
) -> dict[str, Any]:
    context.log.info(f"{step.name} {part or ''}: {report.status}, version {report.version}")
    return of_report(report)
