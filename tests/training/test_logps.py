"""Log-probabilities from a tree of tokens are those of each text alone."""

from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from pipeline.training.example import Example, Side
from pipeline.training.loading import load
from pipeline.training.logps import side_logps, spread, text_logps
from pipeline.training.policy import Policy
from tests.training.toy import save_tokenizer

SHOTS = (5, 6, 7, 8, 9, 10, 11)
SIDES: list[Side] = [
    (SHOTS, (20, 21, 22)),
    (SHOTS, (30,)),
    ((99,), (3, 4, 5, 6)),
    ((*SHOTS, 50), (20, 21, 40, 41)),
    ((*SHOTS, 50), (20, 21, 40, 41, 42)),  # the text before it and more
    ((*SHOTS, 50, 20), (21, 40, 41)),  # the same tokens, a longer context
    (SHOTS, (20, 21, 22)),  # the same once more
    ((99,), (3, 4, 7)),
]


def plainly(policy: Policy, side: Side) -> float:
    """One sequence at a time, with the model's own logits: the definition."""
    context, text = side
    logps = policy.causal(torch.tensor([[*context, *text]])).logits[0].double().log_softmax(-1)
    return sum(logps[len(context) + i - 1, token].item() for i, token in enumerate(text))


@torch.no_grad()
@pytest.mark.parametrize("trees", [True, False])
def test_all_sides_at_once_equal_one_sequence_at_a_time(trees: bool, tiny: Path) -> None:
    policy = load(tiny, "fp32")
    assert policy.trees
    policy.trees = trees
    expected = [plainly(policy, side) for side in SIDES]
    assert side_logps(policy, SIDES).tolist() == pytest.approx(expected, abs=1e-4)


def test_gradients_through_the_tree_are_those_of_rows(tiny: Path) -> None:
    found = []
    for trees in (True, False):
        policy = load(tiny, "fp32")
        policy.trees = trees
        policy.causal.requires_grad_(True)
        (side_logps(policy, SIDES) * torch.arange(1.0, 1 + len(SIDES))).sum().backward()
        found.append(
            torch.cat([p.grad.flatten() for p in policy.causal.parameters() if p.grad is not None])
        )
    assert found[1].norm() > 1
    torch.testing.assert_close(
        found[0], found[1], rtol=1e-4, atol=1e-4 * found[1].abs().max().item()
    )


@torch.no_grad()
@pytest.mark.parametrize("kind", ["qwen3", "gpt2", "gemma", "gemma2", "bloom", "mamba"])
def test_other_architectures_take_trees_or_rows(kind: str, tmp_path: Path) -> None:
    small = {"vocab_size": 260, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
             "num_key_value_heads": 2, "head_dim": 8, "intermediate_size": 64,
             "state_size": 4}  # fmt: skip
    config = AutoConfig.for_model(kind, **small)
    config.initializer_range = 0.1
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    save_tokenizer(tmp_path)
    policy = load(tmp_path, "fp32")
    assert policy.trees is (kind in ("qwen3", "gemma"))
    expected = [plainly(policy, side) for side in SIDES]
    assert side_logps(policy, SIDES).tolist() == pytest.approx(expected, abs=1e-4)


@torch.no_grad()
def test_rows_with_fewer_texts_are_filled_with_zeros(tiny: Path) -> None:
    policy = load(tiny, "fp32")
    many = tuple(((7, 8, 9), (20 + i,) * (1 + i % 4)) for i in range(11))
    texts = [many, (((1, 2), (3,)), ((4, 5), (6,)), ((1, 2), (7,))), (((9,), (8, 7)),)]
    found = text_logps(policy, [Example(str(i), t, (1.0,)) for i, t in enumerate(texts)])
    expected = [[plainly(policy, side) for side in row] + [0.0] * (11 - len(row)) for row in texts]
    torch.testing.assert_close(found, torch.tensor(expected), rtol=0, atol=1e-4)


def test_values_spread_over_rows_keep_their_gradients() -> None:
    values = torch.arange(1.0, 7.0, requires_grad=True)
    table = spread(values, [2, 1, 3])
    assert table.tolist() == [[1, 2, 0], [3, 0, 0], [4, 5, 6]]
    (table * torch.tensor([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]])).sum().backward()
    assert values.grad is not None and values.grad.tolist() == [1, 2, 4, 7, 8, 9]
