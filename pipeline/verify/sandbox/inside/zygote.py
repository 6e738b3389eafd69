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
    deadline = time.monotonic() + job["limits"]["wall_seconds"]
    program = _fork(_candidate, job, [requests[0], replies[1]], write_files)
    job.pop("source")
    tests = _fork(_checker, job, [requests[1], replies[0], verdict[1]], write_files)
    for fd in (*requests, *replies, verdict[1]):
        os.close(fd)
    found, timed_out = _wait(verdict[0], deadline)
    os.close(verdict[0])
    ends = {name: _bury(pid) for name, pid in (("program", program), ("tests", tests))}
    return {"verdict": found, "timed_out": timed_out, **ends}


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


def _wait(fd: int, deadline: float) -> tuple[Any, bool]:
    """The verdict, or None where the tests' process ended without one or time ran out;
    and whether it did.
    """
    ready, _, _ = select.select([fd], [], [], max(0.0, deadline - time.monotonic()))
    if not ready:
        return None, True
    try:
        return frames.read_frame(fd, 1 << 20), False
    except frames.BadFrame:
        return None, False


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
