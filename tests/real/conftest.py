"""The real engine with the real small model, loaded once for each module that asks for it."""

from collections.abc import Iterator

import pytest

from pipeline.config import EngineSettings, ModelSettings
from pipeline.engine.model import Model
from pipeline.engine.resident import Resident
from pipeline.engine.vllm import VllmEngine

SETTINGS = ModelSettings(max_model_len=1024)


@pytest.fixture(scope="module")
def engine(model: Model) -> Iterator[VllmEngine]:
    """A process holds one vLLM at a time, so that a module's engine ends with the module."""
    resident = Resident(EngineSettings(kv_cache_gib=1), SETTINGS)
    yield VllmEngine(model, resident, SETTINGS)
    resident.drop()
