"""What Dagster loads: the assets, the nightly job and its schedule,
checks, and the run they share.
"""

import dagster as dg

from assets.checks import CHECKS
from assets.factory import assets_of
from assets.run import Run
from assets.steps import GRAPH
from assets.variants import RANGE, VARIANTS
from pipeline import config
from pipeline.named import check_names
from pipeline.steps.chat import check_chat
from pipeline.steps.room import check_room

settings = config.load()
check_names(settings)
GRAPH.in_order(settings)  # which raises where steps stand in a circle
check_room(GRAPH, settings)
check_chat(GRAPH, settings)
everything = dg.define_asset_job(
    "everything",
    selection="*",
    tags=RANGE,
    description="All assets, in one run; what is up to date costs nothing.",
)
nightly = dg.ScheduleDefinition(
    name="nightly",
    job=everything,
    cron_schedule="0 2 * * *",
    execution_timezone=settings.timezone,
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Every night at 02:00, once it is switched on.",
)
defs = dg.Definitions(
    assets=assets_of(GRAPH, settings, VARIANTS),
    asset_checks=CHECKS,
    jobs=[everything],
    schedules=[nightly],
    resources={"run": Run()},
    executor=dg.in_process_executor,  # one process a run, so that the engine is loaded once
)
