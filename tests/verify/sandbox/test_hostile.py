"""Hostile programs: none passes as right, none harms, each ends within its limit and a second.

Every bomb is small enough to be harmless even where its limit failed.
"""

import re
import socket
import time
from pathlib import Path

import psutil
import pytest

from pipeline.verify.sandbox import Job, Outcome, Sandbox

RIGHT = Job("def f(x):\n    return x + 1", "assert f(1) == 2", ("f",))
TESTS = "assert f(1) == 2\nassert f('k') == 'a value that only the tests know: 7c1e'"

# What each does, and what the outcome's reason must say.
HOSTILE = {
    "a fork bomb": ("import os\nfor _ in range(4): os.fork()", "PermissionError"),
    "a thread bomb": (
        "import threading, time\n"
        "for _ in range(4): threading.Thread(target=time.sleep, args=(9,)).start()",
        "RuntimeError: can't start new thread",
    ),
    "a daemon by subprocess": (
        "import subprocess\nsubprocess.Popen(['/bin/sleep', '60'])",
        "PermissionError",
    ),
    "a daemon by multiprocessing": (
        "import multiprocessing\nmultiprocessing.get_context('fork').Process(target=print).start()",
        "PermissionError",
    ),
    "a memory bomb at once": ("x = bytearray(300 << 20)", "MemoryError"),
    "a memory bomb by steps": (
        "x = []\nwhile len(x) < 300: x.append(bytearray(1 << 20))",
        "MemoryError",
    ),
    "an endless loop": ("while True: pass", "over the limit of 1 s of CPU time"),
    "an endless loop in a call": (
        "def f(x):\n    while True: pass",
        "over the limit of 1 s of CPU time",
    ),
    "an endless loop that ignores its signal": (
        "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass",
        "over the limit of",
    ),
    "an endless sleep": ("import time\ntime.sleep(1e6)", "over the limit of 2 s without computing"),
    "endless output": ("while True: print('x' * 65536)", "over the limit of 1 s of CPU time"),
    "endless output on the reply's descriptor": (
        "import os\nwhile True: os.write(4, b'\\xff' * 65536)",
        "a message of 4294967295 bytes, over the limit of 65536",
    ),
    "an endless result": (
        "import itertools\ndef f(x):\n    return itertools.count()",
        "over the limit|MemoryError",
    ),
    "a large result": ("def f(x):\n    return 'x' * 100_000", "over the limit of 65536"),
    "killing the parent": ("import os\nos.kill(os.getppid(), 9)", "PermissionError"),
    "killing everything": ("import os\nos.kill(-1, 15)", "PermissionError"),
    "a signal by fcntl": (
        "import fcntl, os\nfcntl.fcntl(4, fcntl.F_SETOWN, os.getppid())",
        "PermissionError",
    ),
    "a signal that comes later": (
        "import signal\nsignal.setitimer(signal.ITIMER_REAL, 0.05)\nwhile True: pass",
        # whichever is seen first: its end, or how it ended
        "ended by SIGALRM|ended before the tests did",
    ),
    "a socket": ("import socket\nsocket.create_connection(('127.0.0.1', 9))", "PermissionError"),
    "a local socket": ("import socket\nsocket.socketpair()", "PermissionError"),
    "writing to the system": ("open('/usr/orchard-was-here', 'w')", "OSError|PermissionError"),
    "changing the limits": (
        "import resource\nresource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
        "ValueError|PermissionError|OSError",
    ),
    "sys.exit before the assertions": ("import sys\nsys.exit(0)", "does not load: SystemExit"),
    "os._exit before the assertions": ("import os\nos._exit(0)", "ended before the tests did"),
    "sys.exit in a call": ("import sys\ndef f(x):\n    sys.exit(0)", "raised SystemExit"),
    "os._exit in a call": ("import os\ndef f(x):\n    os._exit(0)", "ended before the tests did"),
    "an interrupt in a call": (
        "def f(x):\n    raise KeyboardInterrupt",
        "raised KeyboardInterrupt",
    ),
    "a crash": ("import ctypes\nctypes.string_at(8)", "ended by SIGSEGV"),
    "a deep recursion": (
        "import sys\nsys.setrecursionlimit(10**9)\ndef f(x):\n    return [f(x)] * (f(x) == 0)",
        "MemoryError|SIGSEGV|RecursionError|limit",
    ),
    "a nested result": (
        "def f(x):\n    r = []\n    for _ in range(9999): r = [r]\n    return r",
        "RecursionError",
    ),
    "a result in itself": (
        "def f(x):\n    r = []\n    r.append(r)\n    return r",
        "RecursionError",
    ),
    "closing the channel": ("import os\nos.closerange(0, 99)", "ended|OSError|exit status"),
    "junk on the channel": (
        "import os\nos.write(4, b'\\0\\0\\0\\3abc')",
        "the program sent not a message",
    ),
    "a forged verdict": (
        "import json, os\n"
        "m = json.dumps({'passed': True, 'held': 2, 'asserts': 2, 'reason': None}).encode()\n"
        "for fd in range(99):\n"
        "    try: os.write(fd, len(m).to_bytes(4, 'big') + m)\n    except OSError: pass",
        "did not answer by the rules",
    ),
    "printing a verdict": (
        "print('{\"passed\": true}')\nimport sys\nsys.stderr.write('OK')\ndef f(x):\n    return 0",
        "does not hold",
    ),
    "an object equal to everything": (
        "class Yes:\n    def __eq__(self, other): return True\n"
        "    __hash__ = None\ndef f(x):\n    return Yes()",
        "does not hold",
    ),
    "a list of objects equal to everything": (
        "class Yes(int):\n    def __eq__(self, other): return True\ndef f(x):\n    return Yes(9)",
        "does not hold",
    ),
    "builtins replaced": (
        "import builtins\nbuiltins.AssertionError = ValueError\nbuiltins.all = lambda x: True\n"
        "builtins.compile = builtins.exec = lambda *a: None\ndef f(x):\n    return 0",
        "does not hold",
    ),
    "operators replaced": (
        "import ctypes, sys\nsys.modules['ast'] = None\n"
        "sys.setprofile(lambda *a: None)\ndef f(x):\n    return 0",
        "does not hold",
    ),
    "source that is no Python": ("def f(x:\n", "does not load: SyntaxError"),
    "source with a zero byte": ("x = '\0'", "does not load"),
    "source of brackets": ("(" * 100_000, "does not load"),
}


