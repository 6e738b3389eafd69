"""Limits are of CPU time: the same verdicts beside a busy machine; and of what the kernel keeps."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pipeline.config import SandboxSettings
from pipeline.verify.sandbox import Job, Sandbox
from tests.verify.sandbox.conftest import LIMITS

TESTS = "assert f(1) == 1"
# about 0.6 s of CPU time, under a limit of 1; by wall time the limit was 1.4 s
BURNS = """
import time
def f(x):
    while time.process_time() < 0.6:
        pass
    return x
"""
PROGRAMS = {
    "computes for a while": (BURNS, None),
    "burns for ever": ("def f(x):\n    while True: pass", "over the limit of 1 s of CPU time"),
    "sleeps for ever": (
        "import time\ndef f(x):\n    time.sleep(1e6)",
        "over the limit of 2 s without computing",
    ),
    "sleeps often": (
        "import time\ndef f(x):\n    while True: time.sleep(0.01)",
        "over the limit of 2 s without computing",
    ),
    "sleeps a little": ("import time\ndef f(x):\n    time.sleep(0.3)\n    return x", None),
}


@contextmanager
def busy(loops: int) -> Iterator[None]:
    """A machine with so many loops that never end, for each processor."""
    command = [sys.executable, "-c", "while True: pass"]
    count = loops * len(os.sched_getaffinity(0))
    others = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield
    finally:
        for one in others:
            one.kill()
            one.wait()


def test_verdicts_are_the_same_beside_a_busy_machine(sandbox: Sandbox) -> None:
    jobs = [Job(source, TESTS, ("f",)) for source, _ in PROGRAMS.values()]
    alone = sandbox.run_many(jobs)
    with busy(4):
        beside = sandbox.run_many(jobs)
    for name, (_, reason), one, other in zip(
        PROGRAMS, PROGRAMS.values(), alone, beside, strict=True
    ):
        assert (one.passed, one.reason) == (reason is None, reason), name
        assert (other.passed, other.reason) == (reason is None, reason), name
    lost = sum(one.passed != other.passed for one, other in zip(alone, beside, strict=True))
    print(f"programs beside four loops a processor {len(jobs)}, other verdicts {lost}")


def test_what_runs_out_of_wall_time_is_tried_once_more_and_is_called_undecided() -> None:
    settings = SandboxSettings(
        **{**LIMITS, "isolation": "limits", "workers": 1, "wall_seconds": 0.3}  # type: ignore[arg-type]
    )
    box = Sandbox(settings)
    try:
        tries = []
        once = box._run
        box._run = lambda job: tries.append(job) or once(job)  # type: ignore
        outcome = box.run(Job("def f(x):\n    while True: pass", TESTS, ("f",)))
    finally:
        box.close()
    assert not outcome.passed and not outcome.decided and len(tries) == 2
    assert "no verdict on the program, the machine is too busy" in str(outcome.reason)


BOMBS = {
    "empty files": "open('/tmp/%d' % n, 'w').close()",
    "folders": "os.mkdir('/tmp/%d' % n)",
    "links": "os.symlink('x' * 200, '/tmp/%d' % n)",
}


@pytest.mark.parametrize("what", BOMBS)
def test_a_bomb_of_files_is_ended_early(strong: Sandbox, what: str) -> None:
    """Without a limit of their number, four seconds were 480 MB of the kernel's memory."""
    action = BOMBS[what]
    source = f"""
import os
def f(x):
    n = 0
    while True:
        n += 1
        try:
            {action}
        except OSError as error:
            if error.errno not in (28, 1, 13, 38):
                raise
            return -1
"""
    before = slab()
    outcome = strong.run(Job(source, TESTS, ("f",)))
    grown = slab() - before
    assert not outcome.passed
    print(f"bomb of {what}: {outcome.reason}; {outcome.cpu_seconds} s; slab {grown / 1e6:.0f} MB")
    assert outcome.reason == "over the limit of 100 files" or "does not hold" in str(outcome.reason)
    assert outcome.cpu_seconds is not None and outcome.cpu_seconds < 0.9
    few = "def f(x):\n    for n in range(50): open('/tmp/%d' % n, 'w').close()\n    return x"
    assert strong.run(Job(few, TESTS, ("f",))).passed


def slab() -> int:
    """Bytes that the kernel keeps of its own."""
    with open("/proc/meminfo", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("Slab:"))
