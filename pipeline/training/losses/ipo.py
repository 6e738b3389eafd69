"""Identity Preference Optimisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.training.losses.base import loss_function, per_token_difference
from pipeline.training.losses.columns import Columns

if TYPE_CHECKING:
    from torch import Tensor


@loss_function("ipo")
def loss(log_ratios: Tensor, columns: Columns) -> Tensor:
    """IPO (Azar et al. 2023, arXiv 2310.12036), equation 17:
    (h - 1 / (2 beta))^2, h of means per token.

    The paper's h is of sums; TRL reports that its authors confirmed the mean per token, and so it
    is here.

    Args:
        log_ratios: (n, 2) in nats.
        columns: reads beta (the paper's tau) and tokens (n, 2).
    """
    return (per_token_difference(log_ratios, columns) - 1 / (2 * columns.beta)) ** 2
