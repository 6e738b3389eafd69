"""A trained policy as a folder in the hub's format, as vLLM loads it."""

import os
import shutil
from pathlib import Path
from typing import Any

import torch

from pipeline import durable
from pipeline.training.policy import Policy

ADAPTER = "adapter"


def save(policy: Policy, out: Path) -> None:
    """Writes model (bfloat16) and tokenizer to `out`, for LoRA also `out/adapter`;
    whole or not at all, and on the disk before this returns.

    Ends the policy's life: its LoRA layers are merged and its weights rounded.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(f"{out.name}.{os.getpid()}.tmp")
    old = out.with_name(f"{out.name}.{os.getpid()}.old")
    try:
        if policy.adapter is not None:
            policy.adapter.save_pretrained(draft / ADAPTER, save_embedding_layers=False)
        merged(policy, torch.bfloat16).save_pretrained(draft)
        policy.tokenizer.save_pretrained(draft)
        if out.exists():
            out.rename(old)
        durable.put(draft, out)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@torch.no_grad()
def merged(policy: Policy, dtype: torch.dtype = torch.float32) -> Any:
    """The policy as a plain model:
    LoRA layers added to the weights, in fp32 so that only the sum is rounded.

    Layer by layer, so that the whole model is never held in fp32.
    """
    from peft.tuners.lora import LoraLayer

    if policy.adapter is not None:
        for module in policy.causal.modules():
            if isinstance(module, LoraLayer):
                module.float().merge()
                module.to(dtype)
        policy.causal, policy.adapter = policy.adapter.unload(), None
    return policy.causal.to(dtype)
