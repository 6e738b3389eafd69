"""A claim on a data folder: a file lock, and in the file who holds it, since when and for what.

The kernel frees the lock when its holder dies, however it dies; what the file says counts only
while somebody holds the lock.
"""

import fcntl
import json
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

_POLL = 0.05  # seconds
# Whoever looks at a claim holds it for an instant, which is no reason to call it taken.
_PATIENCE = 0.5  # seconds


@dataclass(frozen=True)
class Holder:
    """Who holds a claim.

    pid, host: the process. since: local time to the second, ISO 8601. what: in a few words, such
    as `orchard run`. more: what else others need to know, such as a port.
    """

    pid: int
    host: str
    since: str
    what: str
    more: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.what}, process {self.pid} on {self.host} since {self.since}"


def this_process(what: str, **more: str) -> Holder:
    """This process as a holder, from now on."""
    now = datetime.now().isoformat(sep=" ", timespec="seconds")
    return Holder(os.getpid(), socket.gethostname(), now, what, more)


class Claim:
    """A claim that this process holds until it is released, or the process ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        # A forked child shares the lock, and would keep it beyond this process's end.
        os.register_at_fork(after_in_child=self._leave)

    def note(self, holder: Holder) -> None:
        """Writes who holds the claim."""
        text = json.dumps(asdict(holder)).encode()
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, text, 0)

    def keep_through_exec(self) -> None:
        """The program that this process becomes holds the claim; programs that it starts do not."""
        os.set_inheritable(self._descriptor, True)

    def release(self) -> None:
        """Frees the claim; does nothing the second time."""
        if self._descriptor >= 0:
            os.ftruncate(self._descriptor, 0)
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        self._leave()

    def _leave(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1


def take(path: Path, holder: Holder) -> Claim | None:
    """The claim at `path`, or None where another process holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    deadline = time.monotonic() + _PATIENCE
    while not _locked(descriptor):
        if time.monotonic() > deadline:
            os.close(descriptor)
            return None
        time.sleep(_POLL)
    claim = Claim(descriptor)
    claim.note(holder)
    return claim


def holder_of(path: Path) -> Holder | None:
    """Who holds the claim at `path`; None where nobody does."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        # Between its lock and its note a new holder has not said yet who it is.
        for _ in range(10):
            if _locked(descriptor, fcntl.LOCK_SH):
                return None
            if (holder := _noted(os.pread(descriptor, 1 << 16, 0))) is not None:
                return holder
            time.sleep(_POLL)
        return Holder(0, "an unknown host", "an unknown time", "a process that does not say what")
    finally:
        os.close(descriptor)


def last_holder(path: Path) -> Holder | None:
    """Who holds the claim, or held it last without releasing it; None where nobody is noted."""
    return _noted(path.read_bytes()) if path.is_file() else None


def _noted(text: bytes) -> Holder | None:
    try:
        return Holder(**json.loads(text))
    except (ValueError, TypeError):
        return None


def _locked(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
