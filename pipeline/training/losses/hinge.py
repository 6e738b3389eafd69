"""The hinge loss of SLiC on DPO's log-ratios."""

import torch
from torch import Tensor

from pipeline.training.losses.base import difference
from pipeline.training.losses.columns import Columns


def loss(log_ratios: Tensor, columns: Columns) -> Tensor:
    """max(0, 1 - beta * h): SLiC (Zhao et al. 2023, arXiv 2305.10425) as used by Liu et al. 2023 (arXiv 2309.06657).

    Args:
        log_ratios: (n, 2) in nats.
        columns: reads beta.
    """
    return torch.relu(1 - columns.beta * difference(log_ratios, columns))
