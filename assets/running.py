"""A run of everything: in this process, or in the queue of the web UI where one is live."""

import dagster as dg

from assets import queued, records
from assets.causes import cause
from assets.cli.terminal import say
from pipeline import config
from pipeline.claim import Holder, holder_of
from pipeline.ending import ends_when_told
from pipeline.errors import OrchardError
from pipeline.live import live_run, ui_lock

# The progress bars tell enough.
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def materialise(profile: str, *, wait: bool = False) -> None:
    """Materialises all assets in one run.

    wait: for the live run of this home, where there is one.

    Raises:
        OrchardError: a step failed (the message names it and its cause in one line), another run
            is live, or the web UI of this home runs another profile.
    """
    ui = holder_of(ui_lock(config.home()))
    with dg.DagsterInstance.get() as instance:
        if ui is not None:
            queued.run_there(instance, ui, profile, QUIET)
            return
        waiting = _say_waiting if wait else None
        with (
            ends_when_told(ends_process=True) as ending,
            live_run(config.home(), f"orchard run, profile {profile}", "", waiting, ending),
        ):
            _materialise_here(instance)


def _materialise_here(instance: dg.DagsterInstance) -> None:
    from assets.definitions import defs

    # A web UI that was started meanwhile has its own queue.
    records.close_dead_runs(instance, has_ui=holder_of(ui_lock(config.home())) is not None)
    job = defs.resolve_job_def("everything")
    result = job.execute_in_process(
        instance=instance,
        tags={**job.tags, **records.process_tag()},
        raise_on_error=False,
        run_config=QUIET,
    )
    if not result.success:
        raise OrchardError(cause(result.all_events))


def _say_waiting(other: Holder) -> None:
    say(f"Waiting for the live run of this home: {other}")
