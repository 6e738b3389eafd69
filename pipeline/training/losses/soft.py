"""Cross-entropy with a soft label:
per row (online self-preferring), or one for all rows (conservative DPO).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.training.losses.base import difference, log_sigmoid, loss_function
from pipeline.training.losses.columns import Columns

if TYPE_CHECKING:
    from torch import Tensor


def cross_entropy(logits: Tensor, p: Tensor) -> Tensor:
    """(n,) -[p log sigmoid(logits) + (1 - p) log sigmoid(-logits)]:
    finite for every finite logit.
    """
    return -(p * log_sigmoid(logits) + (1 - p) * log_sigmoid(-logits))


@loss_function("soft", needs=("strength",))
def loss(log_ratios: Tensor, columns: Columns) -> Tensor:
    """The soft-preference cross-entropy of OSP:
    the label is P(chosen is better) as the judge gave it.

    Name and role are the paper's; its equation could not be read, so the formula is our reading:
    equal to DPO at strength 1, without gradient where beta * h is the strength's own log-odds. An
    end point and not a direction.

    Args:
        log_ratios: (n, 2) in nats.
        columns: reads beta and strength (n,).
    """
    return cross_entropy(columns.beta * difference(log_ratios, columns), columns.strength)


@loss_function("conservative")
def conservative(log_ratios: Tensor, columns: Columns) -> Tensor:
    """Conservative DPO (Mitchell 2023, a note on noisy labels):
    the same soft label, 1 - label_smoothing, for all rows.

    Args:
        log_ratios: (n, 2) in nats.
        columns: reads beta and the setting label_smoothing.
    """
    h = difference(log_ratios, columns)
    return cross_entropy(columns.beta * h, h.new_full(h.shape, 1 - columns.options.label_smoothing))
