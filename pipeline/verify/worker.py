"""Processes for slow or dangerous judgements:
the scorers of reasoning-gym, of which some ask SymPy.

Such code may run for ever (9**9**9) or fill the memory, and SymPy's parser evaluates texts as
Python. So each text is judged in a process of its own: a fork of the worker, which has loaded the
libraries and never reads a text. Before it reads one, the fork gives up what it could do harm with:
no other process, no thread, no socket, no signal, no file opened for writing, no capability, a
limit of memory, and of the environment only where things lie. A limit of CPU time ends it, which
also ends C code and does not depend on what else the machine does. It can read files, and has no
way to pass them on: all that leaves it is true or false, of its own text. That a text does not
forge this is the judge's to see to (gym.py parses what would be evaluated). A sandbox of namespaces
for each text would keep it from reading, and cost the import of SymPy, a second, each time; whole
programs (the verifier `code`) have that.

Run as `python -m pipeline.verify.worker '{"module": "file"}'` with the files of verifiers from
elsewhere: one JSON request per line in, its number and answer per line out.
"""

import gc
import itertools
import json
import os
import platform
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import Any

from pipeline import extensions
from pipeline.errors import OrchardError
from pipeline.shipped import ROOT
from pipeline.verify import registry

SECONDS = 5  # of CPU time
_WALL_SECONDS = 60  # for a text that waits instead; far more than a busy machine takes
_START_SECONDS = 120  # to load the libraries, or a data set
_MEMORY = 4 * 2**30  # bytes
# and no other variable: some hold secrets
_PASSED_ON = ("HOME", "PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG")
_LIBRARIES = (  # loaded once, before any fork: loading takes seconds, and may write caches
    "reasoning_gym",
    "pipeline.verify.sandbox.inside.confine",
    "pipeline.verify.sandbox.inside.seccomp",
)
_READY = "ready\n"
_RIGHT = "right"
_LONGEST = 1000  # bytes that a fork may say
_numbers = itertools.count()
_lock = threading.Lock()
_Made = tuple[int, str]  # (process that started the child, files of verifiers that it was given)
_child: tuple[_Made, subprocess.Popen[str]] | None = None


def ask(
    function: Callable[..., bool] | str,
    *arguments: str | None,
    prepare: Callable[..., object] | None = None,
) -> bool:
    """The truth of function(*arguments) in the worker: False where it raises or takes too long.

    function: one of a module, or its name, module:function. A file that registers verifiers is
    imported there too, so that a verifier of a user's own can ask as ours do. prepare: is called
    with the same arguments before the fork, and keeps what later calls need; it must not read a
    text of a model.

    Raises:
        OrchardError: the worker cannot confine a process on this machine.
    """
    number = next(_numbers)
    names = [_name(function), prepare and _name(prepare)]
    request = json.dumps([number, *names, *arguments]) + "\n"
    with _lock:
        child = _running()
        try:
            assert child.stdin and child.stdout
            child.stdin.write(request)
            child.stdin.flush()
            replies = iter(child.stdout.readline, "")
            # not what others left behind
            reply = next((line for line in replies if line.startswith(f"{number} ")), "")
        except OSError:
            reply = ""
        if not reply:
            child.kill()  # it is gone, or about to be
            child.wait()
        return reply == f"{number} true\n"


def _name(function: Callable[..., object] | str) -> str:
    if isinstance(function, str):
        return function
    return f"{function.__module__}:{function.__qualname__}"


def _running() -> subprocess.Popen[str]:
    global _child
    made = (os.getpid(), json.dumps(registry.extension_files()))
    if _child is None or _child[0] != made or _child[1].poll() is not None:
        if _child and _child[0][0] == os.getpid():
            _child[1].kill()  # it lacks a file that was loaded since
            _child[1].wait()
        command = [sys.executable, "-m", "pipeline.verify.worker", made[1]]
        pipe = subprocess.PIPE
        own = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        own |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # it may not start threads
        child = subprocess.Popen(
            command,
            stdin=pipe,
            stdout=pipe,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env=own,
        )
        assert child.stdout
        said = child.stdout.readline()
        if said != _READY:
            child.kill()
            child.wait()
            why = said.strip() or "it does not start"
            raise OrchardError(
                f"the verifiers' worker cannot be confined: {why}: run on Linux, x86-64 or arm64"
            )
        _child = (made, child)
    return _child[1]


def _found(function: str) -> Callable[..., object]:
    module, _, name = function.partition(":")
    found: Callable[..., object] = getattr(import_module(module), name)
    return found


def _serve() -> None:
    import signal

    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not look like a reply
    signal.setitimer(signal.ITIMER_REAL, _START_SECONDS)
    for name in _LIBRARIES:
        import_module(name)
    extensions.import_files(json.loads(sys.argv[1]))
    platform.machine()  # asks the system once
    gc.freeze()  # a fork's first collection would copy all that was loaded
    signal.setitimer(signal.ITIMER_REAL, 0)
    replies.write(_forked(lambda: _confine() or _READY, replies.fileno()))
    replies.flush()
    for line in sys.stdin:
        number, function, prepare, *arguments = json.loads(line)
        if prepare:
            signal.setitimer(signal.ITIMER_REAL, _START_SECONDS)
            with suppress(Exception):  # the fork meets the same, and answers for it
                _found(prepare)(*arguments)
            signal.setitimer(signal.ITIMER_REAL, 0)
        right = _forked(partial(_judged, function, arguments), replies.fileno())
        replies.write(f"{number} {json.dumps(right == _RIGHT)}\n")
        replies.flush()


def _forked(judge: Callable[[], str], replies: int) -> str:
    """What a fork of this process says, at most so long and in so much memory; "" where it dies."""
    import signal

    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        said = ""
        try:
            os.close(read)
            os.close(replies)
            signal.setitimer(signal.ITIMER_REAL, _WALL_SECONDS)
            said = judge()
        finally:
            os.write(write, said.encode())
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        answer = pipe.read(_LONGEST).decode("utf-8", "replace")
    os.waitpid(child, 0)
    return answer


def _judged(function: str, arguments: list[Any]) -> str:
    """Confined from here on."""
    problem = _confine()
    if problem:
        return problem
    try:
        return _RIGHT if _found(function)(*arguments) is True else ""
    except Exception:  # whatever a judge raises on a model's text, the text is not a right answer
        return ""


def _confine() -> str | None:
    """Limits, no capabilities, and the sandbox's list of system calls;
    why not, where the machine has none of that.
    """
    import resource

    from pipeline.verify.sandbox.inside import confine, seccomp

    confine.hide_memory()
    for limit, value in (
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_CPU, SECONDS),  # of this fork: its count begins at 0
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    try:
        seccomp.drop_capabilities()
        seccomp.install(write_files=False)
    except seccomp.Unsupported as error:
        return f"{error}\n"
    return None


if __name__ == "__main__":
    _serve()
