"""LoRA: the adapter starts as nothing, only it trains, and the merged model is the adapted one."""

from pathlib import Path

import polars as pl
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from pipeline.config import TrainingSettings
from pipeline.training.loading import load
from pipeline.training.logps import text_logps
from pipeline.training.loop import train
from pipeline.training.policy import adapt
from pipeline.training.reference import reference_logps
from pipeline.training.save import merged
from pipeline.training.tokens import tokenize

IDS = torch.tensor([[5, 6, 7, 8, 9, 10]])


def stir(policy_weights: dict[str, torch.nn.Parameter]) -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in policy_weights.values():
            parameter.add_(torch.randn_like(parameter) * 0.1)


@torch.no_grad()
def test_a_new_adapter_changes_nothing_and_its_seed_decides_it(tiny: Path) -> None:
    policy = load(tiny, "fp32")
    before = policy.causal(IDS).logits
    adapt(policy, rank=4, alpha=8, seed=1)
    assert torch.equal(policy.causal(IDS).logits, before)
    again = load(tiny, "fp32")
    adapt(again, rank=4, alpha=8, seed=1)
    assert all(torch.equal(p, again.trainable()[name]) for name, p in policy.trainable().items())


def test_only_the_adapter_trains_and_the_head_has_none(tiny: Path) -> None:
    policy = load(tiny, "fp32")
    adapt(policy, rank=4, alpha=8, seed=1)
    names = policy.trainable()
    assert len(names) == 2 * 7 * 2  # A and B, seven linear layers, two blocks
    assert all("lora_" in name and "lm_head" not in name for name in names)


@torch.no_grad()
def test_frozen_weights_held_in_bfloat16_give_equal_results(tiny: Path, toy: pl.DataFrame) -> None:
    plain, halved = load(tiny, "bf16"), load(tiny, "bf16")
    adapt(halved, rank=4, alpha=8, seed=1)
    layer = halved.causal.model.layers[0].mlp.up_proj
    assert (
        layer.base_layer.weight.dtype == torch.bfloat16
        and layer.lora_A["default"].weight.dtype == torch.float32
    )
    examples = tokenize(toy, plain.tokenizer, 128).examples
    assert torch.equal(text_logps(plain, examples), text_logps(halved, examples))


@torch.no_grad()
def test_the_merged_model_has_the_adapted_models_logits(tiny: Path) -> None:
    policy = load(tiny, "fp32")
    adapt(policy, rank=4, alpha=8, seed=1)
    before = policy.causal(IDS).logits
    stir(policy.trainable())
    adapted = policy.causal(IDS).logits
    assert not torch.allclose(adapted, before, atol=1e-2)
    torch.testing.assert_close(merged(policy)(IDS).logits, adapted, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_adapter_and_merged_folder_are_one_policy(
    tiny: Path, toy: pl.DataFrame, settings: TrainingSettings, tmp_path: Path
) -> None:
    lora = TrainingSettings(**{**settings.model_dump(), "method": "lora", "learning_rate": 3e-2})
    reference = reference_logps(tiny, toy, lora, policy_id="tiny")
    with torch.enable_grad():
        out = train(tiny, toy, reference, lora, seed=0, out=tmp_path / "out").path
    base = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)
    start = base(IDS).logits
    adapted = PeftModel.from_pretrained(base, out / "adapter")(IDS).logits
    whole = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32)(IDS).logits
    moved = (adapted - start).abs().max()
    assert moved > 0.2
    assert (whole - adapted).abs().max() < 0.2 * moved  # what rounding to bfloat16 costs
