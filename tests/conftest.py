"""What several tests share: one small model on disk, and one finished run of the whole graph."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from pipeline import config
from pipeline.engine.model import Model, resolve

# Files whose tests share one finished run of the whole graph: one process makes it once.
FINISHED = ("test_export", "test_run", "test_ui")
# Generated cases are judged by their verdicts: a busy machine takes its time.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

TINY = Path(__file__).parent / "real" / "tiny.yaml"
ORCHARD = Path(sys.executable).with_name("orchard")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of the real engine come first, so that two processes end at about the same time."""
    items.sort(key=lambda item: "real" not in item.path.parts)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """For `pytest -n 2`: the tests of a file stay in one process, for what they share."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::")[0]
            return "finished" if Path(file).stem in FINISHED else file

    return ByFile(config, log)


@dataclass(frozen=True)
class Home:
    """A data folder, and the command line that works on it."""

    path: Path

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "ORCHARD_HOME": str(self.path),
            "ORCHARD_PROFILE": str(TINY),
            "COLUMNS": "200",
        }

    def orchard(self, *arguments: str, timeout: float = 560) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(ORCHARD), *arguments],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(ORCHARD), *arguments],
            env=self.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder's models/, unpacked once for all tests."""
    home = tmp_path_factory.mktemp("models-home")
    resolve(config.ModelSettings(), home)
    return home / "models"


@pytest.fixture(scope="session")
def model(models: Path) -> Model:
    """The default model."""
    return resolve(config.ModelSettings(), models.parent)


@pytest.fixture(scope="session")
def new_home(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Home]:
    """Makes data folders that hold the model and nothing else."""

    def make() -> Home:
        path = tmp_path_factory.mktemp("home")
        (path / "models").symlink_to(models)
        return Home(path)

    return make


@pytest.fixture(scope="session")
def finished(new_home: Callable[[], Home]) -> Iterator[Home]:
    """A data folder after one whole run with the tiny profile."""
    home = new_home()
    done = home.orchard("run", "--profile", str(TINY))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (home.path / "first.log").write_text(done.stdout)
    yield home
