"""A model that gives log-probabilities and can be trained:
which of its weights learn, and how it computes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from pipeline.freed import trim

Precision = Literal["auto", "bf16", "fp32"]


@dataclass
class Policy:
    """A causal language model in the hub's format, its tokenizer, and how it computes.

    Weights are fp32; with `bf16`, matrix products run in bfloat16 (autocast) and all else,
    log-softmax too, in fp32.
    """

    causal: Any  # transformers.PreTrainedModel; after `adapt`, with LoRA layers inside
    tokenizer: Any
    device: torch.device
    bf16: bool
    trees: bool = False  # takes texts as one tree (see `tree`); False: each row holds one text
    sharded: bool = False  # weights spread over several processes (see `sharding`)
    adapter: Any = None  # peft.PeftModel around `causal`, where there is one

    @contextmanager
    def computing(self) -> Iterator[None]:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            yield

    def trainable(self) -> dict[str, nn.Parameter]:
        return {name: p for name, p in self.causal.named_parameters() if p.requires_grad}


def free_full(policy: Policy) -> None:
    """Makes every weight trainable."""
    policy.causal.requires_grad_(True)


def adapt(policy: Policy, rank: int, alpha: int, seed: int) -> None:
    """Adds LoRA layers (Hu et al. 2022: W + alpha / rank * B A) to every linear layer but the head;
    only they train.
    """
    from peft import LoraConfig, get_peft_model

    from pipeline.training.fused import fuse_adapter

    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        target_modules="all-linear",
        lora_dropout=0.0,
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        policy.adapter = get_peft_model(policy.causal, config)
    halve_frozen(policy)
    fuse_adapter(policy.causal)


def checkpointing(policy: Policy) -> None:
    """Recomputes activations in the backward pass: less memory, about a third more time."""
    policy.causal.gradient_checkpointing_enable(
        gradient_checkpointing_kwargs={"use_reentrant": False}
    )
    policy.causal.train()  # transformers checkpoints in this mode only; there is no dropout to wake


def halve_frozen(policy: Policy) -> None:
    """Holds the frozen linear weights in bfloat16,
    to which autocast would round them at every step: equal results.
    """
    if not policy.bf16:
        return
    embedding = policy.causal.get_input_embeddings().weight  # may be tied to the head
    for module in policy.causal.modules():
        if (
            isinstance(module, nn.Linear)
            and not module.weight.requires_grad
            and module.weight is not embedding
        ):
            module.to(torch.bfloat16)
    trim()
