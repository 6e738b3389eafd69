"""How far a policy is from its base model, by texts that answer another row's prompt.

KTO's reference point (Ethayarajh et al. 2024, arXiv 2402.01306, section 4.1): the KL is estimated
from prompts with responses to other prompts, so that a text's own log-ratio does not move the point
that it is compared with.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pipeline.training import parallel, sharding
from pipeline.training.checkpoint import Progress
from pipeline.training.example import Example, Side
from pipeline.training.logps import side_logps
from pipeline.training.policy import Policy
from pipeline.training.tree import micro_batches

if TYPE_CHECKING:
    from pipeline.training.data import Data


def exchanged(examples: Sequence[Example], max_length: int) -> list[tuple[Side, ...]]:
    """Each row's contexts with texts of the row before it (by id) that answers another prompt.

    The paper shifts the texts of each batch. Here the rows of all batches are shifted, so that the
    base model's log-probabilities are computed once: our choice.
    """
    order = sorted(range(len(examples)), key=lambda i: examples[i].row_id)
    place = {row: number for number, row in enumerate(order)}
    found = []
    for row, example in enumerate(examples):
        behind = (order[(place[row] - back) % len(order)] for back in range(1, len(order)))
        context = example.texts[0][0]
        other = next((examples[i] for i in behind if examples[i].texts[0][0] != context), example)
        texts = [text for _, text in other.compared]
        found.append(
            tuple(
                _fitting(own, texts[min(k, len(texts) - 1)], max_length)
                for k, (own, _) in enumerate(example.compared)
            )
        )
    return found


def _fitting(context: tuple[int, ...], text: tuple[int, ...], max_length: int) -> Side:
    return context[-max(max_length - len(text), 1) :], text


def running_of(policy: Policy, data: "Data", rows: Sequence[int], state: Progress) -> float:
    """What `columns.running` is for some rows: KTO's reference point of today's policy,
    or the number that a loss keeps from step to step.
    """
    return reference_point(policy, data, rows, state) if data.loss.mismatched else state.running


@torch.no_grad()
def reference_point(policy: Policy, data: "Data", rows: Sequence[int], state: Progress) -> float:
    """beta * max(0, mean over the rows' mismatched texts of log pi - log pi_ref), a number.

    Several processes take a part of the rows each and agree on the sum.
    """

    def total(budget: int) -> Tensor:
        micros = list(
            micro_batches(parallel.share(rows), lambda i: data.mismatched[i], budget, policy.trees)
        )
        make_up = sharding.idle(policy, len(micros), data.mismatched[rows[0]][0])
        found = sum((_moved(policy, data, micro) for micro in micros), torch.zeros(2))
        make_up()
        return found

    found, state.micro_tokens = sharding.retry(policy, total, state.micro_tokens)
    moved, texts = parallel.add_up(found, ())
    return data.settings.beta * max(float(moved / texts), 0.0)


def _moved(policy: Policy, data: "Data", rows: Sequence[int]) -> Tensor:
    """(2,) sum of log-ratios of some rows' mismatched texts, and how many texts these are."""
    sides = [side for i in rows for side in data.mismatched[i]]
    before = torch.tensor([logp for i in rows for logp in data.mismatched_reference[i]])
    return torch.stack(
        [(side_logps(policy, sides).cpu() - before).sum(), before.new_tensor(len(sides))]
    )
