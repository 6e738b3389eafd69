"""Provably robust DPO: a loss whose mean over random flips is the loss on clean labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.training.losses.base import difference, log_sigmoid, loss_function
from pipeline.training.losses.columns import Columns

if TYPE_CHECKING:
    from torch import Tensor


def flip_rate(columns: Columns) -> Tensor:
    """(n,) the row's noise score, trusted in part (flip_trust) and never above flip_bound;
    unknown: 0, plain DPO.

    Both guards are ours. The loss has no lower bound, and a rate above the true one lets margins
    run away: lower flip_trust where the rate is a guess. The rate of `voted_rdpo` is an estimate
    (calibrated in simulation). For a rate per group, give the rows of the group its mean as their
    noise score.
    """
    estimate = columns.noise_score.nan_to_num(nan=0.0)
    return (columns.options.flip_trust * estimate).clamp(max=columns.options.flip_bound)


@loss_function("rdpo", reads=("noise_score",))
def loss(log_ratios: Tensor, columns: Columns) -> Tensor:
    """rDPO (Chowdhury et al. 2024, arXiv 2403.00409), with a rate e per row:

    [(1 - e) * -log sigmoid(beta * h) - e * -log sigmoid(-beta * h)] / (1 - 2 e).

    Args:
        log_ratios: (n, 2) in nats.
        columns: reads beta, noise_score (n,) and the settings flip_trust and flip_bound.
    """
    logits, e = columns.beta * difference(log_ratios, columns), flip_rate(columns)
    return ((e - 1) * log_sigmoid(logits) + e * log_sigmoid(-logits)) / (1 - 2 * e)
