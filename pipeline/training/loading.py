"""From a model folder to a policy: device, precision, and what the layers can be taught."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from pipeline.engine.model import check
from pipeline.errors import OrchardError
from pipeline.training.fused import fuse_layers
from pipeline.training.logps import takes_trees
from pipeline.training.policy import Policy, Precision


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
        return AutoTokenizer.from_pretrained(
            str(model_dir), local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # the reader of a broken file may raise anything
        raise _unreadable(model_dir, "tokenizer", error) from error


def best_device() -> torch.device:
    """The GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load(
    model_dir: Path, precision: Precision = "auto", device: torch.device | None = None
) -> Policy:
    """A model folder as a policy, on a device or the best one,
    without dropout and without gradients.

    Its precision is that of the best device, wherever it is.

    Raises:
        OrchardError: the folder lacks configuration, weights or tokenizer, or they cannot be read.
    """
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()  # ours is the only bar

    tokenizer = load_tokenizer(model_dir)
    device = device or best_device()
    try:
        causal = AutoModelForCausalLM.from_pretrained(
            str(model_dir), dtype=torch.float32, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:
        raise _unreadable(model_dir, "weights", error) from error
    causal.to(device).eval().requires_grad_(False)
    causal.config.use_cache = False
    _no_dropout(causal)
    policy = Policy(causal, tokenizer, device, bf16=False)
    policy.trees = takes_trees(policy)  # compared in fp32
    fuse_layers(causal)
    policy.bf16 = precision == "bf16" or (precision == "auto" and has_bf16(best_device()))
    return policy


def _no_dropout(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(getattr(module, "attention_dropout", None), float):
            setattr(module, "attention_dropout", 0.0)  # noqa: B010, mypy takes a module's attributes for tensors


def _unreadable(model_dir: Path, what: str, error: Exception) -> OrchardError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return OrchardError(f"model folder {model_dir}: {what} cannot be read: {reason}")
