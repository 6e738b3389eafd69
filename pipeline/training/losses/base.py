"""What a loss is: a function per row, and what it has to say to the trainer.

A loss is registered where it is defined, by a decorator:

    @loss_function("hinge")
    def loss(log_ratios: Tensor, columns: Columns) -> Tensor:
        return (1 - columns.beta * difference(log_ratios, columns)).relu()

Losses are looked up by name before anything is trained, so that nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypedDict, Unpack

from pipeline.config import LossSettings
from pipeline.extensions import registering
from pipeline.registered import Registry
from pipeline.training.example import Example
from pipeline.training.losses.columns import Columns

if TYPE_CHECKING:
    from torch import Tensor

    RowLoss = Callable[[Tensor, Columns], Tensor]  # (n, K) log-ratios and columns to (n,)


def compared(example: Example) -> Example:
    """The example without its rationale: most losses read none, so that it is not computed."""
    return replace(example, texts=example.compared)


def difference(log_ratios: Tensor, _: Columns) -> Tensor:
    """(n,) the log-ratio of the first text minus that of the second, in nats."""
    return log_ratios[:, 0] - log_ratios[:, 1]


def per_token(log_ratios: Tensor, columns: Columns) -> Tensor:
    """(n, 2) of the two texts of a pair, each divided by its number of tokens."""
    return log_ratios[:, :2] / columns.tokens[:, :2]


def per_token_difference(log_ratios: Tensor, columns: Columns) -> Tensor:
    """(n,) the mean per token of the first text minus that of the second, in nats."""
    means = per_token(log_ratios, columns)
    return means[:, 0] - means[:, 1]


def log_sigmoid(values: Tensor) -> Tensor:
    """The logarithm of the logistic function, finite for every finite value."""
    from torch.nn.functional import logsigmoid

    return logsigmoid(values)


def no_fault(_: Sequence[Example]) -> None:
    """Nothing is wrong with any rows."""


@dataclass(frozen=True)
class Running:
    """One number that a loss keeps from step to step: an average of what it observes in each row.

    A step reads the number as it was before that step, so that its micro-batches do not depend on
    each other.
    """

    observe: RowLoss
    start: Callable[[LossSettings], float]
    rate: Callable[[int, LossSettings], float]  # share of the new step's mean; steps count from 1


@dataclass(frozen=True)
class Loss:
    """A loss by row, and how the trainer prepares rows for it and reports on them.

    texts: fewest and most compared texts in a row.
    arrange: the row as the loss takes it.
    margin: in nats; above 0 where the policy has moved the right way.
    needs: numbers of a row that must be known. reads: further ones, read where they are known.
    running: a number that is kept from step to step.
    reference: it compares with the base model. Where it does not, no log-probability of that model
        is computed, and in place of the log-ratios it gets the policy's log-probabilities.
    mismatched: each step, `columns.running` is beta times the estimated KL of policy and base
        model, from texts that answer another row's prompt (see pipeline.training.mismatched).
    fault: what is wrong with all rows together, in words; null: nothing.
    """

    rows: RowLoss
    texts: tuple[int, int] = (2, 2)
    arrange: Callable[[Example], Example] = compared
    margin: RowLoss = difference
    needs: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    running: Running | None = None
    fault: Callable[[Sequence[Example]], str | None] = no_fault
    reference: bool = True
    mismatched: bool = False

    @property
    def reads_one_row(self) -> bool:
        """Whether a row's loss depends on that row alone, as in a mixture it must."""
        return self.running is None and not self.mismatched

    def __call__(self, log_ratios: Tensor, columns: Columns) -> Tensor:
        return self.rows(log_ratios, columns)


LOSSES = Registry[Loss]("loss", "pipeline.training.losses")


class LossFields(TypedDict, total=False):
    """What a loss may say of itself: the fields of `Loss`."""

    texts: tuple[int, int]
    arrange: Callable[[Example], Example]
    margin: RowLoss
    needs: tuple[str, ...]
    reads: tuple[str, ...]
    running: Running | None
    fault: Callable[[Sequence[Example]], str | None]
    reference: bool
    mismatched: bool


def loss_function(name: str, **fields: Unpack[LossFields]) -> Callable[[RowLoss], RowLoss]:
    """Registers a function (log_ratios, columns) -> (n,) as a loss; see Loss for the rest.

    Raises:
        OrchardError: another loss has that name.
    """

    module = registering()

    def register(rows: RowLoss) -> RowLoss:
        LOSSES.add(name, Loss(rows, **fields), module)
        return rows

    return register
