"""Preferences with an estimate of how reliable the labels are, made while training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.training.losses.base import Running, difference, loss_function
from pipeline.training.losses.columns import Columns
from pipeline.training.losses.soft import cross_entropy

if TYPE_CHECKING:
    from torch import Tensor


def right(log_ratios: Tensor, columns: Columns) -> Tensor:
    """(n,) P(the label is right) under the policy and the reliability so far (E-step);
    a constant to the gradient.
    """
    p = (columns.beta * difference(log_ratios, columns).detach()).sigmoid()
    eta = columns.running
    return p * eta / (p * eta + (1 - p) * (1 - eta))


RELIABILITY = Running(
    observe=right,
    start=lambda options: options.reliability,
    rate=lambda step, options: options.reliability_rate,
)


@loss_function("lcpo", running=RELIABILITY)
def loss(log_ratios: Tensor, columns: Columns) -> Tensor:
    """LCPO, later RE-PO (arXiv 2509.24159), with DPO inside:
    -[w log p + (1 - w) log(1 - p)], p = sigmoid(beta * h).

    w is the probability that the row's label is right; the labels' reliability eta follows the mean
    of w (M-step, mini-batch form). One reliability for all rows, since a row does not name who
    labelled it.

    Args:
        log_ratios: (n, 2) in nats.
        columns: reads beta, running (eta), and the settings reliability (0.9, paper) and
            reliability_rate (0.1, paper).
    """
    return cross_entropy(columns.beta * difference(log_ratios, columns), right(log_ratios, columns))
