"""A margin that a pair's log-ratios must exceed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.training.losses.base import difference, log_sigmoid, loss_function
from pipeline.training.losses.columns import Columns
from pipeline.training.losses.soft import cross_entropy

if TYPE_CHECKING:
    from torch import Tensor


def shifted(log_ratios: Tensor, columns: Columns) -> Tensor:
    """(n,) beta * h - margin_scale * margin:
    a wider margin asks for more, a negative one allows the reverse order.
    """
    return (
        columns.beta * difference(log_ratios, columns)
        - columns.options.margin_scale * columns.margin
    )


@loss_function("margin", needs=("margin",))
def loss(log_ratios: Tensor, columns: Columns) -> Tensor:
    """-log sigmoid(beta * h - margin):
    the adaptive margin of Secrets of RLHF II (arXiv 2401.06080) as a DPO loss.

    The paper prints the margin outside of the sigmoid (its equation 6), where it would have no
    gradient; its text means it inside. After a flip the margin of the sides is |mu|: the flipped
    row must carry the new sign. The paper's margins are in a reward model's logits and too wide for
    DPO: margin_scale is our addition.

    Args:
        log_ratios: (n, 2) in nats.
        columns: reads beta, margin (n,) and the setting margin_scale.
    """
    return -log_sigmoid(shifted(log_ratios, columns))


@loss_function("soft_margin", needs=("margin", "strength"))
def soft(log_ratios: Tensor, columns: Columns) -> Tensor:
    """The paper's soft label with margin:
    the row's label is its strength, 1 where nothing is doubted.

    Args:
        log_ratios: (n, 2) in nats.
        columns: reads beta, margin (n,), strength (n,) and the setting margin_scale.
    """
    return cross_entropy(shifted(log_ratios, columns), columns.strength)
