"""CONTRIBUTING.md, followed to the letter in a copy of the repository."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.shipped import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"```python\n# (new file|add to): (\S+)\n(.*?)```", re.DOTALL)
COPIED = ("pipeline", "assets", "sql")

USED = """
from pathlib import Path
from sys import argv

import pipeline
from assets.steps import GRAPH
from pipeline import config
from pipeline.config import JudgeModelSettings
from pipeline.engine.model import Model
from pipeline.engine.room import EngineRoom
from pipeline.steps import RunContext, run_step
from pipeline.store import Commit, Lake
from pipeline.verify import verify
from tests.judge.simulated import prompts, responses

assert Path(pipeline.__file__).is_relative_to(Path.cwd())  # the copy
assert verify("olleh", "hello", "backwards").correct is True
assert verify("hello", "hello", "backwards").correct is False

settings, home, texts = config.load("quick"), Path(argv[1]), {"p": ["b", "a"], "q": ["long"]}
judge = settings.judge.model_copy(update={"models": (JudgeModelSettings(kind="alphabetical"),)})
settings = settings.model_copy(update={"judge": judge})
RunContext.models = lambda self, role: [Model(home, "m@0")]
RunContext.resolve = lambda self, model: Model(home, "m@0")
with Lake(home) as lake:
    lake.write("prompts", prompts(*texts), Commit("test", fingerprint="p"))
    lake.write("responses", responses(texts), Commit("test", fingerprint="r"))
    run = RunContext(settings, lake, EngineRoom(settings, home), home, "run", GRAPH)
    run_step(GRAPH.steps["votes"], run)
    votes = lake.read("votes").sort("first_id").select("first_id", "p_first").rows()
    assert votes == [("p-0", 0.1), ("p-1", 0.9)], votes
    run_step(GRAPH.steps["prompt_lengths"], run)
    assert lake.read("prompt_lengths").rows() == [("p", 1), ("q", 4)]
    assert run_step(GRAPH.steps["prompt_lengths"], run).status == "up to date"
    assert GRAPH.before(GRAPH.steps["prompt_lengths"], settings) == ["responses"]
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the repository with what the page adds."""
    for name in COPIED:
        shutil.copytree(ROOT / name, tmp_path / name)  # compiled files too: they save seconds
    for name in ("pyproject.toml", "dagster.yaml", "workspace.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    for how, path, text in BLOCK.findall(PAGE):
        file = tmp_path / path
        assert file.is_file() == (how == "add to"), path
        with file.open("a") as opened:
            opened.write(f"\n\n{text}" if how == "add to" else text)
    return tmp_path


def touched(folder: str) -> list[str]:
    """The files of a folder that the page touches."""
    return [path for _, path, _ in BLOCK.findall(PAGE) if path.startswith(folder)]


def test_a_verifier_and_a_judge_kind_are_one_file_and_a_table_two() -> None:
    assert touched("pipeline/verify") == ["pipeline/verify/backwards.py"]
    assert touched("pipeline/judge") == ["pipeline/judge/kinds/alphabetical.py"]
    assert touched("pipeline/tables") + touched("assets") == [
        "pipeline/tables/lengths.py",
        "assets/sampling.py",
    ]
    assert len(BLOCK.findall(PAGE)) == 4


def test_what_the_page_adds_passes_the_linter_and_works(checkout: Path, tmp_path: Path) -> None:
    files = [path for _, path, _ in BLOCK.findall(PAGE)]
    ruff = str(Path(sys.executable).with_name("ruff"))
    checked = subprocess.run([ruff, "check", *files], cwd=checkout, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
    path = os.pathsep.join((str(checkout), str(ROOT)))  # the tests' helpers are the repository's
    own = {**os.environ, "PYTHONPATH": path, "ORCHARD_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-c", USED, str(tmp_path / "home")],
        cwd=checkout,
        env=own,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_the_page_names_decorators_that_exist() -> None:
    from importlib import import_module

    named = re.findall(r"\| `(pipeline\.[\w.]+)\.(\w+)` \| `(pipeline/\S+)/` \|", PAGE)
    assert len(named) == 6
    for module, function, folder in named:
        assert callable(getattr(import_module(module), function))
        assert (ROOT / folder).is_dir()
