"""Layers with passes of their own against what they replace:
equal values and gradients, to rounding.
"""

from pathlib import Path

import polars as pl
import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor
from torch.nn import functional as F
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from pipeline.training.attention import TreeAttention
from pipeline.training.fused import LoraLinear, RmsNorm, SwiGlu
from pipeline.training.head import FrozenHead
from pipeline.training.loading import load
from pipeline.training.logps import text_logps
from pipeline.training.policy import Policy, Precision, adapt
from pipeline.training.tokens import tokenize
from pipeline.training.tree import grow


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def test_slopes_of_the_layers_are_the_numeric_ones() -> None:
    x, w, bias, a, b = (
        drawn(5, 4),
        drawn(6, 4).detach(),
        drawn(6).detach(),
        drawn(2, 4),
        drawn(6, 2),
    )
    assert torch.autograd.gradcheck(
        lambda x, a, b: LoraLinear.apply(x, w, bias, a, b, 0.7), (x, a, b)
    )
    torch.testing.assert_close(
        LoraLinear.apply(x, w, bias, a, b, 0.7), F.linear(x, w + 0.7 * b @ a, bias)
    )
    assert torch.autograd.gradcheck(SwiGlu.apply, (drawn(5, 4), drawn(5, 4)))
    weight = drawn(4)
    assert torch.autograd.gradcheck(
        lambda x, w: RmsNorm.apply(x, w, 0.1, torch.float64), (drawn(2, 5, 4), weight)
    )
    torch.testing.assert_close(
        RmsNorm.apply(x, weight, 0.1, torch.float64), F.rms_norm(x, (4,), weight, 0.1)
    )


def test_attention_over_a_tree_is_masked_attention_and_has_the_numeric_slopes() -> None:
    sides = [((1, 2), (3, 4)), ((1, 2), (3, 5, 6)), ((1,), (7,)), ((8,), (9,))]
    tree = grow(sides, torch.device("cpu"))
    nodes = tree.ids.numel()
    q, k, v = drawn(nodes, 4, 6), drawn(nodes, 2, 6), drawn(nodes, 2, 6)
    angles = torch.rand(nodes, 3, dtype=torch.float64).repeat(1, 2)
    cos, sin = angles.cos(), angles.sin()

    def ours(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        found: Tensor = TreeAttention.apply(q, k, v, cos, sin, tree.paths, 0.6)
        return found

    assert torch.autograd.gradcheck(ours, (q, k, v))
    mask = torch.zeros(nodes, nodes, dtype=torch.bool)
    for path in tree.paths:
        trail = [node for start, stop in path.spans for node in range(start, stop)]
        for place, node in enumerate(trail):
            mask[node, trail[: place + 1]] = True
    heads = [x.transpose(0, 1)[None] for x in (q, k, v)]
    turned = apply_rotary_pos_emb(heads[0], heads[1], cos[None], sin[None])
    wanted = F.scaled_dot_product_attention(*turned, heads[2], mask, scale=0.6, enable_gqa=True)[0]
    torch.testing.assert_close(ours(q, k, v), wanted.transpose(0, 1))


def test_the_head_without_a_table_of_logits_is_cross_entropy() -> None:
    hidden, weight, targets = (
        torch.randn(300, 8, requires_grad=True),
        torch.randn(50, 8) * 9,
        torch.arange(300) % 50,
    )
    above = torch.randn(300)
    found = FrozenHead.apply(hidden, weight, targets, True)
    wanted = -F.cross_entropy(hidden @ weight.t(), targets, reduction="none")
    assert wanted.min() < -90  # e^-90 is no number of fp32
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-4)
    slopes = [torch.autograd.grad(out, hidden, above)[0] for out in (found, wanted)]
    torch.testing.assert_close(slopes[0], slopes[1], rtol=1e-4, atol=1e-4)


def policy_of(model: Path, precision: Precision, fused: bool) -> Policy:
    """A policy with an adapter that does something:
    with our passes, or with those of peft, transformers and torch.
    """
    policy = load(model, precision)
    if fused:
        adapt(policy, rank=4, alpha=8, seed=1)
    else:
        policy.trees = False
        for module in policy.causal.modules():
            module.__dict__.pop("forward", None)  # of transformers' class again
        lora = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
        policy.adapter = get_peft_model(policy.causal, lora)
    torch.manual_seed(0)
    with torch.no_grad():
        for _, parameter in sorted(policy.trainable().items()):
            parameter.copy_(torch.randn_like(parameter) * 0.1)
    return policy


@pytest.mark.parametrize(("precision", "apart"), [("fp32", 1e-5), ("bf16", 1e-2)])
def test_the_whole_policy_has_the_log_probabilities_and_gradients_of_the_plain_one(
    precision: Precision, apart: float, tiny: Path, toy: pl.DataFrame
) -> None:
    logps, gradients = [], []
    for fused in (True, False):
        policy = policy_of(tiny, precision, fused)
        found = text_logps(policy, tokenize(toy, policy.tokenizer, 128).examples)
        (found[:, 0] - found[:, 1]).sum().backward()
        logps.append(found.detach())
        gradients.append(
            torch.cat([p.grad.flatten() for _, p in sorted(policy.trainable().items())])
        )  # type: ignore[union-attr]
    assert (logps[0] - logps[1]).norm() < apart * logps[1].norm()
    assert (gradients[0] - gradients[1]).norm() < 5 * apart * gradients[1].norm()
