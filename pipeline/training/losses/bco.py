"""Binary Classifier Optimisation: texts that are good or bad, each on its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.training.example import Example
from pipeline.training.losses.base import Running, log_sigmoid, loss_function
from pipeline.training.losses.columns import Columns

if TYPE_CHECKING:
    from torch import Tensor


def rewards(log_ratios: Tensor, columns: Columns) -> tuple[Tensor, Tensor]:
    """(n, K) beta * log-ratio, and (n, K) true where there is a text.

    The reward is 0 where there is none.
    """
    present = ~columns.values.isnan()
    return (columns.beta * log_ratios).where(present, 0.0), present


def signs(columns: Columns) -> Tensor:
    """(n, K) 1 for a text of value above a half, else -1."""
    return 2.0 * (columns.values > 0.5) - 1.0


def margin(log_ratios: Tensor, columns: Columns) -> Tensor:
    """(n,) how far, in nats, a row's texts lie on their right side of delta on average."""
    reward, present = rewards(log_ratios, columns)
    apart = (signs(columns) * (reward - columns.running)).where(present, 0.0).sum(1)
    return apart / present.sum(1) / columns.beta


def mean_reward(log_ratios: Tensor, columns: Columns) -> Tensor:
    reward, present = rewards(log_ratios, columns)
    return reward.sum(1) / present.sum(1)


# The plain mean over all steps so far, as TRL's; the paper's optimum is the mean of the classes'
# rewards. A step reads the mean before it (our choice), TRL the one that includes it.
CENTRE = Running(
    observe=mean_reward, start=lambda options: 0.0, rate=lambda step, options: 1 / step
)


def one_class(examples: Sequence[Example]) -> str | None:
    """What is wrong with texts that are all good, or all bad."""
    if len({value > 0.5 for example in examples for value in example.values}) == 1:
        return "all texts are of one class: it needs desirable and undesirable ones"
    return None


@loss_function("bco", texts=(1, 2), margin=margin, running=CENTRE, fault=one_class)
def loss(log_ratios: Tensor, columns: Columns) -> Tensor:
    """BCO (Jung et al. 2024, arXiv 2404.04656;
    formula from TRL 0.23's trainer, the paper second-hand).

    -log sigmoid(r - delta) for a desirable text and -log sigmoid(-(r - delta)) for an undesirable
    one, r being beta * log-ratio and delta the mean reward so far; a row of two texts is the sum of
    both. A text of value above a half is desirable. The weight of undesirable texts (see
    pipeline.preferences.unpaired) is the row's weight.

    Args:
        log_ratios: (n, K) in nats, K 1 or 2.
        columns: reads beta, values (n, K) and running (delta).
    """
    reward, present = rewards(log_ratios, columns)
    losses = -log_sigmoid(signs(columns) * (reward - columns.running))
    return losses.where(present, 0.0).sum(1)
