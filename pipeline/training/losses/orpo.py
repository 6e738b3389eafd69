"""Fine-tuning on the chosen text and the odds of both in one loss, without a reference model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.training.losses.base import (
    log_sigmoid,
    loss_function,
    per_token,
    per_token_difference,
)
from pipeline.training.losses.columns import Columns

if TYPE_CHECKING:
    from torch import Tensor

SUREST = -1e-6  # a mean log-probability counts as no higher, so that odds are finite: our choice


def log_odds(means: Tensor) -> Tensor:
    """log(p / (1 - p)) of p = exp(mean log-probability per token)."""
    held = means.clamp(max=SUREST)
    return held - (-held.expm1()).log()


@loss_function("orpo", margin=per_token_difference, reference=False)
def loss(logps: Tensor, columns: Columns) -> Tensor:
    """ORPO (Hong et al. 2024, arXiv 2403.07691, second-hand), equations 6 and 7:
    -mean log pi(chosen) per token - orpo_weight * log sigmoid(log odds ratio of the texts).

    A text's probability is the exponential of its mean log-probability per token. Beta is not read:
    TRL gives that name to orpo_weight. TRL's first term covers the prompt too; here it is of the
    chosen text alone, as in the paper.

    Args:
        logps: (n, 2) log-probabilities under the policy, nats.
        columns: reads tokens (n, 2) and the setting orpo_weight.
    """
    means = per_token(logps, columns)
    odds = log_odds(means)
    preferred = -log_sigmoid(odds[:, 0] - odds[:, 1])
    return columns.options.orpo_weight * preferred - means[:, 0]
