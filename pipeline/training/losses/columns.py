"""What a loss may read besides the log-ratios."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.training.tokens import Example


@dataclass(frozen=True)
class Columns:
    """Columns of n pairs; unknown is NaN, so that a loss that reads what is not there fails at once."""

    beta: float
    strength: Tensor  # (n,) P(chosen is better)
    margin: Tensor  # (n,) difference of the sides' values


def columns_of(examples: Sequence[Example], beta: float, device: torch.device) -> Columns:
    def column(values: list[float | None]) -> Tensor:
        return torch.tensor([float("nan") if v is None else v for v in values], device=device)

    return Columns(beta, column([e.strength for e in examples]), column([e.margin for e in examples]))
