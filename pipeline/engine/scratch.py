"""Where vLLM puts the sockets of an engine: a folder that ends with its process.

In the common temporary folder they stay for ever, one or more for each engine that was killed.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import psutil

_PREFIX = "orchard-engine-"


def folder() -> Path:
    """The folder of this process, made at the first call; those of dead processes are removed.

    Its name holds the process and when it began, since the system gives numbers again.
    """
    made = Path(tempfile.gettempdir()) / f"{_PREFIX}{os.getpid()}-{_began(os.getpid())}"
    if not made.is_dir():
        remove_left_over()
        made.mkdir(mode=0o700, exist_ok=True)
        atexit.register(_remove, made, os.getpid())
    return made


def remove_left_over() -> None:
    """Removes the folders of processes that are gone; those of others' that we may not stay."""
    for found in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        number, _, began = found.name.removeprefix(_PREFIX).partition("-")
        if number.isdecimal() and began != str(_began(int(number))):
            shutil.rmtree(found, ignore_errors=True)


def _began(process: int) -> int | None:
    """When a process began, in seconds since 1970; null where there is none."""
    try:
        return int(psutil.Process(process).create_time())
    except psutil.Error:
        return None


def _remove(made: Path, owner: int) -> None:
    if os.getpid() == owner:  # a fork of ours ends too
        shutil.rmtree(made, ignore_errors=True)
