"""What a loss is: a function per row, and what it has to say to the trainer."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor

from pipeline.config import LossSettings
from pipeline.training.example import Example
from pipeline.training.losses.columns import Columns

RowLoss = Callable[[Tensor, Columns], Tensor]  # (n, K) log-ratios and columns to (n,)


def compared(example: Example) -> Example:
    """The example without its rationale: most losses do not read one, so that it need not be computed."""
    return replace(example, texts=example.compared)


def difference(log_ratios: Tensor, _: Columns) -> Tensor:
    """(n,) the log-ratio of the first text minus that of the second, in nats."""
    return log_ratios[:, 0] - log_ratios[:, 1]


@dataclass(frozen=True)
class Running:
    """One number that a loss keeps from step to step: an average of what it observes in each row.

    A step reads the number as it was before that step, so that its micro-batches do not depend on each other.
    """

    observe: RowLoss
    start: Callable[[LossSettings], float]
    rate: Callable[[int, LossSettings], float]  # share of the new step's mean; steps count from 1


@dataclass(frozen=True)
class Loss:
    """A loss by row, and how the trainer prepares rows for it and reports on them."""

    rows: RowLoss
    texts: tuple[int, int] = (2, 2)  # fewest and most compared texts in a row
    arrange: Callable[[Example], Example] = compared
    margin: RowLoss = difference  # in nats; above 0 where the policy has moved the right way
    needs: tuple[str, ...] = ()  # columns of Example that must be known in every row
    running: Running | None = None

    def __call__(self, log_ratios: Tensor, columns: Columns) -> Tensor:
        return self.rows(log_ratios, columns)
