"""A pool of warm sandboxes, and one job through one of them."""

import os
import queue
import select
import signal
import subprocess
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from pipeline.config import SandboxSettings
from pipeline.verify.sandbox import launch
from pipeline.verify.sandbox.inside import frames

_GRACE = 5.0  # seconds beyond the wall limit after which the whole sandbox is killed


@dataclass(frozen=True)
class Job:
    """A program, and tests that call it.

    Args:
        source: the program; it is loaded, then its functions are called with plain data.
        tests: Python with assert statements; trusted to say what is right, not trusted with the
            machine.
        names: functions of the program that the tests call.
        setup: Python that runs before the tests on their side: helpers that they name.
        repeat: how often the tests run, for timing.
    """

    source: str
    tests: str
    names: tuple[str, ...]
    setup: str = ""
    repeat: int = 1


@dataclass(frozen=True)
class Outcome:
    """What came of a job.

    passed: every assertion held, the program was called, and its process lived to the end of the
    tests.
    held, asserts: assertions that held, and all that ran.
    reason: why it did not pass; null where it did.
    cpu_seconds: CPU time of the program's process by the kernel's count; null where nothing ran.
    decided: false where it is no verdict on the program, such as on a machine that is too busy.
    """

    passed: bool
    held: int
    asserts: int
    reason: str | None
    cpu_seconds: float | None
    decided: bool = True


class Sandbox:
    """Runs jobs, any number of threads at a time; each warm process is used by one job at a time.

    A process that anything odd happened to (no verdict, a file left behind) is thrown away whole
    and replaced.
    """

    def __init__(self, settings: SandboxSettings) -> None:
        """Starts a first sandbox and tries it out.

        Raises:
            OrchardError: the isolation asked for is not to be had; the message says what to do.
        """
        self.settings = settings
        self._size = settings.workers or len(os.sched_getaffinity(0))
        self._idle: queue.LifoQueue[subprocess.Popen[bytes] | None] = queue.LifoQueue()
        self._all: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        # bubblewrap ends with the thread that started it, so one thread that lives as long as the
        # pool starts them all.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="sandbox-starter")
        self._wrapper, first = self._probe()
        for _ in range(self._size - 1):
            self._idle.put(None)
        self._idle.put(first)

    def run(self, job: Job) -> Outcome:
        """One job; waits for a free sandbox, and tries once more where nothing was decided."""
        outcome = self._run(job)
        return outcome if outcome.decided else self._run(job)

    def _run(self, job: Job) -> Outcome:
        process = self._idle.get()
        try:
            if process is None or process.poll() is not None:
                process = self._start()
            outcome, clean = self._exchange(process, job)
            if not clean:
                self._discard(process)
                process = None
            return outcome
        except BaseException:
            if process is not None:
                self._discard(process)
                process = None
            raise
        finally:
            self._idle.put(process)

    def run_many(self, jobs: Iterable[Job]) -> list[Outcome]:
        """Outcomes in the jobs' order."""
        with ThreadPoolExecutor(self._size) as threads:
            return list(threads.map(self.run, jobs))

    def close(self) -> None:
        """Ends all sandboxes."""
        with self._lock:
            processes = list(self._all)
        for process in processes:
            self._discard(process)
        self._starter.shutdown()

    def _probe(self) -> tuple[list[str], subprocess.Popen[bytes]]:
        """The first command line whose sandbox runs a program
        and keeps it from what it must not do.
        """
        why = "it does not start"
        for wrapper in launch.wrappers(self.settings):
            self._wrapper = wrapper
            process = self._start()
            outcome, _ = self._exchange(process, _PROBE)
            if outcome.passed:
                return wrapper, process
            why = outcome.reason or why
            self._discard(process)
        raise launch.unavailable(self.settings, why)

    def _start(self) -> subprocess.Popen[bytes]:
        process = self._starter.submit(launch.start, self._wrapper).result()
        with self._lock:
            self._all.add(process)
        return process

    def _discard(self, process: subprocess.Popen[bytes]) -> None:
        # bubblewrap's end takes its namespaces with it; a bare process's children die by its death
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream:
                stream.close()
        with self._lock:
            self._all.discard(process)

    def _exchange(self, process: subprocess.Popen[bytes], job: Job) -> tuple[Outcome, bool]:
        """Sends a job and reads its result:
        the outcome, and whether the sandbox can be used again.
        """
        assert process.stdin and process.stdout
        limits = _limits(self.settings)
        tests = {
            "setup": job.setup,
            "tests": job.tests,
            "names": list(job.names),
            "repeat": job.repeat,
        }
        deadline = time.monotonic() + self.settings.wall_seconds + _GRACE
        try:
            for message in ({"source": job.source, "limits": limits}, tests):
                frames.write_frame(process.stdin.fileno(), message)
            ready, _, _ = select.select([process.stdout], [], [], deadline - time.monotonic())
            result = frames.read_frame(process.stdout.fileno(), 2 << 20) if ready else None
        except (OSError, frames.BadFrame):
            result = None
        if result is None:
            why = "the sandbox ended or did not answer in time"
            return Outcome(False, 0, 0, why, None, decided=False), False
        clean = result["verdict"] is not None and not result["dirty"]
        return self._outcome(result), clean

    def _outcome(self, result: dict[str, Any]) -> Outcome:
        used = float(result["program"]["cpu_seconds"])
        verdict = result["verdict"]
        ended = self._ended(result)
        if verdict is None:
            why = ended or "the tests' process ended without a verdict"
            return Outcome(False, 0, 0, why, used, decided=result["over"] != "wall_seconds")
        reason = verdict["reason"]
        if reason == "the program ended before the tests did" and ended:
            reason = ended
        return Outcome(bool(verdict["passed"]), verdict["held"], verdict["asserts"], reason, used)

    def _ended(self, result: dict[str, Any]) -> str | None:
        """How the program's process ended, where that explains the outcome."""
        program = result["program"]
        if over := result["over"]:
            return self._over(over, program["cpu_seconds"])
        if (
            program["status"] == -signal.SIGXCPU
            or program["cpu_seconds"] >= self.settings.cpu_seconds
        ):
            return f"over the limit of {self.settings.cpu_seconds} s of CPU time"
        if program["killed"] or program["status"] == 0:
            return None
        if program["status"] < 0:
            return f"the program was ended by {signal.Signals(-program['status']).name}"
        return f"the program ended with exit status {program['status']}"

    def _over(self, limit: str, used: float) -> str:
        if limit == "idle_seconds":
            return f"over the limit of {self.settings.idle_seconds:g} s without computing"
        if limit == "files":
            return f"over the limit of {self.settings.files} files"
        return (
            f"not finished in {self.settings.wall_seconds:g} s, {used:.1f} s of them on a "
            "processor: no verdict on the program, the machine is too busy"
        )


