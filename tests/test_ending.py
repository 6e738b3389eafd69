"""A run that is told to end does, wherever it is; each case below loses Python's exception."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

# what a run does when the signal comes
BODIES = {
    "takes it": "time.sleep(600)",
    "swallows it": """
while True:
    try:
        time.sleep(600)
    except BaseException:
        pass""",
    "loses the first one in a callback of the event loop": """
async def main():
    asyncio.get_running_loop().call_later(0.1, time.sleep, 600)
    await asyncio.sleep(600)
asyncio.get_event_loop_policy().new_event_loop().run_until_complete(main())""",
    "waits for a pool of threads": """
with ThreadPoolExecutor(2) as threads:
    threads.submit(time.sleep, 600)
    time.sleep(600)""",
    "is in C code": "hashlib.pbkdf2_hmac('sha512', b'', b'', 10**9)",
}
SCRIPT = """
import asyncio, hashlib, signal, subprocess, sys, time
from concurrent.futures import ThreadPoolExecutor
from pipeline import ending
ending.GENTLE_SECONDS, ending._AGAIN_SECONDS = 2.0, 0.7
class Told(BaseException):
    pass
def raised(number, frame):
    raise Told
signal.signal(signal.SIGINT, raised)
signal.signal(signal.SIGTERM, raised)
quiet = subprocess.DEVNULL
child = subprocess.Popen(["sleep", "600"], stdout=quiet, stderr=quiet)
with ending.ends_when_told(lambda: print("recorded", flush=True), ends_process=True):
    print(child.pid, flush=True)
    BODY
"""


def told(body: str, number: int) -> tuple[int, float, str, int]:
    """Exit status, seconds to the end, what was printed since, and the pid of a child process."""
    script = SCRIPT.replace("    BODY", "\n".join("    " + line for line in body.splitlines()))
    run = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert run.stdout
    child = int(run.stdout.readline())
    time.sleep(0.5)
    start = time.monotonic()
    run.send_signal(number)
    said, _ = run.communicate(timeout=25)
    return run.returncode, time.monotonic() - start, said, child


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("body", BODIES)
def test_a_signal_ends_the_run_whatever_it_does(body: str, number: int) -> None:
    status, seconds, said, child = told(BODIES[body], number)
    by_itself = body in ("takes it", "loses the first one in a callback of the event loop")
    by_force = body in ("swallows it", "is in C code")  # a pool: as its Python joins threads
    try:
        assert status == 1 and seconds < 20  # 3 s at most on an idle machine
        if by_itself or by_force:
            assert ("recorded" in said) == by_force
            # a run that ends itself closes what it opened; else its children are ended with it
            assert alive(child) == by_itself
    finally:
        if alive(child):
            os.kill(child, signal.SIGKILL)


def alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_nothing_is_watched_once_the_block_has_ended() -> None:
    from pipeline.ending import ends_when_told

    before = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(before)
    with pytest.raises(KeyboardInterrupt), ends_when_told() as ending, ends_when_told() as inner:
        assert inner is ending
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)
    assert ending.told.is_set() and ending.over.is_set()
    assert signal.set_wakeup_fd(before) == before
