"""DPO without a reference model, and a pull towards the chosen text in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.training.losses import sigmoid
from pipeline.training.losses.base import loss_function, per_token
from pipeline.training.losses.columns import Columns

if TYPE_CHECKING:
    from torch import Tensor


@loss_function("cpo", reference=False)
def loss(logps: Tensor, columns: Columns) -> Tensor:
    """CPO (Xu et al. 2024, arXiv 2401.08417; formula from TRL 1.16's trainer, the paper
    second-hand): -log sigmoid(beta * d) - nll_weight * mean log pi(chosen) per token.

    d is the difference of the texts' log-probabilities. The paper prints the chosen text's whole
    log-probability; the mean per token is TRL's, over a batch, and here over each row's own tokens.

    Args:
        logps: (n, 2) log-probabilities under the policy, nats.
        columns: reads beta, tokens (n, 2) and the setting nll_weight.
    """
    preferred = sigmoid.loss(logps, columns)
    return preferred - columns.options.nll_weight * per_token(logps, columns)[:, 0]
