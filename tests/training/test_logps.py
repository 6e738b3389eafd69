"""Packed log-probabilities are those of each text alone."""

from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from pipeline.training.example import Example
from pipeline.training.logps import group_logps, spread, text_logps
from pipeline.training.policy import Policy, load
from pipeline.training.rows import Group, micro_batches, pack
from tests.training.toy import example, save_tokenizer

GROUPS = [
    Group((5, 6, 7, 8, 9, 10, 11), ((20, 21, 22), (30,), (40, 41, 42, 43, 44))),
    Group((99,), ((1, 2), (3, 4, 5, 6))),
    Group((50, 51, 52), ((60, 61),)),
]


def plainly(policy: Policy, group: Group) -> list[float]:
    """One sequence at a time, with the model's own logits: the definition."""
    sums = []
    for branch in group.branches:
        ids = torch.tensor([[*group.context, *branch]])
        logps = policy.causal(ids).logits[0].double().log_softmax(-1)
        start = len(group.context)
        sums.append(sum(logps[start + i - 1, token].item() for i, token in enumerate(branch)))
    return sums


@torch.no_grad()
def test_packed_equals_one_sequence_at_a_time(tiny: Path) -> None:
    policy = load(tiny, "fp32")
    assert policy.packs
    expected = [logp for group in GROUPS for logp in plainly(policy, group)]
    assert group_logps(policy, GROUPS).tolist() == pytest.approx(expected, abs=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["qwen3", "gpt2", "gemma2", "bloom", "mamba"])
def test_other_architectures_pack_or_fall_back(kind: str, tmp_path: Path) -> None:
    small = {"vocab_size": 260, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
             "num_key_value_heads": 2, "head_dim": 8, "intermediate_size": 64, "state_size": 4}  # fmt: skip
    config = AutoConfig.for_model(kind, **small)
    config.initializer_range = 0.1
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    save_tokenizer(tmp_path)
    policy = load(tmp_path, "fp32")
    assert policy.packs is (kind in ("qwen3", "gpt2"))
    examples = [example(str(i), g.context, g.branches[0], g.branches[-1]) for i, g in enumerate(GROUPS)]
    expected = [[plainly(policy, g)[0], plainly(policy, g)[-1]] for g in GROUPS]
    torch.testing.assert_close(text_logps(policy, examples), torch.tensor(expected), rtol=0, atol=1e-4)


def test_positions_restart_after_the_context_and_branches_do_not_see_each_other() -> None:
    batch = pack([Group((7, 8), ((1, 2), (3,)))], torch.device("cpu"))
    assert batch.positions.tolist() == [[0, 1, 2, 3, 2]]
    assert batch.columns.tolist() == [1, 2, 1]
    assert batch.targets.tolist() == [1, 2, 3]
    assert batch.mask is not None
    assert batch.mask[0, 0].int().tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 1, 1, 1, 0],
        [1, 1, 0, 0, 1],
    ]  # fmt: skip


def test_micro_batches_hold_every_item_once_within_the_budget() -> None:
    lengths = [3, 50, 7, 7, 20, 1, 200]
    found = list(micro_batches(lengths, lambda n: (2, n), 100))
    assert sorted(n for micro in found for n in micro) == sorted(lengths)
    assert all(len(micro) == 1 or 2 * len(micro) * max(micro) <= 100 for micro in found)


@torch.no_grad()
@pytest.mark.parametrize("packed", [True, False])
def test_rows_of_different_width_and_contexts_are_filled_with_zeros(packed: bool, tiny: Path) -> None:
    policy = load(tiny, "fp32")
    policy.packs = packed
    many = tuple(((7, 8, 9), (20 + i,) * (1 + i % 4)) for i in range(11))  # more than one row holds
    texts = [many, (((1, 2), (3,)), ((4, 5), (6,)), ((1, 2), (7,))), (((9,), (8, 7)),)]
    found = text_logps(policy, [Example(str(i), t, (1.0,)) for i, t in enumerate(texts)])
    expected = [[plainly(policy, Group(c, (t,)))[0] for c, t in row] + [0.0] * (11 - len(row)) for row in texts]
    torch.testing.assert_close(found, torch.tensor(expected), rtol=0, atol=1e-4)


def test_values_spread_over_rows_keep_their_gradients() -> None:
    values = torch.arange(1.0, 7.0, requires_grad=True)
    table = spread(values, [2, 1, 3])
    assert table.tolist() == [[1, 2, 0], [3, 0, 0], [4, 5, 6]]
    (table * torch.tensor([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]])).sum().backward()
    assert values.grad is not None and values.grad.tolist() == [1, 2, 4, 7, 8, 9]
