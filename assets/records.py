"""Dagster's record of the runs of a home: which are live, and the end of those that died."""

import os
import socket

import dagster as dg
import psutil

from pipeline.errors import OrchardError

PROCESS = "orchard/process"  # host, pid and start time of the process that has a run
_Status = dg.DagsterRunStatus
OPEN = [
    _Status.QUEUED,
    _Status.NOT_STARTED,
    _Status.STARTING,
    _Status.STARTED,
    _Status.CANCELING,
]
_NEVER_BEGAN = (_Status.QUEUED, _Status.NOT_STARTED, _Status.CANCELING)


def process_tag() -> dict[str, str]:
    """The tag of a run that this process has."""
    started = int(psutil.Process().create_time())
    return {PROCESS: f"{socket.gethostname()}:{os.getpid()}:{started}"}


def begin(instance: dg.DagsterInstance | None, run_id: str) -> None:
    """Notes that this process has the run.

    Raises:
        OrchardError: the run was closed, because nothing of it was to be seen.
    """
    run = instance.get_run_by_id(run_id) if instance else None
    if instance is None or run is None:
        return
    if run.is_finished:
        raise OrchardError(f"run {run_id[:8]} was closed before it began: start it again")
    instance.add_run_tags(run_id, process_tag())


def end_cancelled(instance: dg.DagsterInstance | None, run_id: str) -> None:
    """Closes a run that is about to be ended from outside."""
    run = instance.get_run_by_id(run_id) if instance else None
    if instance is not None and run is not None and not run.is_finished:
        instance.report_run_canceled(run, "It was told to end, and its process was ended.")


def close_dead_runs(instance: dg.DagsterInstance, *, has_ui: bool) -> list[str]:
    """Closes the runs that died with their process, whatever their state; returns their ids.

    has_ui: a web UI of this home is live. What waits in its queue is live too, and so is a run that
    it has started and that has not noted its process yet.
    """
    closed = []
    for run in instance.get_runs(dg.RunsFilter(statuses=OPEN)):
        owner = run.tags.get(PROCESS)
        if _is_live(owner) if owner else has_ui:
            continue
        if run.status in _NEVER_BEGAN:
            instance.report_run_canceled(run, "It ended with the process that was to run it.")
        else:
            instance.report_run_failed(
                run, "The process of this run is gone: it was killed. Start the run again."
            )
        closed.append(run.run_id)
    return closed


def _is_live(owner: str) -> bool:
    """Whether a process is there; one of another host counts as live: nobody here can tell."""
    host, pid, started = owner.rsplit(":", 2)
    if host != socket.gethostname():
        return True
    try:
        process = psutil.Process(int(pid))
        return (
            int(process.create_time()) == int(started) and process.status() != psutil.STATUS_ZOMBIE
        )
    except psutil.NoSuchProcess:
        return False
