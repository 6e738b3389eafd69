"""Preferences with an estimate of how reliable the labels are, made while training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.training.losses.base import Running, difference, loss_function
from pipeline.training.losses.columns import Columns
from pipeline.training.losses.soft import cross_entropy

if TYPE_CHECKING:
    from torch import Tensor


SURE = 1e-3  # votes are never surer than this, so that the policy can be: our choice


def right(log_ratios: Tensor, columns: Columns) -> Tensor:
    """(n,) P(the label is right) under the policy and the reliability of who labelled the row
    (E-step); a constant to the gradient.

    With o the odds that the row's votes are for a right label, w = p o / (p o + 1 - p). One label
    by one annotator has o = eta / (1 - eta), the paper's formula.
    """
    import torch

    logits = (columns.beta * difference(log_ratios, columns)).detach()
    eta = torch.full_like(logits, columns.running)
    voted = 1 - columns.noise_score.to(logits).clamp(SURE, 1 - SURE)
    return (logits + torch.where(voted.isnan(), eta, voted).logit()).sigmoid()


RELIABILITY = Running(
    observe=right,
    start=lambda options: options.reliability,
    rate=lambda step, options: options.reliability_rate,
)


@loss_function("lcpo", reads=("noise_score",), running=RELIABILITY)
def loss(log_ratios: Tensor, columns: Columns) -> Tensor:
    """LCPO, later RE-PO (arXiv 2509.24159), with DPO inside:
    -[w log p + (1 - w) log(1 - p)], p = sigmoid(beta * h).

    w is the probability that the row's label is right. Where voters said how far the label can be
    trusted, their reliabilities have already been estimated (`voters`): 1 - noise_score holds the
    odds of all who voted on the row, the label's source among them. For other rows there is one
    reliability eta, which follows the mean of w (M-step, mini-batch form), since a row does not
    name who labelled it.

    Args:
        log_ratios: (n, 2) in nats.
        columns: reads beta, noise_score (n,; NaN: nobody voted), running (eta), and the settings
            reliability (0.9, paper) and reliability_rate (0.1, paper).
    """
    return cross_entropy(columns.beta * difference(log_ratios, columns), right(log_ratios, columns))
