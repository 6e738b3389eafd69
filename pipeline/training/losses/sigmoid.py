"""Direct Preference Optimisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.training.losses.base import difference, log_sigmoid, loss_function
from pipeline.training.losses.columns import Columns

if TYPE_CHECKING:
    from torch import Tensor


@loss_function("sigmoid")
def loss(log_ratios: Tensor, columns: Columns) -> Tensor:
    """DPO, Rafailov et al. 2023 (arXiv 2305.18290), equation 7: -log sigmoid(beta * h).

    h is the log-ratio of the chosen side minus that of the rejected side.

    Args:
        log_ratios: (n, 2) in nats.
        columns: reads beta, the strength of the pull to the reference (per nat).

    Returns:
        (n,), log 2 where the policy is the reference; its slope in h is -beta * sigmoid(-beta * h).
    """
    return -log_sigmoid(columns.beta * difference(log_ratios, columns))
