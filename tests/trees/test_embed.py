"""Step vectors against the model's own hidden states."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from pipeline.trees.embed import embedder
from tests.training.toy import save_llama

TURNS = [{"role": "user", "content": "3 + 4"}]


def test_a_steps_vector_is_the_sum_of_the_hidden_states_of_its_tokens(tmp_path: Path) -> None:
    folder = save_llama(tmp_path, seed=0)
    paths = [["one\n", "two and more"], ["three\n"]]
    (first, n), (second, m) = embedder(folder, 512)(TURNS, paths)  # type: ignore[arg-type]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    context = tokenizer.apply_chat_template(TURNS, add_generation_prompt=True, tokenize=False)
    ids = tokenizer.encode(context + "one\ntwo and more", add_special_tokens=False)
    causal = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        hidden = causal(torch.tensor([ids]), output_hidden_states=True).hidden_states[-1][0]
    # One token a byte: the last 16 are the two steps, 4 and 12 tokens.
    assert first[0] == pytest.approx(hidden[-16:-12].sum(0).numpy(), abs=1e-4)
    assert first[1] == pytest.approx(hidden[-12:].sum(0).numpy(), abs=1e-4)
    assert second.shape == (1, 32) and first.shape == (2, 32)
    assert (n.tolist(), m.tolist()) == ([4, 12], [6])


def test_tokens_beyond_the_limit_are_left_out(tmp_path: Path) -> None:
    folder = save_llama(tmp_path, seed=0)
    ((vectors, tokens),) = embedder(folder, 60)(TURNS, [["a" * 100, "b"]])  # type: ignore[arg-type]
    assert 0 < tokens[0] < 60 and tokens[1] == 0
    assert abs(vectors[0]).sum() > 0 and abs(vectors[1]).sum() == 0
