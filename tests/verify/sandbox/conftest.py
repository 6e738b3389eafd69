"""One sandbox of each isolation for all tests, with small limits."""

from collections.abc import Iterator

import pytest

from pipeline.config import SandboxSettings
from pipeline.errors import OrchardError
from pipeline.verify.sandbox import Sandbox

LIMITS = {
    "cpu_seconds": 1,
    "idle_seconds": 2.0,
    "wall_seconds": 60,
    "files": 100,
    "memory_mib": 192,
    "file_mib": 1,
    "scratch_mib": 2,
    "output_kib": 64,
}


def opened(isolation: str) -> Sandbox:
    """The sandbox, or a skip that says why this machine has none."""
    try:
        return Sandbox(SandboxSettings(isolation=isolation, workers=2, **LIMITS))  # type: ignore[arg-type]
    except OrchardError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session", params=["bubblewrap", "limits"])
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """Each isolation in turn."""
    box = opened(request.param)
    yield box
    box.close()


@pytest.fixture(scope="session")
def strong() -> Iterator[Sandbox]:
    """Namespaces of its own; skipped where there are none."""
    box = opened("bubblewrap")
    yield box
    box.close()
