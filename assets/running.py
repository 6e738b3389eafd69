"""A run of everything in this process, recorded in Dagster's own instance like any other."""

import os
import re

import dagster as dg
import psutil

from pipeline.errors import OrchardError

PID = "orchard/pid"
# The progress bars tell enough.
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def materialise() -> None:
    """Materialises all assets in one run.

    Raises:
        OrchardError: a step failed; the message names it and its cause in one line.
    """
    from assets.definitions import defs

    job = defs.resolve_job_def("everything")
    with dg.DagsterInstance.get() as instance:
        close_dead_runs(instance)
        tags = {**job.tags, PID: f"{os.getpid()}:{int(psutil.Process().create_time())}"}
        result = job.execute_in_process(
            instance=instance, tags=tags, raise_on_error=False, run_config=QUIET
        )
        if not result.success:
            raise OrchardError(_cause(result))


def close_dead_runs(instance: dg.DagsterInstance) -> None:
    """Marks runs whose process was killed as failed,
    so that the UI does not show them running for ever.
    """
    open_runs = instance.get_runs(
        dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING])
    )
    for found in open_runs:
        owner = found.tags.get(PID)
        if owner and not _alive(owner):
            instance.report_run_failed(
                found, "The process of this run is gone: it was killed. Start the run again."
            )


def _alive(owner: str) -> bool:
    pid, started = owner.split(":")
    try:
        return int(psutil.Process(int(pid)).create_time()) == int(started)
    except psutil.NoSuchProcess:
        return False


def _cause(result: dg.ExecuteInProcessResult) -> str:
    checks = [
        e
        for e in result.get_asset_check_evaluations()
        if e.blocking and not e.passed and e.description
    ]
    stopping = [
        f"{e.check_name}: {e.description}"
        for e in checks
        if e.severity == dg.AssetCheckSeverity.ERROR
    ]
    if stopping:
        return stopping[0]
    failures = [event for event in result.all_events if event.is_step_failure]
    if not failures:
        return "the run failed before its first step: look at it with `make ui`"
    error = failures[0].step_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    if error is not None and error.cls_name == "DagsterExecutionInterruptedError":
        return "the run was interrupted: start it again, it goes on where it was"
    message = error.message if error is not None else "unknown error"
    lines = [line for line in message.strip().splitlines() if line.strip()] or ["unknown error"]
    # Our own errors say all without their class.
    plain = re.sub(r"^pipeline(\.\w+)+: ", "", lines[0])
    return f"{failures[0].step_key}: {plain}"
