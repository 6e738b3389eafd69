"""Direct Preference Optimisation."""

from torch import Tensor
from torch.nn import functional as F

from pipeline.training.losses.base import difference
from pipeline.training.losses.columns import Columns


def loss(log_ratios: Tensor, columns: Columns) -> Tensor:
    """DPO, Rafailov et al. 2023 (arXiv 2305.18290), equation 7: -log sigmoid(beta * h).

    h is the log-ratio of the chosen side minus that of the rejected side.

    Args:
        log_ratios: (n, 2) in nats.
        columns: reads beta, the strength of the pull to the reference (per nat).

    Returns:
        (n,), log 2 where the policy is the reference; its slope in h is -beta * sigmoid(-beta * h).
    """
    return -F.logsigmoid(columns.beta * difference(log_ratios, columns))
