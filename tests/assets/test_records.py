"""Runs that died with their process are closed in every state, and live ones never are."""

import os
import socket
import subprocess
import sys

import dagster as dg
import psutil
import pytest
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)

from assets.records import OPEN, PROCESS, begin, close_dead_runs, process_tag
from pipeline.errors import OrchardError

HOST = socket.gethostname()
CANCELLED = {
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.CANCELING,
}


@dg.op
def nothing() -> None:
    """Does nothing."""


@dg.job
def job() -> None:
    """Does nothing."""
    nothing()


# a run of the web UI has one
REPOSITORY = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "__repository__")
ORIGIN = RemoteJobOrigin(REPOSITORY, "job")
CODE = JobPythonOrigin("job", RepositoryPythonOrigin(sys.executable, ModuleCodePointer("m", "f")))


def opened(instance: dg.DagsterInstance, status: dg.DagsterRunStatus, **tags: str) -> str:
    run = instance.create_run_for_job(
        job, status=status, tags=tags, remote_job_origin=ORIGIN, job_code_origin=CODE
    )
    return run.run_id


@pytest.mark.parametrize("has_ui", [True, False])
def test_dead_runs_of_every_state_are_closed_and_live_ones_are_left(has_ui: bool) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    reused = f"{HOST}:{os.getpid()}:{int(psutil.Process().create_time()) - 60}"
    injected = lost = 0
    with dg.DagsterInstance.ephemeral() as instance:
        dead = {
            opened(instance, status, **{PROCESS: owner}): status
            for status in OPEN
            for owner in (f"{HOST}:{gone.pid}:1", reused)
        }
        live = {
            opened(instance, status, **tags)
            for status in OPEN
            for tags in (process_tag(), {PROCESS: "another.host:1:1"})
        }
        untagged = {opened(instance, status): status for status in OPEN}
        if not has_ui:
            dead |= untagged
        closed = close_dead_runs(instance, has_ui=has_ui)
        assert set(closed) == set(dead) and not live & set(closed)
        for run_id, status in dead.items():
            injected += 1
            run = instance.get_run_by_id(run_id)
            assert run is not None
            lost += not run.is_finished
            cancelled = run.status == dg.DagsterRunStatus.CANCELED
            assert cancelled == (status in CANCELLED), status
        assert close_dead_runs(instance, has_ui=has_ui) == []
    print(f"dead runs injected {injected}, left open {lost}")
    assert (injected, lost) == (10 if has_ui else 15, 0)


def test_a_run_that_was_closed_meanwhile_does_not_begin() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run_id = opened(instance, dg.DagsterRunStatus.STARTING)
        begin(instance, run_id)
        run = instance.get_run_by_id(run_id)
        assert run is not None and run.tags[PROCESS] == process_tag()[PROCESS]
        instance.report_run_failed(run)
        with pytest.raises(OrchardError, match="was closed before it began"):
            begin(instance, run_id)
        begin(None, run_id)  # a run without a record, such as in a notebook
        begin(instance, "")
