"""A child process for slow or dangerous judgements: SymPy on a model's text, and reasoning-gym's scorers.

Such code may run for ever (9**9**9) or fill the memory. An alarm with the default action kills the child, which also
ends C code and works whichever thread asks; its memory is limited; the next call starts another one.

Run as `python -m pipeline.verify.worker`: one JSON request per line in, one JSON answer per line out.
"""

import json
import os
import subprocess
import sys
import threading
from importlib import import_module
from typing import Any

from pipeline.config import ROOT

SECONDS = 5
_START_SECONDS = 60  # imports of the first call
_MEMORY = 4 * 2**30  # bytes
_lock = threading.Lock()
_child: tuple[int, subprocess.Popen[str]] | None = None  # (process id that started it, child)


def ask(function: str, *arguments: str | None) -> bool:
    """The truth of module:function(*arguments) in the child; False where it raises or takes too much time or memory."""
    request = json.dumps([function, *arguments]) + "\n"
    with _lock:
        child = _running()
        try:
            assert child.stdin and child.stdout
            child.stdin.write(request)
            child.stdin.flush()
            reply = child.stdout.readline()
        except OSError:
            reply = ""
        if not reply:
            child.kill()  # it is gone, or about to be
            child.wait()
        return reply == "true\n"


def _running() -> subprocess.Popen[str]:
    global _child
    if _child is None or _child[0] != os.getpid() or _child[1].poll() is not None:
        command = [sys.executable, "-m", "pipeline.verify.worker"]
        pipe = subprocess.PIPE
        child = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, cwd=ROOT)
        _child = (os.getpid(), child)
    return _child[1]


def _answer(function: str, arguments: list[Any]) -> bool:
    module, _, name = function.partition(":")
    try:
        return getattr(import_module(module), name)(*arguments) is True
    except Exception:  # whatever a judge raises on a model's text, the text is not a right answer
        return False


def _serve() -> None:
    import resource
    import signal

    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not look like a reply
    seconds = _START_SECONDS
    for line in sys.stdin:
        function, *arguments = json.loads(line)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        right = _answer(function, arguments)
        signal.setitimer(signal.ITIMER_REAL, 0)
        replies.write(json.dumps(right) + "\n")
        replies.flush()
        seconds = SECONDS


if __name__ == "__main__":
    _serve()
