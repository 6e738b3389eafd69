"""One optimiser step: micro-batches forward and backward, then one update."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pipeline.errors import Diverged
from pipeline.training import parallel, sharding
from pipeline.training.checkpoint import Progress
from pipeline.training.data import Data
from pipeline.training.logps import text_logps
from pipeline.training.losses.columns import columns_of
from pipeline.training.policy import Policy
from pipeline.training.tree import micro_batches

# times the first step's loss (at least 1): far beyond what any loss here reaches while it learns
EXPLOSION = 100


def run_step(
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    data: Data,
    batch: Sequence[int],
    state: Progress,
) -> None:
    """Updates the policy once on the rows of `batch`, and the state with it:
    step, curve, what fits, what is kept.

    Raises:
        OrchardError: loss or gradient are not finite or explode (Diverged), or one row does not fit
            into memory; the policy and the state are as they were before the step.
    """

    def gradients(budget: int) -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        micros = list(
            micro_batches(
                parallel.share(batch), lambda i: data.examples[i].texts, budget, policy.trees
            )
        )
        make_up = sharding.idle(policy, len(micros), data.examples[batch[0]].texts[0])
        found = sum(
            (backward(policy, data, micro, len(batch), state.running) for micro in micros),
            torch.zeros(4),
        )
        make_up()
        return found

    totals, state.micro_tokens = sharding.retry(policy, gradients, state.micro_tokens)
    totals = parallel.add_up(totals, () if policy.sharded else policy.trainable().values())
    norm = sharding.whole(
        torch.nn.utils.clip_grad_norm_(policy.trainable().values(), data.settings.max_grad_norm)
    )
    loss, accuracy, margin, observed = totals.tolist()
    limit = EXPLOSION * max(1.0, abs(state.curve[0][1]) if state.curve else abs(loss))
    if not (totals.isfinite().all() and norm.isfinite() and abs(loss) <= limit):
        names = ", ".join(data.examples[i].row_id for i in batch)
        what = f"loss {loss}, gradient norm {norm.item()}"
        raise Diverged(
            f"training stopped at step {state.step + 1}: {what}, rows {names}: lower learning_rate"
        )
    optimizer.step()
    state.step += 1
    state.curve.append((state.step, loss, accuracy, margin))
    running = data.loss.running
    if running:
        rate = running.rate(state.step, data.settings.losses)
        state.running = (1 - rate) * state.running + rate * observed


def backward(policy: Policy, data: Data, rows: Sequence[int], n: int, running: float) -> Tensor:
    """Adds the gradient of some of the n rows of a step.

    Returns:
        (4,) their share of loss, accuracy, margin, and of what the loss observes.
    """
    examples = [data.examples[i] for i in rows]
    logps = text_logps(policy, examples)  # (k, K)
    log_ratios = logps - data.reference[list(rows), : logps.shape[1]].to(policy.device)
    weights = data.weights[list(rows)].to(policy.device)  # (k,)
    columns = columns_of(examples, data.settings.beta, data.settings.losses, running, policy.device)
    loss = (weights * data.loss(log_ratios, columns)).sum() / n
    loss.backward()
    ratios = log_ratios.detach()
    margin = data.loss.margin(ratios, columns)  # (k,)
    observed = (
        data.loss.running.observe(ratios, columns).sum()
        if data.loss.running
        else torch.zeros_like(loss)
    )
    parts = [
        loss.detach(),
        (margin > 0).float().sum() / n,
        data.settings.beta * margin.sum() / n,
        observed / n,
    ]
    return torch.stack(parts).cpu()