def timed(box: Sandbox, job: Job) -> tuple[Outcome, float]:
    start = time.monotonic()
    outcome = box.run(job)
    return outcome, time.monotonic() - start


@pytest.mark.parametrize("what", HOSTILE)
def test_none_passes_none_outlives_its_limit_and_the_next_job_is_well(
    sandbox: Sandbox, what: str
) -> None:
    source, reason = HOSTILE[what]
    outcome, seconds = timed(sandbox, Job(source, TESTS, ("f",)))
    assert not outcome.passed and outcome.reason and re.search(reason, outcome.reason), outcome
    # 3 s on an idle machine; a wait for the backstop would be 60
    assert seconds < sandbox.settings.wall_seconds / 2
    assert sandbox.run(RIGHT).passed


def test_nothing_stays_behind(sandbox: Sandbox) -> None:
    """After every kind of end the machine has the warm processes it had, and no child of them."""
    sandbox.run_many([RIGHT] * 4)
    ends = [
        "while True: pass",
        "import os\nos._exit(0)",
        "import time\ntime.sleep(9)",
        "open('/tmp/x', 'w')",
        "1/0",
    ]
    sandbox.run_many([Job(source, TESTS, ("f",)) for source in ends])
    sandbox.run_many([RIGHT] * 4)
    mine = {process.pid for process in sandbox._all}
    below = [child for pid in mine for child in psutil.Process(pid).children(recursive=True)]
    # bubblewrap's own init, and the warm process
    inner = 2 if sandbox.settings.isolation == "bubblewrap" else 0
    assert len(mine) == 2 and len(below) == inner * len(mine), below


# Everything a program can look at: its stack, its objects, the process file system, inherited
# descriptors.
LOOKING = """
import gc, os, sys

def f(key):
    found = []

    def looks(text):
        return key[::-1] in text

    frame = sys._getframe().f_back
    while frame:
        found += [name for name, value in frame.f_locals.items() if looks(repr(value))]
        frame = frame.f_back
    for thing in gc.get_objects():
        if type(thing) in (dict, list, tuple) and len(thing) < 1000:
            found += [str(type(thing)) for part in thing
                      if type(part) is str and looks(part) and len(part) > 4]
    for fd in (0, 1, 2, 5, 6, 7, 8):
        try:
            found += ["descriptor"] if os.read(fd, 1000) else []
        except OSError:
            pass
    for name in ("mem", "environ", "cmdline", "maps"):
        try:
            open(f"/proc/{os.getppid()}/{name}", "rb").read(1)
            found += [name] if name in ("mem", "environ") else []
        except OSError:
            pass
    return sorted(set(found))
"""


def test_a_program_finds_nothing_of_its_tests(sandbox: Sandbox) -> None:
    tests = "secret = 'only the tests know: 7c1e'\nassert f('e1c7') == []"
    outcome = sandbox.run(Job(LOOKING, tests, ("f",)))
    assert outcome.passed, outcome
    again = sandbox.run(Job(LOOKING, tests, ("f",)))  # nor of the last job's
    assert again.passed, again


