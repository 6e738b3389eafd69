"""The one place that turns a signal into the end of a run.

Python turns a signal into an exception in the main thread as soon as that runs Python again. This
ends most runs in a second or two, and it can be lost: a callback of the event loop or a library's
`except BaseException` swallows it, a call of C code does not come back, a pool of threads waits for
what it has begun. So a thread of ours learns of the signal from the kernel, raises it again, and at
last ends the process with its children. That costs nothing: all that was finished is on disk, as
after a kill.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psutil

GENTLE_SECONDS = 7.0  # for the run to end itself
_AGAIN_SECONDS = 3.0  # after which an exception that was lost is raised again
_RECORD_SECONDS = 1.5  # to say in the run's record that it ended
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
INTERRUPTED = "the run was interrupted: start it again, it goes on where it was"


class Ending:
    """Whether the process was told to end, and what to do before it is ended."""

    def __init__(self) -> None:
        self.told = threading.Event()
        self.over = threading.Event()  # nothing is left to end
        self.ends_process = False
        self.at_last: list[Callable[[], object]] = []


_watched: Ending | None = None


@contextmanager
def ends_when_told(
    at_last: Callable[[], object] = lambda: None, *, ends_process: bool = False
) -> Iterator[Ending]:
    """Inside the block, SIGINT or SIGTERM ends the block or, some nine seconds later, the process.

    A block inside another is watched until the outer one ends. In another thread than the main one
    nothing is watched.

    at_last: is called in a thread before the process is ended; it has a second and a half.
    ends_process: the process has nothing else to do, and is ended too where it outlives the block
    that was told (Python waits for the threads of a pool).
    """
    if _watched is not None:
        _watched.at_last.append(at_last)
        _watched.ends_process |= ends_process
        try:
            yield _watched
        finally:
            _watched.at_last.remove(at_last)
    elif threading.current_thread() is not threading.main_thread():
        yield Ending()
    else:
        with _watch() as ending:
            ending.at_last.append(at_last)
            ending.ends_process = ends_process
            yield ending


@contextmanager
def _watch() -> Iterator[Ending]:
    global _watched
    ending = _watched = Ending()
    read, write = os.pipe()
    os.set_blocking(write, False)
    before = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    watch = threading.Thread(target=_listen, args=(read, ending), name="ending", daemon=True)
    watch.start()
    try:
        yield ending
    finally:
        _watched = None
        ending.over.set()
        signal.set_wakeup_fd(before)
        os.close(write)  # which ends the thread
        watch.join(1)


def _listen(read: int, ending: Ending) -> None:
    with os.fdopen(read, "rb", buffering=0) as signals:
        while number := signals.read(1):
            if number[0] in _SIGNALS and not ending.told.is_set():
                ending.told.set()
                threading.Thread(target=_end, args=(ending,), daemon=True).start()


def _end(ending: Ending) -> None:
    """Raises the signal again, and ends the process when its time is over."""
    deadline = time.monotonic() + GENTLE_SECONDS
    while not ending.over.wait(min(_AGAIN_SECONDS, max(0.0, deadline - time.monotonic()))):
        if time.monotonic() >= deadline:
            break
        os.kill(os.getpid(), signal.SIGINT)
    if ending.over.is_set():
        if not ending.ends_process:
            return
        time.sleep(max(0.0, deadline - time.monotonic()))
    record = threading.Thread(target=_say_so, args=(ending,), daemon=True)
    record.start()
    record.join(_RECORD_SECONDS)
    _end_children()
    print(f"orchard: {INTERRUPTED}", file=sys.stderr, flush=True)
    os._exit(1)


def _say_so(ending: Ending) -> None:
    for call in reversed(ending.at_last):
        with suppress(Exception):
            call()


def _end_children() -> None:
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            child.kill()
