"""Features are kept batch by batch: a run that is killed loses one batch at most."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine.model import Model
from pipeline.noise import features as module
from pipeline.noise.features import Ids, features, prefixes
from tests.training.toy import save_llama

TEXTS = {f"t{i}": (i, *range(1, i + 2)) for i in range(8)}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Ids]:
    """A model whose state is a text's sum and length; the texts that it was asked for."""
    seen: list[Ids] = []

    def states(_: Any, texts: list[Ids], ends: list[list[int]], device: Any) -> torch.Tensor:
        seen.extend(texts)
        cut = [ids[:end] for ids, own in zip(texts, ends, strict=True) for end in own]
        return torch.tensor([[float(sum(ids)), float(len(ids))] for ids in cut])

    cpu = torch.device("cpu")
    monkeypatch.setattr(module, "_load_model", lambda _: (None, cpu, False))
    monkeypatch.setattr(module, "states_at", states)
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


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=5).map(tuple), max_size=12))
def test_every_text_is_read_once_as_itself_or_as_the_beginning_of_another(texts: list[Ids]) -> None:
    named = {f"t{number}": ids for number, ids in enumerate(texts)}
    found = prefixes(named)
    assert sorted(key for keys in found.values() for key in keys) == sorted(named)
    for longest, keys in found.items():
        assert all(longest[: len(named[key])] == named[key] for key in keys)
        assert not any(other != longest and other[: len(longest)] == longest for other in texts)


def test_the_states_of_steps_are_those_of_each_text_alone(tmp_path: Path) -> None:
    model = Model(save_llama(tmp_path / "model", seed=0), "toy@1")
    path = tuple(range(40, 70))
    steps = {f"{end}": path[:end] for end in (30, 11, 20, 3)} | {"other": (1, 2, 3)}
    found = features(model, steps, tmp_path / "together", micro_tokens=40)
    for key in found.ids:
        alone = features(model, {key: steps[key]}, tmp_path / key)
        own = found.matrix[found.rows([key])]
        assert np.allclose(own, alone.matrix, atol=0.03)  # bfloat16, where the processor has it
