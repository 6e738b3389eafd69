"""What a loss may read besides the log-ratios."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline.config import LossSettings
from pipeline.training.example import Example

if TYPE_CHECKING:
    from torch import Tensor

NAN = float("nan")


@dataclass(frozen=True)
class Columns:
    """Columns of n rows of up to K texts.

    Unknown is NaN, so that a loss that reads what is not there fails at once.
    """

    beta: float
    strength: Tensor  # (n,) P(the first text is better)
    margin: Tensor  # (n,) difference of the sides' values
    noise_score: Tensor  # (n,) P(the label is wrong)
    values: Tensor  # (n, K) of the compared texts, higher is better; NaN: no text, or a rationale
    rewards: Tensor  # (n, K) adaptive step rewards
    tokens: Tensor  # (n, K) tokens of each text; 0: no text
    options: LossSettings
    # (n, K) log-probabilities under the base model; 0 where the loss compares with none
    reference: Tensor
    # (n, K) place of the item that a text is a step of, -1: no text; null: each text is an item
    items: Tensor | None = None
    running: float = 0.0  # what the loss keeps from step to step, before this step
    losses: tuple[str | None, ...] = ()  # n names, in a mixture

    def of_rows(self, rows: Sequence[int]) -> Columns:
        """The columns of some rows, with as many texts as these have."""
        known = {
            name: getattr(self, name)[list(rows)]
            for name in (
                "strength",
                "margin",
                "noise_score",
                "values",
                "rewards",
                "tokens",
                "reference",
            )
        }
        width = int((known["tokens"] > 0).sum(1).max())
        for name in ("values", "rewards", "tokens", "reference"):
            known[name] = known[name][:, :width]
        return replace(self, **known, losses=tuple(self.losses[i] for i in rows))


def columns_of(
    examples: Sequence[Example],
    beta: float,
    options: LossSettings,
    running: float,
    reference: Tensor,
) -> Columns:
    """What a loss may read of some rows, as tensors where the reference (n, K) is."""
    import torch

    device = reference.device

    def column(values: Sequence[float | None]) -> Tensor:
        return torch.tensor([NAN if v is None else v for v in values], device=device)

    def table(rows: Sequence[Sequence[float | None]], empty: float) -> Tensor:
        width = max(len(example.texts) for example in examples)
        filled = [
            [NAN if v is None else v for v in row] + [empty] * (width - len(row)) for row in rows
        ]
        return torch.tensor(filled, device=device, dtype=torch.float32)

    items = [[*(e.items or range(len(e.values)))] for e in examples]
    steps = any(e.items for e in examples)
    return Columns(
        items=table(items, -1.0).long() if steps else None,
        beta=beta,
        strength=column([e.strength for e in examples]),
        margin=column([e.margin for e in examples]),
        noise_score=column([e.noise_score for e in examples]),
        values=table([e.values for e in examples], NAN),
        rewards=table([e.rewards for e in examples], NAN),
        tokens=table([[len(text) for _, text in e.texts] for e in examples], 0.0),
        options=options,
        reference=reference,
        running=running,
        losses=tuple(e.loss for e in examples),
    )