def _limits(settings: SandboxSettings) -> dict[str, float]:
    return {
        "cpu_seconds": settings.cpu_seconds,
        "idle_seconds": settings.idle_seconds,
        "wall_seconds": settings.wall_seconds,
        "files": settings.files,
        "memory": settings.memory_mib << 20,
        "file": settings.file_mib << 20,
        "output": settings.output_kib << 10,
    }


# Run before anything else: a sandbox that lets one of these through is not used.
_PROBE = Job(
    source="""
import os, socket

def refused(action):
    try:
        action()
    except OSError:
        return True
    return False

def holds():
    return [
        refused(lambda: socket.socket()),
        refused(os.fork),
        refused(lambda: os.kill(os.getpid(), 0)),
        refused(lambda: open("/orchard-probe", "w")),
        refused(lambda: os.execv("/bin/true", ["true"])),
    ]
""",
    tests="assert holds() == [True] * 5",
    names=("holds",),
)


def shared(settings: SandboxSettings) -> Sandbox:
    """The sandbox of these settings for this process, started at first use.

    Raises:
        OrchardError: see Sandbox.
    """
    key = (os.getpid(), settings)  # a forked process must not talk to its parent's sandboxes
    with _shared_lock:
        if key not in _shared:
            _shared[key] = Sandbox(settings)
        return _shared[key]


_shared: dict[tuple[int, SandboxSettings], Sandbox] = {}
_shared_lock = threading.Lock()

__all__ = ["Job", "Outcome", "Sandbox", "shared"]
