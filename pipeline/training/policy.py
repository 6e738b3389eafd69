"""A model that gives log-probabilities and can be trained: loading, device and precision."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from pipeline.engine.model import check
from pipeline.errors import OrchardError

Precision = Literal["auto", "bf16", "fp32"]


@dataclass
class Policy:
    """A causal language model in the hub's format, its tokenizer, and how it computes.

    Weights are fp32; with `bf16`, matrix products run in bfloat16 (autocast) and all else, log-softmax too, in fp32.
    """

    causal: Any  # transformers.PreTrainedModel; after `adapt`, with LoRA layers inside
    tokenizer: Any
    device: torch.device
    bf16: bool
    trees: bool = False  # takes texts as one tree (see `tree`); False: each row holds one text
    adapter: Any = None  # peft.PeftModel around `causal`, where there is one

    @contextmanager
    def computing(self) -> Iterator[None]:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            yield

    def trainable(self) -> dict[str, nn.Parameter]:
        return {name: p for name, p in self.causal.named_parameters() if p.requires_grad}


def has_bf16(device: torch.device) -> bool:
    """True where bfloat16 products are done in hardware; elsewhere they are slower than fp32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def load_tokenizer(model_dir: Path) -> Any:
    """The tokenizer of a model folder.

    Raises:
        OrchardError: the folder lacks configuration, weights or tokenizer, or they cannot be read.
    """
    from transformers import AutoTokenizer

    check(model_dir)
    try:
        return AutoTokenizer.from_pretrained(str(model_dir), local_files_only=True)
    except Exception as error:  # the reader of a broken file may raise anything
        raise _unreadable(model_dir, "tokenizer", error) from error


def load(model_dir: Path, precision: Precision = "auto") -> Policy:
    """A model folder as a policy, on the GPU where there is one, without dropout and without gradients.

    Raises:
        OrchardError: the folder lacks configuration, weights or tokenizer, or they cannot be read.
    """
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    from pipeline.training.fused import fuse_layers
    from pipeline.training.logps import takes_trees

    logging.disable_progress_bar()  # ours is the only bar

    tokenizer = load_tokenizer(model_dir)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        causal = AutoModelForCausalLM.from_pretrained(str(model_dir), dtype=torch.float32, local_files_only=True)
    except Exception as error:
        raise _unreadable(model_dir, "weights", error) from error
    causal.to(device).eval().requires_grad_(False)
    causal.config.use_cache = False
    _no_dropout(causal)
    policy = Policy(causal, tokenizer, device, bf16=False)
    policy.trees = takes_trees(policy)  # compared in fp32
    fuse_layers(causal)
    policy.bf16 = precision == "bf16" or (precision == "auto" and has_bf16(device))
    return policy


def free_full(policy: Policy) -> None:
    """Makes every weight trainable."""
    policy.causal.requires_grad_(True)


def adapt(policy: Policy, rank: int, alpha: int, seed: int) -> None:
    """Adds LoRA layers (Hu et al. 2022: W + alpha / rank * B A) to every linear layer but the head; only they train."""
    from peft import LoraConfig, get_peft_model

    from pipeline.training.fused import fuse_adapter

    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules="all-linear", lora_dropout=0.0, task_type="CAUSAL_LM")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        policy.adapter = get_peft_model(policy.causal, config)
    halve_frozen(policy)
    fuse_adapter(policy.causal)


def checkpointing(policy: Policy) -> None:
    """Recomputes activations in the backward pass: less memory, about a third more time."""
    policy.causal.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    policy.causal.train()  # transformers checkpoints in this mode only; there is no dropout to wake


def halve_frozen(policy: Policy) -> None:
    """Holds the frozen linear weights in bfloat16, to which autocast would round them at every step: equal results."""
    if not policy.bf16:
        return
    embedding = policy.causal.get_input_embeddings().weight  # may be tied to the head
    for module in policy.causal.modules():
        if isinstance(module, nn.Linear) and not module.weight.requires_grad and module.weight is not embedding:
            module.to(torch.bfloat16)


def _no_dropout(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(getattr(module, "attention_dropout", None), float):
            setattr(module, "attention_dropout", 0.0)  # noqa: B010, mypy takes a module's attributes for tensors


def _unreadable(model_dir: Path, what: str, error: Exception) -> OrchardError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return OrchardError(f"model folder {model_dir}: {what} cannot be read: {reason}")
