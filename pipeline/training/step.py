"""One optimiser step: micro-batches forward and backward, then one update."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pipeline.errors import Diverged
from pipeline.training import parallel, sharding
from pipeline.training.checkpoint import Progress
from pipeline.training.data import Data
from pipeline.training.logps import text_logps
from pipeline.training.losses.columns import Columns, columns_of
from pipeline.training.mismatched import running_of
from pipeline.training.policy import Policy
from pipeline.training.tree import micro_batches

# times the first step's loss (at least 1): far beyond what any loss here reaches while it learns
EXPLOSION = 100
PARTS = 8  # numbers that the micro-batches of a step add up
Mean = float | None


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

    running = running_of(policy, data, batch, state)

    def gradients(budget: int) -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        micros = list(
            micro_batches(
                parallel.share(batch), lambda i: data.examples[i].texts, budget, policy.trees
            )
        )
        make_up = sharding.idle(policy, len(micros), data.examples[batch[0]].texts[0])
        found = sum(
            (backward(policy, data, micro, len(batch), running) for micro in micros),
            torch.zeros(PARTS),
        )
        make_up()
        return found

    totals, state.micro_tokens = sharding.retry(policy, gradients, state.micro_tokens)
    totals = parallel.add_up(totals, () if policy.sharded else policy.trainable().values())
    norm = sharding.whole(
        torch.nn.utils.clip_grad_norm_(policy.trainable().values(), data.settings.max_grad_norm)
    )
    loss, accuracy, margin, observed, *sums = totals.tolist()
    limit = EXPLOSION * max(1.0, abs(state.curve[0][1]) if state.curve else abs(loss))
    if not (totals.isfinite().all() and norm.isfinite() and abs(loss) <= limit):
        names = ", ".join(data.examples[i].row_id for i in batch)
        what = f"loss {loss}, gradient norm {norm.item()}"
        raise Diverged(
            f"training stopped at step {state.step + 1}: {what}, rows {names}: lower learning_rate"
        )
    optimizer.step()
    state.step += 1
    state.curve.append((state.step, loss, accuracy, margin, *mean_logps(*sums)))
    kept = data.loss.running
    if kept:
        rate = kept.rate(state.step, data.settings.losses)
        state.running = (1 - rate) * state.running + rate * observed


def backward(policy: Policy, data: Data, rows: Sequence[int], n: int, running: float) -> Tensor:
    """Adds the gradient of some of the n rows of a step.

    Returns:
        (PARTS,) their share of loss, accuracy, margin, and of what the loss observes; of their
        better texts the sum of mean log-probabilities per token and their number, and the same of
        the others.
    """
    examples = [data.examples[i] for i in rows]
    logps = text_logps(policy, examples)  # (k, K)
    reference = data.reference[list(rows), : logps.shape[1]].to(policy.device)
    log_ratios = logps - reference
    weights = data.weights[list(rows)].to(policy.device)  # (k,)
    columns = columns_of(examples, data.settings.beta, data.settings.losses, running, reference)
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
        *_sums_by_side(logps.detach(), columns),
    ]
    return torch.stack(parts).cpu()


def _sums_by_side(logps: Tensor, columns: Columns) -> tuple[Tensor, ...]:
    """Of the rows' best texts, and of all others that are compared: the sum of their mean
    log-probabilities per token, and how many they are.

    Of single texts those that are good are the best.
    """
    values = columns.values.to(logps)[:, : logps.shape[1]]
    each = logps / columns.tokens[:, : logps.shape[1]].clamp(min=1)
    highest = values.nan_to_num(nan=-torch.inf).amax(1, keepdim=True)
    alone = (~values.isnan()).sum(1, keepdim=True) == 1
    best = values == torch.where(alone, 1.0, highest)
    others = ~values.isnan() & ~best
    return tuple(
        total.float()
        for mask in (best, others)
        for total in (each.where(mask, 0.0).sum(), mask.sum())
    )


def mean_logps(best: float, n_best: float, others: float, n_others: float) -> tuple[Mean, Mean]:
    """Mean log-probability per token of a step's best texts and of its others, in nats;
    null where it has none.
    """
    return (best / n_best if n_best else None), (others / n_others if n_others else None)
