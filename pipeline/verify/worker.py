"""A child process for slow or dangerous judgements:
the scorers of reasoning-gym, of which some ask SymPy.

Such code may run for ever (9**9**9) or fill the memory. An alarm with the default action kills the
child, which also ends C code and works whichever thread asks; its memory is limited; the next call
starts another one.

Some of it evaluates the text as Python: SymPy's parser, and nine of reasoning-gym's scorers
(`gym.EVALUATING`; the others compare and count). Such texts pass a filter first
(`gym.is_harmless`); and should one slip through, the child
has given up what it could do harm with before it reads the first text: no other process, no thread,
no socket, no signal, no file opened for writing, no capability, and of the environment only where
things lie. It can read files, and
has no way to pass them on: all that leaves it is true or false. What only the filter prevents is a
text that forges its own verdict, since it is judged in the same process. A sandbox of namespaces
for each text would keep it from reading, and cost the import of SymPy, a second, each time; whole
programs (the verifier `code`) have that, and two processes.

Run as `python -m pipeline.verify.worker '{"module": "file"}'` with the files of verifiers from
elsewhere: one JSON request per line in, its number and answer per line out.
"""

import itertools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any

from pipeline import extensions
from pipeline.errors import OrchardError
from pipeline.shipped import ROOT
from pipeline.verify import registry

SECONDS = 5
_START_SECONDS = 120  # to load the libraries
_MEMORY = 4 * 2**30  # bytes
# and no other variable: some hold secrets
_PASSED_ON = ("HOME", "PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG")
_LIBRARIES = ("reasoning_gym",)  # loaded before the child is confined: loading may write caches
_READY = "ready\n"
_numbers = itertools.count()
_lock = threading.Lock()
_Made = tuple[int, str]  # (process that started the child, files of verifiers that it was given)
_child: tuple[_Made, subprocess.Popen[str]] | None = None


def ask(function: Callable[..., bool] | str, *arguments: str | None) -> bool:
    """The truth of function(*arguments) in the child: False where it raises or takes too long.

    function: one of a module, or its name, module:function. A file that registers verifiers is
    imported there too, so that a verifier of a user's own can ask as ours do.

    Raises:
        OrchardError: the child cannot be confined on this machine.
    """
    if not isinstance(function, str):
        function = f"{function.__module__}:{function.__qualname__}"
    number = next(_numbers)
    request = json.dumps([number, function, *arguments]) + "\n"
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


def _answer(function: str, arguments: list[Any]) -> bool:
    module, _, name = function.partition(":")
    try:
        return getattr(import_module(module), name)(*arguments) is True
    except Exception:  # whatever a judge raises on a model's text, the text is not a right answer
        return False


def _serve() -> None:
    import signal

    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not look like a reply
    signal.setitimer(signal.ITIMER_REAL, _START_SECONDS)
    for name in _LIBRARIES:
        import_module(name)
    extensions.import_files(json.loads(sys.argv[1]))
    signal.setitimer(signal.ITIMER_REAL, 0)
    replies.write(_confine() or _READY)
    replies.flush()
    for line in sys.stdin:
        number, function, *arguments = json.loads(line)
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        right = _answer(function, arguments)
        signal.setitimer(signal.ITIMER_REAL, 0)
        replies.write(f"{number} {json.dumps(right)}\n")
        replies.flush()


def _confine() -> str | None:
    """Limits, no capabilities, and the sandbox's list of system calls;
    why not, where the machine has none of that.
    """
    import resource

    from pipeline.verify.sandbox.inside import confine, seccomp

    confine.hide_memory()
    for limit, value in (
        (resource.RLIMIT_AS, _MEMORY),
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
