"""The folder of an engine's sockets ends with its process, however that ended."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pipeline.engine import scratch

CHILD = """
import os, signal, sys
from pipeline.engine import scratch
made = scratch.folder()
assert scratch.folder() == made
(made / "socket").touch()
if sys.argv[1] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def child(end: str) -> None:
    subprocess.run([sys.executable, "-c", CHILD, end], check=end == "ended")


def test_a_process_that_ends_leaves_nothing(tmp_path: Path) -> None:
    child("ended")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_goes_at_the_next_start(tmp_path: Path) -> None:
    child("killed")
    (left,) = tmp_path.iterdir()
    mine = scratch.folder()
    assert list(tmp_path.iterdir()) == [mine] and str(os.getpid()) in mine.name
    assert left.name != mine.name


def test_a_living_process_keeps_its_own(tmp_path: Path) -> None:
    mine = scratch.folder()
    child("ended")
    assert mine.is_dir()
