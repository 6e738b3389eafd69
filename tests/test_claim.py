"""Claims on a data folder: one process at a time, said by name, freed by the kernel."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.claim import holder_of, take, this_process
from pipeline.errors import OrchardError
from pipeline.live import erasure_note, live_run, run_lock

HOLDS = """
import sys, time
from pathlib import Path
from pipeline.live import live_run
with live_run(Path(sys.argv[1]), "a test's run", "0123456789"):
    print("held", flush=True)
    time.sleep(600)
"""


def holding(home: Path) -> "subprocess.Popen[str]":
    """Another process that has the home's live run."""
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(home)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout
    while child.stdout.readline() != "held\n":
        assert child.poll() is None
    return child


def test_a_second_run_is_told_who_holds_the_home_and_what_to_do(tmp_path: Path) -> None:
    other = holding(tmp_path)
    try:
        with pytest.raises(OrchardError) as refused, live_run(tmp_path, "mine"):
            raise AssertionError("two runs at once")
        message = str(refused.value)
        assert f"a test's run, process {other.pid} on {os.uname().nodename} since 2" in message
        assert "--wait" in message and f"kill {other.pid}" in message and "\n" not in message
        holder = holder_of(run_lock(tmp_path))
        assert holder is not None and holder.more == {"run_id": "0123456789"}
    finally:
        other.kill()
        other.wait()
    assert holder_of(run_lock(tmp_path)) is None  # whatever the file says
    with live_run(tmp_path, "mine"):
        pass


def test_waiting_ends_when_the_other_run_does(tmp_path: Path) -> None:
    other = holding(tmp_path)
    waited = []

    def wait(holder: object) -> None:
        waited.append(str(holder))
        other.send_signal(signal.SIGKILL)

    with live_run(tmp_path, "mine", wait=wait):
        holder = holder_of(run_lock(tmp_path))
        assert holder is None or holder.pid == os.getpid()
    assert len(waited) == 1 and str(other.pid) in waited[0]
    other.wait()


def test_a_run_inside_a_run_of_the_same_process_shares_the_claim(tmp_path: Path) -> None:
    with live_run(tmp_path, "outer"):
        with live_run(tmp_path, "inner", "abc"):
            pass
        assert take(run_lock(tmp_path), this_process("another")) is None  # still held
    claim = take(run_lock(tmp_path), this_process("another"))
    assert claim is not None
    claim.release()


def test_a_forked_child_does_not_keep_the_claim_of_a_killed_parent(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", FORKS, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout
    forked = int(child.stdout.readline())
    try:
        child.kill()
        child.wait()
        with live_run(tmp_path, "mine"):
            os.kill(forked, 0)  # it lives
    finally:
        os.kill(forked, signal.SIGKILL)


FORKS = """
import os, sys, time
from pathlib import Path
from pipeline.live import live_run
with live_run(Path(sys.argv[1]), "a test's run"):
    forked = os.fork()
    if forked:
        print(forked, flush=True)
    time.sleep(600)
"""


def test_what_a_process_becomes_keeps_the_claim_and_what_it_starts_does_not(tmp_path: Path) -> None:
    """As `orchard ui` becomes dagster, which starts servers."""
    path = tmp_path / "ui.lock"
    script = """
import os, subprocess, sys
from pathlib import Path
from pipeline.claim import take, this_process
take(Path(sys.argv[1]), this_process("ui", port="3000")).keep_through_exec()
becomes = "import subprocess, time; p = subprocess.Popen(['sleep', '600']); print(p.pid, flush=True); time.sleep(600)"
os.execv(sys.executable, [sys.executable, "-c", becomes])
"""  # noqa: E501
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout
    started = int(child.stdout.readline())
    try:
        holder = holder_of(path)
        assert holder is not None and (holder.pid, holder.more["port"]) == (child.pid, "3000")
        child.kill()
        child.wait()
        os.kill(started, 0)  # it lives
        assert holder_of(path) is None
    finally:
        os.kill(started, signal.SIGKILL)


def test_no_run_starts_over_an_erasure_that_is_not_finished(tmp_path: Path) -> None:
    erasure_note(tmp_path).write_text("{}")
    with pytest.raises(OrchardError, match="`orchard erase --yes` finishes it"):
        with live_run(tmp_path, "mine"):
            raise AssertionError("it started")
    with live_run(tmp_path, "orchard erase", erases=True):
        erasure_note(tmp_path).unlink()
    with live_run(tmp_path, "mine"):
        pass
