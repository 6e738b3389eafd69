"""Several losses in one training: each row is learned with the loss that it names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pipeline.training.example import Example
from pipeline.training.losses.base import LOSSES, Loss, loss_function
from pipeline.training.losses.columns import Columns

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.training.losses.base import RowLoss


def own(example: Example) -> Example:
    """The example as its own loss takes it."""
    return example if example.loss is None else LOSSES.find(example.loss).arrange(example)


def unlearnable(examples: Sequence[Example]) -> str | None:
    """What is wrong with rows whose own losses cannot take them."""
    for name in dict.fromkeys(example.loss for example in examples):
        if name is None:
            return "a row names no loss of its own: it is for mixtures of variants"
        chosen, rows = LOSSES.find(name), [one for one in examples if one.loss == name]
        if not chosen.reads_one_row:
            return f"{name} reads more than its own row, which a mixture does not give"
        low, high = chosen.texts
        for row in rows:
            if not low <= len(row.values) <= high:
                return f"{name} compares {low} to {high} texts, row {row.row_id} has others"
            lacks = [column for column in chosen.needs if getattr(row, column) is None]
            if lacks:
                return f"{name} needs the column {lacks[0]}, unknown in row {row.row_id}"
        if fault := chosen.fault(rows):
            return f"{name}: {fault}"
    return None


def each(log_ratios: Tensor, columns: Columns, of: Callable[[Loss], RowLoss]) -> Tensor:
    """(n,) what each row's own loss makes of it, from as many texts as rows of that loss have."""
    found = log_ratios.new_zeros(len(log_ratios))
    for name in dict.fromkeys(columns.losses):
        rows = [i for i, other in enumerate(columns.losses) if other == name]
        part = columns.of_rows(rows)
        loss, inputs = LOSSES.find(str(name)), log_ratios[rows, : part.tokens.shape[1]]
        if not loss.reference:
            inputs = inputs + part.reference  # the policy's log-probabilities again
        value = of(loss)(inputs, part)
        found = found.index_put((log_ratios.new_tensor(rows).long(),), value.to(found.dtype))
    return found


def margin(log_ratios: Tensor, columns: Columns) -> Tensor:
    """(n,) each row's margin under its own loss, in nats."""
    return each(log_ratios, columns, lambda loss: loss.margin)


@loss_function("mixed", texts=(1, 4), arrange=own, margin=margin, fault=unlearnable)
def loss(log_ratios: Tensor, columns: Columns) -> Tensor:
    """The loss that each row names, for mixtures of variants: our choice.

    The loss of a step is the mean over its rows, so that with equally many rows of two losses it is
    half of the sum of their means: MAPL's joint objective, with equal weights.

    Args:
        log_ratios: (n, K) in nats, as the rows' losses take them.
        columns: reads losses (n names), and what these losses read.
    """
    return each(log_ratios, columns, lambda own: own.rows)
