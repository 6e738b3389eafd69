"""Preferences by the mean log-probability per token, without a reference model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.training.losses.base import log_sigmoid, loss_function, per_token_difference
from pipeline.training.losses.columns import Columns

if TYPE_CHECKING:
    from torch import Tensor


@loss_function("simpo", margin=per_token_difference, reference=False)
def loss(logps: Tensor, columns: Columns) -> Tensor:
    """SimPO (Meng et al. 2024, arXiv 2405.14734, second-hand), equation 6:
    -log sigmoid(beta * d - gamma), d the difference of the texts' mean log-probability per token.

    Means are a few nats at most, so that beta is 2 to 2.5 in the paper: DPO's 0.1 hardly teaches.

    Args:
        logps: (n, 2) log-probabilities under the policy, nats.
        columns: reads beta, tokens (n, 2) and the setting simpo_gamma.
    """
    shifted = columns.beta * per_token_difference(logps, columns) - columns.options.simpo_gamma
    return -log_sigmoid(shifted)
