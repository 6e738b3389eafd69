"""The web UI of a home as a live process: its claim, and what a killed one left behind."""

import os
import uuid
from contextlib import suppress

import dagster as dg
import psutil

from assets.records import close_dead_runs
from pipeline import config
from pipeline.claim import holder_of, last_holder, take, this_process
from pipeline.errors import OrchardError
from pipeline.live import ui_lock

_TOKEN = "ORCHARD_UI"  # in the environment of all processes of one web UI
_SERVERS = ("dagster_webserver", "dagster._daemon", "code-server", "grpc")  # words of commands


def claim_ui(profile: str, port: int) -> None:
    """Makes this process, and the program that it becomes, the home's web UI.

    Servers and runs of an earlier one that was killed are ended and closed; a run that is still
    live is left alone.

    Raises:
        OrchardError: the home has a live web UI.
    """
    path = ui_lock(config.home())
    left = last_holder(path)
    os.environ[_TOKEN] = str(uuid.uuid4())
    file = str(config.path_of(profile).resolve())
    own = this_process("orchard ui", port=str(port), profile=file, token=os.environ[_TOKEN])
    claim = take(path, own)
    if claim is None:
        raise OrchardError(
            f"the web UI of this home is open already ({holder_of(path)}): use it, or end it first"
        )
    claim.keep_through_exec()
    if left is not None and "token" in left.more:
        _end_servers(left.more["token"])
    with dg.DagsterInstance.get() as instance:
        close_dead_runs(instance, has_ui=False)


def _end_servers(token: str) -> None:
    """Ends the servers that outlive a killed web UI: they hold its port and empty its queue."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = process.cmdline()
            if process.environ().get(_TOKEN) == token and any(one in words for one in _SERVERS):
                process.kill()
