"""The state of an unfinished training, on disk: written whole or not at all."""

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from pipeline import durable
from pipeline.training import parallel, sharding
from pipeline.training.policy import Policy

# step from 1, loss, accuracy, reward margin; mean log-probability per token of the better texts and
# of the others, null where the step has none
CurvePoint = tuple[int, float, float, float, float | None, float | None]


@dataclass
class Progress:
    """What training needs to go on, besides weights and optimiser.

    All else follows from seed and step.
    """

    step: int = 0  # steps done
    micro_tokens: int = 0
    seconds: float = 0.0  # spent before this start
    curve: list[CurvePoint] = field(default_factory=list)
    running: float = 0.0  # what the loss keeps from step to step
    # of the stage that is being trained, where it is not the first
    reference: torch.Tensor | None = None
    # at the validation rows: step, loss
    looks: list[tuple[int, float]] = field(default_factory=list)
    best_step: int = 0
    best: dict[str, torch.Tensor] | None = None  # trainable weights at that step


def path_for(out: Path) -> Path:
    return out.with_name(f"{out.name}.ckpt")


def save(
    path: Path,
    fingerprint: str,
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
) -> None:
    """Called by all processes.

    The first writes: their states are equal, or parts of one that are put together.
    """
    state = {
        "fingerprint": fingerprint,
        "weights": {name: sharding.whole(p.detach()) for name, p in policy.trainable().items()},
        "optimizer": sharding.optimizer_state(optimizer),
        "progress": progress.__dict__,
    }
    if parallel.rank():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        torch.save(state, draft)
        durable.put(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def restore(
    path: Path, fingerprint: str, policy: Policy, optimizer: torch.optim.Optimizer
) -> Progress | None:
    """Sets weights and optimiser to a checkpoint of this very training;
    None where there is none that fits.
    """
    state = _read(path, policy.device)
    if state is None or state["fingerprint"] != fingerprint:
        return None
    with torch.no_grad():
        for name, parameter in policy.trainable().items():
            parameter.copy_(sharding.like(state["weights"][name], parameter))
    sharding.set_optimizer_state(optimizer, state["optimizer"])
    return Progress(**state["progress"])


def _read(path: Path, device: torch.device) -> dict[str, Any] | None:
    # a file that is no checkpoint is as good as none: start from step 0
    with contextlib.suppress(Exception):
        state = torch.load(path, map_location=device, weights_only=True)
        if isinstance(state, dict) and {"fingerprint", "weights", "optimizer", "progress"} <= set(
            state
        ):
            return state
    return None
