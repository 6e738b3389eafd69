"""Features are kept batch by batch: a run that is killed loses one batch at most."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.engine.model import Model
from pipeline.noise import features as module
from pipeline.noise.features import Ids, features

TEXTS = {f"t{i}": tuple(range(1, i + 2)) for i in range(8)}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Ids]:
    """A model whose state is a text's sum and length; the texts that it was asked for."""
    seen: list[Ids] = []

    def states(_: Any, texts: list[Ids], device: Any) -> torch.Tensor:
        seen.extend(texts)
        return torch.tensor([[float(sum(ids)), float(len(ids))] for ids in texts])

    cpu = torch.device("cpu")
    monkeypatch.setattr(module, "_load_model", lambda _: (None, cpu, False))
    monkeypatch.setattr(module, "last_states", states)
    return seen


def test_a_killed_run_goes_on_after_its_last_batch(tmp_path: Path, asked: list[Ids]) -> None:
    model = Model(tmp_path, "m@0")

    def killed(done: int, of: int) -> None:
        if done >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        features(model, TEXTS, tmp_path, micro_tokens=8, progress=killed)
    before = list(asked)
    assert 4 <= len(before) < len(TEXTS)
    asked.clear()
    found = features(model, TEXTS, tmp_path, micro_tokens=8)
    assert not set(asked) & set(before[:-1]) and len(asked) < len(TEXTS)
    expected = [[sum(TEXTS[key]), len(TEXTS[key])] for key in found.ids]
    assert np.array_equal(found.matrix, np.array(expected, dtype=np.float32))
    # one file is left, and nothing is asked again
    assert len(list(tmp_path.rglob("*.npz"))) == 1
    asked.clear()
    features(model, TEXTS, tmp_path, micro_tokens=8)
    assert not asked
