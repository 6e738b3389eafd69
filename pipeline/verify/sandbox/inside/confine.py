"""What a child gives up before it runs anything:
descriptors, resources, capabilities, system calls.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import signal
import sys
from typing import Any

from . import seccomp

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4


def hide_memory() -> None:
    """Forbids other processes of the same user to read or write this one's memory.

    Children inherit it.
    """
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def keep_only(descriptors: list[int]) -> list[int]:
    """Moves the descriptors to 3, 4, ....

    Standard input and output become /dev/null, all others are closed.
    """
    # Copies far above first: a target may be another one's place.
    high = [
        fcntl.fcntl(fd, fcntl.F_DUPFD, 64) for fd in [*descriptors, os.open(os.devnull, os.O_RDWR)]
    ]
    for place in (0, 1, 2):
        os.dup2(high[-1], place)
    kept = [os.dup2(fd, 3 + number) for number, fd in enumerate(high[:-1])]
    os.closerange(3 + len(kept), 256)
    return kept


def limit(limits: dict[str, Any]) -> None:
    """Sets the limits for good: bytes of memory and of a file, seconds of CPU time, open files."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    cpu = int(limits["cpu_seconds"])
    for what, soft, hard in (
        (resource.RLIMIT_AS, limits["memory"], limits["memory"]),
        # at the soft limit a signal that ends it, at the hard one a kill
        (resource.RLIMIT_CPU, cpu, cpu + 1),
        (resource.RLIMIT_FSIZE, limits["file"], limits["file"]),
        (resource.RLIMIT_NOFILE, 32, 32),
        (resource.RLIMIT_NPROC, 1, 1),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        resource.setrlimit(what, (soft, hard))
    # too large a file is an error of the write, not the end
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def confine(limits: dict[str, Any], write_files: bool) -> None:
    """Limits, no capabilities, and only the listed system calls from here on."""
    os.chdir("/tmp")
    limit(limits)
    seccomp.drop_capabilities()
    seccomp.install(write_files)
    sys.setrecursionlimit(5_000)
    sys.set_int_max_str_digits(0)
