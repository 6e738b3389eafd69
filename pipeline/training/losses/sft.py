"""Supervised fine-tuning: learn the better text, whatever the worse one is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline.training.example import Example
from pipeline.training.losses.base import loss_function
from pipeline.training.losses.columns import Columns

if TYPE_CHECKING:
    from torch import Tensor


def first(example: Example) -> Example:
    """The example with its best text alone: nothing of the others is computed."""
    return replace(example, texts=example.texts[:1], values=example.values[:1])


def gained(log_ratios: Tensor, columns: Columns) -> Tensor:
    """(n,) how much likelier the text is, in nats, than under the base model."""
    return log_ratios[:, 0]


@loss_function("sft", texts=(1, 1), arrange=first, margin=gained)
def loss(log_ratios: Tensor, columns: Columns) -> Tensor:
    """The cross-entropy per token of the first text, less that of the base model.

    What is taken off is a constant, so that the gradient is that of the cross-entropy itself;
    CodeFavor trains its judges so, on the assistant's turn only. The mean over
    each row's own tokens is our choice.

    Args:
        log_ratios: (n, 1) in nats.
        columns: reads tokens (n, 1).
    """
    return -log_ratios[:, 0] / columns.tokens[:, 0]
