"""The command line as processes of their own, whose output goes to files."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from assets.records import OPEN
from pipeline.claim import Holder, holder_of
from pipeline.live import run_lock
from tests.conftest import ORCHARD, TINY, Home

BOUND = 30.0  # seconds to the end; promised are ten, on a machine that does nothing else
_PATIENCE = 240.0  # seconds for anything else


@dataclass(frozen=True)
class Started:
    """A command that was started."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def said(self) -> str:
        return self.log.read_text()

    def last_line(self) -> str:
        return self.said().strip().splitlines()[-1]

    def told(self, number: int) -> float:
        """Sends a signal; seconds to the end, which must be an error."""
        start = time.monotonic()
        self.process.send_signal(number)
        assert self.process.wait(BOUND) == 1, self.said()[-2000:]
        return round(time.monotonic() - start, 1)

    def wait_for(self, there: Callable[[], object]) -> None:
        """Waits until something is true, while the process lives."""
        deadline = time.monotonic() + _PATIENCE
        while not there():
            assert self.process.poll() is None, self.said()[-2000:]
            assert time.monotonic() < deadline, self.said()[-2000:]
            time.sleep(0.05)


def start(home: Home, name: str, *arguments: str, profile: Path = TINY) -> Started:
    """`orchard` with a profile, in a session of its own."""
    log = home.path / f"{name}.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [str(ORCHARD), *arguments],
            env=home.environment() | {"ORCHARD_PROFILE": str(profile)},
            stdout=stream,
            stderr=stream,
            start_new_session=True,
            # a script's background job would ignore it
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
    return Started(process, log)


def kill(*all_of_it: Started) -> None:
    """SIGKILL for processes with all that they started."""
    for one in all_of_it:
        try:
            os.killpg(one.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        one.process.wait()


def live(home: Home) -> Holder | None:
    """Who has the live run of a home, once the run is open."""
    holder = holder_of(run_lock(home.path))
    return holder if holder is not None and "run_id" in holder.more else None


def statuses(home: Home) -> dict[str, dg.DagsterRunStatus]:
    """Run -> its status by Dagster's record."""
    with dg.DagsterInstance.from_config(str(home.path / "dagster")) as instance:
        return {run.run_id: run.status for run in instance.get_runs()}


def open_runs(home: Home) -> list[str]:
    return [run_id for run_id, status in statuses(home).items() if status in OPEN]
