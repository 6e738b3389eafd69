"""The warm process of a sandbox:
for each job it forks the program's process and the tests' process, and buries both.

Jobs come in on descriptor 0 and results leave on descriptor 1, which neither child keeps. A job is
two messages: the program, which this process reads, and the tests, which only the tests' process
reads, after the fork: so the program's process, a copy of this one, holds nothing of its tests.
"""

from __future__ import annotations

import gc
import importlib
import os
import select
import signal
import sys
import time
from typing import Any, NoReturn

from . import candidate, checker, confine, frames

JOB_BYTES = 64 << 20
_LOOK = 0.02  # seconds between two looks at what a job uses
_WINDOW = 0.5  # seconds of which one says whether a job computes or waits
# A job that computes has this share of a processor or more, unless twenty others want each.
_BUSY = 0.05
_ON_TIME = 0.5  # share of the looks that are made in time, unless the machine stands still
# What short programs import: loaded once here instead of in every child.
_WARM = (
    "abc array base64 bisect calendar cmath collections copy dataclasses datetime decimal enum "
    "fractions functools hashlib heapq io itertools json math operator os queue random re "
    "statistics string struct sys textwrap time types typing unicodedata"
)


def main(write_files: bool) -> None:
    """Serves jobs until the control pipe closes."""
    confine.hide_memory()
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    for name in _WARM.split():
        importlib.import_module(name)
    gc.freeze()
    while (job := frames.read_frame(0, JOB_BYTES)) is not None:
        result = _run(job, write_files)
        del job
        result["dirty"] = write_files and bool(os.listdir("/tmp"))
        frames.write_frame(1, result)


def _run(job: dict[str, Any], write_files: bool) -> dict[str, Any]:
    requests, replies, verdict = os.pipe(), os.pipe(), os.pipe()
    limits = job["limits"]
    program = _fork(_candidate, job, [requests[0], replies[1]], write_files)
    job.pop("source")
    tests = _fork(_checker, job, [requests[1], replies[0], verdict[1]], write_files)
    for fd in (*requests, *replies, verdict[1]):
        os.close(fd)
    found, over = _wait(verdict[0], limits, (program, tests), write_files)
    os.close(verdict[0])
    ends = {name: _bury(pid) for name, pid in (("program", program), ("tests", tests))}
    return {"verdict": found, "over": over, **ends}


def _fork(body: Any, job: dict[str, Any], descriptors: list[int], write_files: bool) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        body(job, descriptors, write_files)
    except BaseException:  # it must never come back into the loop above
        pass
    os._exit(1)


def _candidate(job: dict[str, Any], descriptors: list[int], write_files: bool) -> NoReturn:
    confine.keep_only(descriptors)
    confine.confine(job["limits"], write_files)
    candidate.serve(job["source"], job["limits"]["output"])


def _checker(job: dict[str, Any], descriptors: list[int], write_files: bool) -> None:
    tests = frames.read_frame(0, JOB_BYTES)
    confine.keep_only(descriptors)
    confine.confine(job["limits"], write_files)
    found = checker.judge(tests, job["limits"]["output"])
    frames.write_frame(checker.VERDICT, found)


def _wait(
    fd: int, limits: dict[str, Any], pids: tuple[int, ...], write_files: bool
) -> tuple[Any, str | None]:
    """The verdict, or None where the tests' process ended without one or a limit was reached;
    and the name of that limit.

    A job that waits for a processor is not idle. A busy machine gives it one now and then; and
    while this process, too, comes late to its looks, nothing is said of the job.
    """
    began = window = time.monotonic()
    used, idle, looks = _cpu_seconds(pids), 0.0, 0
    while not select.select([fd], [], [], _LOOK)[0]:
        now = time.monotonic()
        looks += 1
        if now - window >= _WINDOW:
            spent = _cpu_seconds(pids) - used
            if spent < _BUSY * _WINDOW and looks >= _ON_TIME * (now - window) / _LOOK:
                idle += _WINDOW
            window, used, looks = now, used + spent, 0
        if idle >= limits["idle_seconds"]:
            return None, "idle_seconds"
        if now - began >= limits["wall_seconds"]:
            return None, "wall_seconds"
        if write_files and _files() > limits["files"]:
            return None, "files"
    try:
        return frames.read_frame(fd, 1 << 20), None
    except frames.BadFrame:
        return None, None


def _cpu_seconds(pids: tuple[int, ...]) -> float:
    """CPU time of some processes, from their clocks: there is no /proc here."""
    total = 0.0
    for pid in pids:
        try:
            total += time.clock_gettime((~pid << 3) | 2)  # as clock_getcpuclockid() makes it
        except OSError:  # it has ended
            pass
    return total


def _files() -> int:
    held = os.statvfs("/tmp")
    return held.f_files - held.f_ffree


def _bury(pid: int) -> dict[str, Any]:
    """Kills a child, which can have none of its own,
    and says how it ended and what it used, by the kernel's count.
    """
    time.sleep(0)
    ended, status, used = os.wait4(pid, os.WNOHANG)
    if not ended:
        os.kill(pid, signal.SIGKILL)
        _, status, used = os.wait4(pid, 0)
    return {
        "status": os.waitstatus_to_exitcode(status),
        "killed": not ended,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "memory": used.ru_maxrss * 1024,
    }


if __name__ == "__main__":
    main(write_files="--write-files" in sys.argv)
