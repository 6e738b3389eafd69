"""Kahneman-Tversky Optimisation: texts that are good or bad, weighed against a reference point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.training.example import Example
from pipeline.training.losses.base import loss_function
from pipeline.training.losses.bco import margin, one_class, rewards, signs
from pipeline.training.losses.columns import Columns

if TYPE_CHECKING:
    from torch import Tensor


def fault(examples: Sequence[Example]) -> str | None:
    """What is wrong with texts of one class, of one prompt, or of a curriculum."""
    if len({example.stage for example in examples}) > 1:
        return "its rows have stages, and its reference point is for a training without"
    if len({example.texts[0][0] for example in examples}) == 1 and len(examples) > 1:
        return "all texts answer one prompt: its reference point needs texts of other prompts"
    return one_class(examples)


@loss_function("kto", texts=(1, 2), margin=margin, fault=fault, mismatched=True)
def loss(log_ratios: Tensor, columns: Columns) -> Tensor:
    """KTO (Ethayarajh et al. 2024, arXiv 2402.01306, second-hand): w * (1 - sigmoid(r - z)) for a
    desirable text, w * (1 - sigmoid(z - r)) for an undesirable one, r = beta * log-ratio.

    z is beta times the KL of policy and base model, estimated without gradient from texts that
    answer another prompt, and not below 0 (see pipeline.training.mismatched). w is kto_desirable or
    kto_undesirable. A row of two texts is the sum of both; a text of value above a half is
    desirable. The row's weight counts besides.

    Args:
        log_ratios: (n, K) in nats, K 1 or 2.
        columns: reads beta, values (n, K), running (z) and the settings kto_desirable and
            kto_undesirable.
    """
    reward, present = rewards(log_ratios, columns)
    sign = signs(columns)
    weights = columns.options.kto_desirable * (sign > 0) + columns.options.kto_undesirable * (
        sign < 0
    )
    losses = weights * (-sign * (reward - columns.running)).sigmoid()
    return losses.where(present, 0.0).sum(1)
