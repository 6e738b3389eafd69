"""What Dagster loads: the assets, the nightly job and its schedule, checks, and the resource that they share."""

import dagster as dg

from assets.checks import CHECKS
from assets.codefavor import code_pairs
from assets.judging import judges, rationales_asset, votes_asset
from assets.noise import NOISE
from assets.preferences import preferences
from assets.principles import judge_contexts, principles
from assets.sampling import prompts, responses, tree_nodes
from assets.sweep import noise_sweep
from assets.synthesis import instructions
from assets.training import reference_logps_asset, training_runs
from assets.trees import preference_lists, thought_nodes
from assets.unpaired import unpaired
from assets.validation import evaluations, leaderboard, metrics, report
from assets.variants import RANGE
from assets.workshop import Workshop
from pipeline import config

everything = dg.define_asset_job(
    "everything", selection="*", tags=RANGE, description="All assets, in one run; what is up to date costs nothing."
)
nightly = dg.ScheduleDefinition(
    name="nightly",
    job=everything,
    cron_schedule="0 2 * * *",
    execution_timezone=config.load().timezone,
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Every night at 02:00, once it is switched on.",
)
defs = dg.Definitions(
    assets=[
        prompts,
        responses,
        tree_nodes,
        thought_nodes,
        preference_lists,
        votes_asset,
        principles,
        judge_contexts,
        judges,
        rationales_asset,
        *NOISE,
        instructions,
        code_pairs,
        unpaired,
        preferences,
        reference_logps_asset,
        training_runs,
        evaluations,
        noise_sweep,
        metrics,
        leaderboard,
        report,
    ],
    asset_checks=CHECKS,
    jobs=[everything],
    schedules=[nightly],
    resources={"shop": Workshop()},
    executor=dg.in_process_executor,  # one process a run, so that the engine is loaded once
)