def test_a_test_that_swallows_errors_does_not_pass_a_dead_program(sandbox: Sandbox) -> None:
    tests = "try:\n    f(1)\nexcept Exception:\n    pass\nassert True"
    outcome = sandbox.run(Job("import os\ndef f(x):\n    os._exit(0)", tests, ("f",)))
    assert not outcome.passed and outcome.reason == "the program ended before the tests did"


def test_tests_that_never_call_the_program_or_assert_nothing_are_no_pass(sandbox: Sandbox) -> None:
    assert (
        sandbox.run(Job("def f(x): return 1", "assert True", ("f",))).reason
        == "the tests never called the program"
    )
    assert (
        sandbox.run(Job("def f(x): return 1", "f(1)", ("f",))).reason == "the tests assert nothing"
    )


def test_the_environment_is_empty(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    tests = "assert f() <= {'HOME', 'LC_ALL', 'PWD', 'LC_CTYPE'}"
    assert sandbox.run(Job("import os\ndef f():\n    return set(os.environ)", tests, ("f",))).passed


def test_no_connection_reaches_a_listener_of_this_machine(sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        port = server.getsockname()[1]
        sandbox.run(
            Job(f"import socket\nsocket.create_connection(('127.0.0.1', {port}))", TESTS, ("f",))
        )
        with pytest.raises(TimeoutError):
            server.accept()


def test_no_file_of_the_machine_is_written(sandbox: Sandbox, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("as it was")
    attempts = f"""
import ctypes, os, pathlib
path = {str(mine)!r}
for action in (
    lambda: open(path, "w").write("gone"), lambda: open(path, "a").write("more"),
    lambda: os.unlink(path), lambda: os.rename(path, path + "2"),
    lambda: os.symlink(path, path + "3"), lambda: os.link(path, path + "4"),
    lambda: os.chmod(path, 0o777), lambda: os.truncate(path, 0), lambda: os.mkdir(path + "5"),
    lambda: os.utime(path), lambda: ctypes.CDLL(None).creat(path.encode(), 0o666),
):
    try:
        action()
    except OSError:
        pass
def f(x):
    return 0
"""
    assert not sandbox.run(Job(attempts, TESTS, ("f",))).passed
    assert [path.name for path in tmp_path.iterdir()] == [
        "mine"
    ] and mine.read_text() == "as it was"


READING = (
    "import os\ndef f(path):\n    try:\n        return open(path).read()\n"
    "    except OSError:\n        return None"
)


def test_homes_and_other_folders_cannot_be_read(strong: Sandbox, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a key")
    for path in (
        secret,
        Path.home() / ".bashrc",
        Path("/etc/passwd"),
        Path("/proc/self/environ"),
        Path("/proc/1/maps"),
    ):
        assert strong.run(Job(READING, f"assert f({str(path)!r}) is None", ("f",))).passed, path
    listing = (
        "import os\ndef f():\n"
        "    return sorted(os.listdir('/')), os.listdir('/tmp'), os.environ['HOME']"
    )
    tests = "root, scratch, home = f()\nassert not {'home', 'proc', 'work', 'var'} & set(root)\n"
    tests += "assert scratch == [] and home == '/tmp'"
    assert strong.run(Job(listing, tests, ("f",))).passed


def test_symbolic_links_lead_nowhere_and_are_gone_at_the_next_job(
    strong: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("a key")
    link = f"import os\nos.symlink({str(tmp_path / 'secret')!r}, '/tmp/link')\n" + READING
    assert strong.run(Job(link, "assert f('/tmp/link') is None", ("f",))).passed
    empty = Job("import os\ndef f():\n    return os.listdir('/tmp')", "assert f() == []", ("f",))
    assert all(outcome.passed for outcome in strong.run_many([empty] * 4))


def test_files_are_small_and_together_fit_the_scratch_space(strong: Sandbox) -> None:
    source = """
def f(size, n):
    written = 0
    try:
        for number in range(n):
            with open(f"/tmp/{number}", "wb") as file:
                written += file.write(bytes(size))
    except OSError as error:
        return written, error.strerror
    return written, None
"""
    tests = "size, why = f(2 << 20, 1)\nassert size <= 1 << 20\n"
    assert strong.run(Job(source, tests, ("f",))).passed
    tests = (
        "size, why = f(1 << 19, 9)\nassert size <= 2 << 20\nassert why == 'No space left on device'"
    )
    assert strong.run(Job(source, tests, ("f",))).passed


def test_a_sandbox_whose_warm_process_is_killed_is_replaced(sandbox: Sandbox) -> None:
    for process in list(sandbox._all):
        process.kill()
        process.wait()
    assert [outcome.passed for outcome in sandbox.run_many([RIGHT] * 4)] == [True] * 4
