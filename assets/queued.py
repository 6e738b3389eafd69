"""A run in the queue of the live web UI, followed in the terminal."""

import logging
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

import dagster as dg
from dagster_graphql import DagsterGraphQLClient, DagsterGraphQLClientError

from assets import records
from assets.causes import cause
from assets.cli.terminal import say
from pipeline import config
from pipeline.claim import Holder, holder_of
from pipeline.ending import INTERRUPTED
from pipeline.errors import OrchardError
from pipeline.escaped import visible
from pipeline.live import ui_lock

_LOOK_SECONDS = 1.0
_START_SECONDS = 120.0  # a web UI that was started just now takes a while to answer
_END_SECONDS = 30.0  # for a run that was told to end, with the queue's own steps


def run_there(
    instance: dg.DagsterInstance, ui: Holder, profile: str, run_config: Mapping[str, object]
) -> None:
    """Puts a run of everything into the web UI's queue and follows it to its end.

    Ctrl-C or SIGTERM ends the run itself, as it does a run in this process.

    Raises:
        OrchardError: the run failed or was ended, or the web UI runs another profile.
    """
    own = str(config.path_of(profile).resolve())
    if ui.more.get("profile") != own:
        raise OrchardError(
            f"the web UI of this home runs profile {ui.more.get('profile')}, not {own} "
            f"({ui}): run that one, or end the web UI first"
        )
    records.close_dead_runs(instance, has_ui=True)
    with _interrupts():
        client, run_id = _submitted(ui, run_config)
        url = f"http://127.0.0.1:{ui.more['port']}/runs/{run_id}"
        say(f"In the queue of the web UI (Ctrl-C ends the run): {url}")
        _to_its_end(instance, client, run_id)
    events = [entry.dagster_event for entry in instance.all_logs(run_id)]
    run = instance.get_run_by_id(run_id)
    if run is None or not run.is_success:
        raise OrchardError(cause([event for event in events if event is not None]))


@contextmanager
def _interrupts() -> Iterator[None]:
    """SIGTERM is KeyboardInterrupt, as Ctrl-C is."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _submitted(ui: Holder, run_config: Mapping[str, object]) -> tuple[DagsterGraphQLClient, str]:
    """The web UI's client and the id of a new run in its queue, once the web UI answers."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            client = DagsterGraphQLClient("127.0.0.1", port_number=int(ui.more["port"]))
            return client, client.submit_job_execution(
                "everything",
                repository_location_name="assets.definitions",
                repository_name="__repository__",
                run_config=run_config,
            )
        except DagsterGraphQLClientError as error:
            if time.monotonic() > deadline or not _has_ui():
                why = str(error).strip().partition("\n")[0]
                raise OrchardError(f"the web UI takes no run ({ui}): {why}: end it") from error
        time.sleep(_LOOK_SECONDS)


def _has_ui() -> bool:
    return holder_of(ui_lock(config.home())) is not None


def _to_its_end(instance: dg.DagsterInstance, client: DagsterGraphQLClient, run_id: str) -> None:
    """Shows what the run says until it has ended, and ends it where this process is told to."""
    log, told, passed_on = _Log(instance, run_id), 0.0, False
    while True:
        try:
            if told and not passed_on:
                say("Ending the run; what is finished is kept.")
                with suppress(DagsterGraphQLClientError):  # it has ended, perhaps
                    client.terminate_run(run_id)
                passed_on = True
            run = instance.get_run_by_id(run_id)
            log.show_new()
            if run is None or run.is_finished:
                return
            if told and time.monotonic() - told > _END_SECONDS:
                raise OrchardError(f"{INTERRUPTED} (it has not ended yet: {run.status.value})")
            if not _has_ui() and run_id in records.close_dead_runs(instance, has_ui=False):
                raise OrchardError("the web UI was ended, and this run with it: start it again")
            time.sleep(_LOOK_SECONDS)
        except KeyboardInterrupt:
            told = told or time.monotonic()


class _Log:
    """What a run has said since the last look."""

    def __init__(self, instance: dg.DagsterInstance, run_id: str) -> None:
        self._instance = instance
        self._run_id = run_id
        self._cursor: str | None = None
        self._captured: dict[str, str | None] = {}  # output of steps -> how far it was shown

    def show_new(self) -> None:
        """Prints new messages of steps, and what they wrote to standard error."""
        found = self._instance.get_records_for_run(self._run_id, cursor=self._cursor)
        self._cursor = found.cursor
        for record in found.records:
            entry = record.event_log_entry
            event = entry.dagster_event
            if event is None and int(entry.level) >= logging.INFO:  # what a step logged
                say(entry.user_message)
            elif event is not None and event.event_type == dg.DagsterEventType.LOGS_CAPTURED:
                self._captured[event.logs_captured_data.file_key] = None
        for key, cursor in self._captured.items():
            manager = self._instance.compute_log_manager
            data = manager.get_log_data(manager.build_log_key_for_run(self._run_id, key), cursor)
            self._captured[key] = data.cursor
            text = (data.stderr or b"").decode("utf-8", "replace").rstrip("\n")
            if text:
                print("\n".join(map(visible, text.split("\n"))), file=sys.stderr, flush=True)
