"""A wheel built from the checkout runs in an environment that has no checkout."""

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import config
from pipeline.judge.templates import FOLDER
from pipeline.machine import read_lock

CHECKOUT = Path(__file__).resolve().parents[1]
AT_THE_TOP = ("dagster.yaml", "workspace.yaml", "requirements/cpu.lock", "requirements/gpu.lock")
Run = Callable[..., str]

# What a user's first commands read, from inside the environment.
LOOK = """
import json, os, sys
from pathlib import Path
from assets.cli.main import prepare
from assets.definitions import defs
from pipeline import config
from pipeline.judge.templates import FOLDER
from pipeline.machine import read_lock
prepare("every")
os.environ["ORCHARD_HOME"] = "/elsewhere"
elsewhere = config.home()
del os.environ["ORCHARD_HOME"]
print(json.dumps({
    "modules": [sys.modules[name].__file__ for name in ("assets", "pipeline")],
    "home": [str(config.home()), str(elsewhere)],
    "profiles": [config.load(name).profile for name in config.profiles()],
    "queries": sorted(file.name for file in (config.SHIPPED / "sql").iterdir()),
    "templates": sorted(file.name for file in FOLDER.iterdir()),
    "assets": [key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()],
    "locked": len(read_lock(str(config.SHIPPED / "requirements/cpu.lock")).packages),
    "workspace": (config.SHIPPED / "workspace.yaml").read_text(),
}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True, timeout=120)
    return next(folder.glob("orchard-*.whl"))


@pytest.fixture(scope="module")
def run(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs a command of a fresh environment: the wheel, and the packages that are installed here.

    The path file lends the present packages; the editable Orchard among them is a path file too,
    which Python does not read there.
    """
    folder = tmp_path_factory.mktemp("environment")
    make = [sys.executable, "-m", "venv", "--without-pip", str(folder)]
    subprocess.run(make, check=True, timeout=60)
    (site,) = folder.glob("lib/python3*/site-packages")
    (site / "present.pth").write_text(sysconfig.get_paths()["purelib"])
    install = [sys.executable, "-m", "pip", "-q", "--python", str(folder / "bin/python"), "install"]
    install += ["--no-deps", "--no-index", "--ignore-installed", str(wheel)]
    subprocess.run(install, check=True, capture_output=True, timeout=120)
    ours = [name for name in os.environ if name.startswith(("ORCHARD", "PYTHON"))]
    bare = {name: value for name, value in os.environ.items() if name not in ours}

    def run(*command: str, where: Path, **more: str) -> str:
        full = [str(folder / "bin" / command[0]), *command[1:]]
        own = {**bare, "COLUMNS": "200", **more}
        done = subprocess.run(full, cwd=where, env=own, capture_output=True, text=True, timeout=99)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_a_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    files = [
        path
        for folder in ("pipeline", "assets")
        for path in (CHECKOUT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    names = [path.relative_to(CHECKOUT).as_posix() for path in files]
    shipped = [path.relative_to(CHECKOUT).as_posix() for path in (CHECKOUT / "sql").iterdir()]
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    wanted = {*names, *(f"pipeline/files/{name}" for name in (*shipped, *AT_THE_TOP))}
    assert wanted - held == set()
    at_the_top = {name.split("/")[0] for name in held}
    assert at_the_top == {"pipeline", "assets", "orchard-0.1.0.dist-info"}


def test_commands_run_where_there_is_no_checkout(run: Run, tmp_path: Path) -> None:
    assert "tables" in run("orchard", "--help", where=tmp_path)
    assert "training_runs" in run("orchard", "tables", where=tmp_path)
    assert (tmp_path / "data").is_dir()
    assert "1" in run("orchard", "sql", "SELECT 1", where=tmp_path).split()


def test_definitions_and_shipped_files_are_found(run: Run, tmp_path: Path) -> None:
    seen = json.loads(run("python", "-c", LOOK, where=tmp_path).splitlines()[-1])
    assert all("/site-packages/" in file for file in seen.pop("modules"))
    copied = tmp_path / "data/dagster/dagster.yaml"
    assert copied.read_text() == (CHECKOUT / "dagster.yaml").read_text()
    assert {"prompts", "preferences", "leaderboard"} <= set(seen.pop("assets"))
    assert seen == {
        "home": [str(tmp_path / "data"), "/elsewhere"],
        "profiles": config.profiles(),
        "queries": sorted(file.name for file in (CHECKOUT / "sql").iterdir()),
        "templates": sorted(file.name for file in FOLDER.iterdir()),
        "locked": len(read_lock(str(CHECKOUT / "requirements/cpu.lock")).packages),
        "workspace": (CHECKOUT / "workspace.yaml").read_text(),
    }
