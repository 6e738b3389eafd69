"""A killed erasure is finished by the next one, and is not called done before."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from assets.cli.main import app
from pipeline.erasure import journal
from pipeline.live import erasure_note
from pipeline.store import Lake
from tests.erasure.planted import CANARY, GONE_ID, contents, files_with, plant_files, plant_lake

pytestmark = pytest.mark.long
ROOT = Path(__file__).parents[3]
# Runs an erasure and kills it where a function of a module would be called, or has been.
KILLED = """
import os, signal, sys
from importlib import import_module
from pathlib import Path
from pipeline.erasure.erase import erase
from pipeline.erasure.request import Request
home, prompt, place, name, when = sys.argv[1:]
module = import_module(place)
real = getattr(module, name)
def killed(*given, **named):
    if when == "after":
        real(*given, **named)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(module, name, killed)
erase(Path(home), Request("prompt", prompt))
"""
POINTS = [
    ("pipeline.erasure.erase", "_refuse_from_now_on", "after"),
    ("pipeline.erasure.erase", "take_out", "before"),
    ("pipeline.store.rewriting", "_note", "before"),
    ("pipeline.erasure.erase", "take_out", "after"),
    ("pipeline.erasure.erase", "_forget_completions", "after"),
    ("pipeline.erasure.remains", "remove", "before"),
    ("pipeline.erasure.erase", "compact", "after"),
    ("pipeline.erasure.erase", "_enter", "after"),
]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("planted") / "home"
    plant_lake(home)
    plant_files(home)
    return home


@pytest.mark.parametrize("point", POINTS, ids=lambda point: f"{point[2]}-{point[1]}")
def test_the_next_one_finishes_it(
    tmp_path: Path, planted: Path, point: tuple[str, str, str]
) -> None:
    home = shutil.copytree(planted, tmp_path / "home")
    before = contents(shutil.copytree(planted, tmp_path / "before"))
    command = [sys.executable, "-c", KILLED, str(home), GONE_ID, *point]
    child = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert child.returncode == -9
    assert journal.read(home) is not None and CANARY not in erasure_note(home).read_text()
    done = CliRunner().invoke(app, ["erase", "--yes"], env={"ORCHARD_HOME": str(home)})
    assert done.exit_code == 0 and "is finished" in done.output, done.output
    assert files_with(home) == [] and journal.read(home) is None
    after = contents(home)
    assert {key: after[key] for key in before} == before
    with Lake(home) as lake:
        assert lake.verify().sound and not lake.verify().unsummed
        (entry,) = lake.read("erasures").to_dicts()
        assert '"prompts": 2' in entry["rows"]
