"""The hinge loss of SLiC on DPO's log-ratios."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.training.losses.base import difference, loss_function
from pipeline.training.losses.columns import Columns

if TYPE_CHECKING:
    from torch import Tensor


@loss_function("hinge")
def loss(log_ratios: Tensor, columns: Columns) -> Tensor:
    """max(0, 1 - beta * h): SLiC (Zhao et al. 2023, arXiv 2305.10425)
    as used by Liu et al. 2023 (arXiv 2309.06657).

    Args:
        log_ratios: (n, 2) in nats.
        columns: reads beta.
    """
    return (1 - columns.beta * difference(log_ratios, columns)).relu()
