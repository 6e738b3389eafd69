"""DPO that keeps the chosen text likely."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.training.losses import sigmoid
from pipeline.training.losses.base import loss_function, per_token
from pipeline.training.losses.columns import Columns

if TYPE_CHECKING:
    from torch import Tensor


@loss_function("dpo_nll")
def loss(log_ratios: Tensor, columns: Columns) -> Tensor:
    """DPO with the chosen text's negative log-likelihood (iterative RPO, Pang et al. 2024,
    arXiv 2404.19733, second-hand): -log sigmoid(beta * h) - nll_weight * mean log pi(chosen) per
    token.

    DPO alone may lower both texts' probabilities as long as the rejected one's falls faster.

    Args:
        log_ratios: (n, 2) in nats.
        columns: reads beta, reference (n, 2), tokens (n, 2) and the setting nll_weight.
    """
    logps = log_ratios[:, :2] + columns.reference[:, :2]
    chosen = per_token(logps, columns)[:, 0]
    return sigmoid.loss(log_ratios, columns) - columns.options.nll_weight * chosen
