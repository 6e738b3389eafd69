"""Fixtures of the training tests."""

import gc
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import torch

from pipeline.config import TrainingSettings
from tests.training.toy import frame, pair, save_llama


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny matrices gain nothing from a second thread: it makes them wait on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module", autouse=True)
def set_aside() -> Iterator[None]:
    """The collector, which every training calls,
    need not look through what hundreds of tests before have loaded.
    """
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("models") / "tiny", seed=0)


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("models") / "other", seed=1)


@pytest.fixture
def toy() -> pl.DataFrame:
    """Twelve pairs of different lengths, one of them with a prompt of its own on each side."""
    questions = ["is it?" + " so" * (i % 4) + str(i) for i in range(11)]
    elsewhere = [{"role": "user", "content": "another prompt altogether"}]
    rows = [pair(q, chosen="yes" + "!" * (i % 3)) for i, q in enumerate(questions)]
    return frame([*rows, pair("mine", "yes", "yes", level="prompt", rejected_messages=elsewhere)])


@pytest.fixture
def settings() -> TrainingSettings:
    return TrainingSettings(
        method="full",
        learning_rate=1e-3,
        epochs=2,
        batch_pairs=4,
        checkpoint_every=2,
        micro_tokens=256,
        max_length=128,
    )
