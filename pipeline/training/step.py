"""One optimiser step: micro-batches forward and backward, then one update."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.config import TrainingSettings
from pipeline.errors import OrchardError
from pipeline.training import memory
from pipeline.training.checkpoint import CurvePoint
from pipeline.training.logps import pair_logps
from pipeline.training.losses import Loss
from pipeline.training.losses.columns import columns_of
from pipeline.training.policy import Policy
from pipeline.training.rows import micro_batches, pair_shape
from pipeline.training.tokens import Example


@dataclass(frozen=True)
class Data:
    """All pairs of a training, their reference log-probabilities (n, 2), weights of mean 1 (n,), and the loss."""

    examples: Sequence[Example]
    reference: Tensor
    weights: Tensor
    loss: Loss

    @classmethod
    def of(cls, examples: Sequence[Example], reference: Tensor, loss: Loss) -> "Data":
        weights = torch.tensor([example.weight for example in examples], dtype=torch.float32)
        if weights.sum() <= 0:
            raise OrchardError("no pairs to train on: all weights are 0")
        return cls(examples, reference, weights / weights.mean(), loss)


def run_step(
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    data: Data,
    batch: Sequence[int],
    step: int,
    settings: TrainingSettings,
    micro_tokens: int,
) -> tuple[CurvePoint, int]:
    """Updates the policy once on the pairs of `batch`; returns the curve's point and the micro_tokens that fitted."""

    def gradients(budget: int) -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        micros = micro_batches(batch, lambda i: pair_shape(data.examples[i], policy.packs), budget)
        return sum((backward(policy, data, micro, len(batch), settings.beta) for micro in micros), torch.zeros(3))

    totals, micro_tokens = memory.retry(gradients, micro_tokens)
    norm = torch.nn.utils.clip_grad_norm_(policy.trainable().values(), settings.max_grad_norm)
    if not (totals.isfinite().all() and norm.isfinite()):
        names = ", ".join(data.examples[i].pair_id for i in batch)
        what = f"loss {totals[0].item()}, gradient norm {norm.item()}"
        raise OrchardError(f"training stopped at step {step}: {what}, pairs {names}: lower learning_rate")
    optimizer.step()
    loss, accuracy, margin = totals.tolist()
    return (step, loss, accuracy, margin), micro_tokens


def backward(policy: Policy, data: Data, pairs: Sequence[int], n: int, beta: float) -> Tensor:
    """Adds the gradient of some of the n pairs of a step; returns their (3,) share of loss, accuracy and margin."""
    examples = [data.examples[i] for i in pairs]
    log_ratios = pair_logps(policy, examples) - data.reference[list(pairs)].to(policy.device)  # (k, 2)
    weights = data.weights[list(pairs)].to(policy.device)  # (k,)
    loss = (weights * data.loss(log_ratios, columns_of(examples, beta, policy.device))).sum() / n
    loss.backward()
    h = (log_ratios[:, 0] - log_ratios[:, 1]).detach()  # (k,)
    return torch.stack([loss.detach(), (h > 0).float().sum() / n, beta * h.sum() / n]).cpu()
