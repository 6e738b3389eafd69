"""What a training learns from, ready for its steps."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pipeline.config import TrainingSettings
from pipeline.errors import OrchardError
from pipeline.training import losses
from pipeline.training.example import Example, Side
from pipeline.training.losses import Loss
from pipeline.training.mismatched import exchanged
from pipeline.training.policy import Policy
from pipeline.training.reference import all_logps


@dataclass(frozen=True)
class Data:
    """All n rows of a training."""

    examples: Sequence[Example]
    reference: Tensor  # (n, K) log-probabilities of the compared texts, nats; 0 elsewhere
    weights: Tensor  # (n,) of mean 1
    loss: Loss
    settings: TrainingSettings
    # of a loss that reads them: texts of each row that answer another row's prompt, and their
    # log-probabilities under the base model, nats
    mismatched: Sequence[tuple[Side, ...]] = ()
    mismatched_reference: Sequence[tuple[float, ...]] = ()

    @classmethod
    def of(
        cls, examples: Sequence[Example], reference: Tensor, settings: TrainingSettings
    ) -> "Data":
        """Raises OrchardError where no weight is above 0."""
        weights = torch.tensor([example.weight for example in examples], dtype=torch.float32)
        if weights.sum() <= 0:
            raise OrchardError("no pairs to train on: all weights are 0")
        loss = losses.get(settings.loss)
        other = exchanged(examples, settings.max_length) if loss.mismatched else ()
        return cls(examples, reference, weights / weights.mean(), loss, settings, other)

    def begun(self, policy: Policy) -> "Data":
        """The same data with what a loss reads of the policy before its first step."""
        if not self.mismatched:
            return self
        sides = [side for texts in self.mismatched for side in texts]
        logps = iter(all_logps(policy, sides, self.settings.micro_tokens))
        known = [tuple(next(logps) for _ in texts) for texts in self.mismatched]
        return replace(self, mismatched_reference=known)

    def with_reference(self, rows: Sequence[int], reference: Tensor) -> "Data":
        """The same data with another reference (m, K) for some rows."""
        table = self.reference.clone()
        table[list(rows), : reference.shape[1]] = reference
        return replace(self, reference=table)


def arrange(examples: Sequence[Example], loss: str) -> list[Example]:
    """The examples as a loss takes them.

    Raises:
        OrchardError: the loss cannot take rows of that many texts, or a column that it needs is
            unknown.
    """
    chosen = losses.get(loss)
    low, high = chosen.texts
    arranged = [chosen.arrange(example) for example in examples]
    for example in arranged:
        if not low <= len(example.values) <= high:
            found = f"row {example.row_id} has {len(example.values)}"
            raise OrchardError(
                f"loss {loss} compares {low} to {high} texts per row, {found}: "
                "use another training.loss"
            )
    for column in chosen.needs:
        without = [example.row_id for example in arranged if getattr(example, column) is None]
        if without:
            found = f"unknown in {len(without)} of {len(arranged)} rows, the first {without[0]}"
            raise OrchardError(
                f"loss {loss} needs the column {column}, {found}: use another training.loss"
            )
    if fault := chosen.fault(arranged):
        raise OrchardError(f"loss {loss}: {fault}")
    return arranged
