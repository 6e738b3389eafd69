"""Early stopping on validation rows: when to stop, and which weights to keep.

The test split is never read.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import torch
from torch import Tensor

from pipeline.config import TrainingSettings
from pipeline.errors import OrchardError
from pipeline.training import parallel, sharding
from pipeline.training.checkpoint import Progress
from pipeline.training.data import Data, arrange
from pipeline.training.loading import load_tokenizer
from pipeline.training.logps import text_logps
from pipeline.training.losses.columns import columns_of
from pipeline.training.mismatched import running_of
from pipeline.training.policy import Policy
from pipeline.training.reference import lookup_for
from pipeline.training.tokens import tokenize
from pipeline.training.tree import micro_batches


def divide(rows: pl.DataFrame, settings: TrainingSettings) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows to learn from, and with `patience` those of the validation split, to stop on.

    Raises:
        OrchardError: a row of the test split: no training sees one, not even to stop.
    """
    tests = rows.filter(pl.col("split") == "test").height
    if tests:
        raise OrchardError(
            f"{tests} of {rows.height} training rows are of the test split: "
            "no training may see them"
        )
    held = (pl.col("split") == "validation") if settings.patience else pl.lit(False)
    return rows.filter(~held), rows.filter(held)


@dataclass(frozen=True)
class Watch:
    """What a training is watched on; without data it is not.

    Every `evaluate_every` steps and after the last one the loss on the validation rows is taken.
    Training stops when the last `patience` looks were no better than the best one before them, and
    ends with the weights of the best look, whether it stopped or not. The untrained model is no
    candidate: our choice.
    """

    data: Data | None = None

    @classmethod
    def of(
        cls, model_dir: Path, rows: pl.DataFrame, reference: pl.DataFrame, train: Data
    ) -> "Watch":
        """The watch of a training;
        none, so that it goes to its end, without patience or rows, or in a curriculum.

        Raises:
            OrchardError: rows that the loss cannot take.
        """
        if (
            train.settings.patience is None
            or len({example.stage for example in train.examples}) > 1
        ):
            return cls()
        if rows.is_empty():
            return cls()
        read = tokenize(
            rows,
            load_tokenizer(model_dir),
            train.settings.max_length,
            train.settings.too_long,
            train.settings.thoughts,
        )
        if not read.examples:
            return cls()
        try:
            examples = arrange(read.examples, train.settings.loss)
            return cls(
                Data.of(examples, lookup_for(train.loss, examples, reference), train.settings)
            )
        except OrchardError as error:
            raise OrchardError(f"validation rows of early stopping: {error}") from error

    def begun(self, policy: Policy) -> "Watch":
        """The same watch, with what its loss reads of the policy before its first step."""
        return self if self.data is None else Watch(self.data.begun(policy))

    def over(self, state: Progress) -> bool:
        """Whether the last looks were in vain."""
        if self.data is None or self.data.settings.patience is None:
            return False
        return sum(step > state.best_step for step, _ in state.looks) >= self.data.settings.patience

    def look(self, policy: Policy, state: Progress, *, last: bool) -> None:
        """Takes the loss where it is due, and the weights where they are the best so far."""
        if self.data is None or (state.step % self.data.settings.evaluate_every and not last):
            return
        loss = validation_loss(policy, self.data, state)
        if not state.looks or loss < min(found for _, found in state.looks):
            weights = policy.trainable().items()
            state.best_step = state.step
            state.best = {name: sharding.whole(p.detach()).cpu().clone() for name, p in weights}
        state.looks.append((state.step, loss))

    def keep(self, policy: Policy, state: Progress) -> int:
        """Gives the policy the best look's weights; the step that they are of."""
        if self.data is None or state.best is None:
            return state.step
        with torch.no_grad():
            for name, parameter in policy.trainable().items():
                parameter.copy_(sharding.like(state.best[name], parameter))
        return state.best_step

    def mark(self) -> list[Any]:
        """What of it decides the course of a training."""
        return (
            []
            if self.data is None
            else [e.__dict__ for e in self.data.examples] + self.data.reference.tolist()
        )


@torch.no_grad()
def validation_loss(policy: Policy, data: Data, state: Progress) -> float:
    """Mean over all rows of weight * loss.

    Several processes take a part of the rows each and agree on the sum.
    """

    every = range(len(data.examples))
    running = running_of(policy, data, every, state)

    def total(budget: int) -> Tensor:
        mine = parallel.share(every)
        micros = list(micro_batches(mine, lambda i: data.examples[i].texts, budget, policy.trees))
        make_up = sharding.idle(policy, len(micros), data.examples[0].texts[0])
        found = sum((_loss(policy, data, rows, running) for rows in micros), torch.zeros(1))
        make_up()
        return found

    found, state.micro_tokens = sharding.retry(policy, total, state.micro_tokens)
    return float(parallel.add_up(found, ()).item()) / len(data.examples)


def _loss(policy: Policy, data: Data, rows: list[int], running: float) -> Tensor:
    examples = [data.examples[i] for i in rows]
    logps = text_logps(policy, examples)  # (k, K)
    reference = data.reference[rows, : logps.shape[1]].to(policy.device)
    log_ratios = logps - reference
    columns = columns_of(examples, data.settings.beta, data.settings.losses, running, reference)
    return (
        (data.weights[rows].to(policy.device) * data.loss(log_ratios, columns))
        .sum()[None]
        .float()
        .cpu()
    )
