"""Binary Classifier Optimisation: texts that are good or bad, each on its own."""

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.training.losses.base import Running
from pipeline.training.losses.columns import Columns


def rewards(log_ratios: Tensor, columns: Columns) -> tuple[Tensor, Tensor]:
    """(n, K) beta * log-ratio, and (n, K) true where there is a text; the reward is 0 where there is none."""
    present = ~columns.values.isnan()
    return torch.where(present, columns.beta * log_ratios, 0.0), present


def loss(log_ratios: Tensor, columns: Columns) -> Tensor:
    """BCO (Jung et al. 2024, arXiv 2404.04656; formula from TRL 0.23's trainer, the paper second-hand).

    -log sigmoid(r - delta) for a desirable text and -log sigmoid(-(r - delta)) for an undesirable one, r being
    beta * log-ratio and delta the mean reward so far; a row of two texts is the sum of both. A text of value above a
    half is desirable. The weight of undesirable texts (see pipeline.preferences.unpaired) is the row's weight.

    Args:
        log_ratios: (n, K) in nats, K 1 or 2.
        columns: reads beta, values (n, K) and running (delta).
    """
    reward, present = rewards(log_ratios, columns)
    signs = torch.where(columns.values > 0.5, 1.0, -1.0)
    return torch.where(present, -F.logsigmoid(signs * (reward - columns.running)), 0.0).sum(1)


def margin(log_ratios: Tensor, columns: Columns) -> Tensor:
    """(n,) how far, in nats, a row's texts lie on their right side of delta on average."""
    reward, present = rewards(log_ratios, columns)
    signs = torch.where(columns.values > 0.5, 1.0, -1.0)
    apart = torch.where(present, signs * (reward - columns.running), 0.0).sum(1)
    return apart / present.sum(1) / columns.beta


def mean_reward(log_ratios: Tensor, columns: Columns) -> Tensor:
    reward, present = rewards(log_ratios, columns)
    return reward.sum(1) / present.sum(1)


# The plain mean over all steps so far, as TRL's; the paper's optimum is the mean of the classes' rewards. A step reads
# the mean before it (our choice), TRL the one that includes it.
CENTRE = Running(observe=mean_reward, start=lambda options: 0.0, rate=lambda step, options: 1 / step)
