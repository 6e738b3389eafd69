"""Which pairs a step sees, and its learning rate:
functions of the seed and the step, without any state.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.config import TrainingSettings
from pipeline.ids import seed_for
from pipeline.training.example import Example

WINDOW = 4  # steps whose pairs are sorted by length together: less padding, still mixed


@dataclass(frozen=True)
class Step:
    """The rows of one optimiser step and its learning rate."""

    rows: list[int]
    rate: float
    opens: list[int]  # rows of the stage after the first that this step opens; else empty


def plan(examples: Sequence[Example], settings: TrainingSettings, seed: int) -> list[Step]:
    """All steps of a training:
    stage after stage, each with batches and learning rates as if it stood alone.
    """
    steps: list[Step] = []
    for stage in sorted({example.stage for example in examples}):
        rows = [i for i, example in enumerate(examples) if example.stage == stage]
        cut = batches([examples[i] for i in rows], settings, seed)
        for number, batch in enumerate(cut):
            rate = learning_rate(number, len(cut), settings)
            steps.append(Step([rows[i] for i in batch], rate, rows if steps and not number else []))
    return steps


def n_steps(n_pairs: int, settings: TrainingSettings) -> int:
    return settings.epochs * math.ceil(n_pairs / settings.batch_pairs)


def batches(examples: Sequence[Example], settings: TrainingSettings, seed: int) -> list[list[int]]:
    """Indices of the pairs of every step, all epochs; the same whatever the order of the rows.

    Each epoch shuffles the pairs, sorts by length inside windows of WINDOW steps, cuts into steps
    and shuffles those.
    """
    size = settings.batch_pairs
    by_id = sorted(range(len(examples)), key=lambda i: examples[i].row_id)
    steps: list[list[int]] = []
    for epoch in range(settings.epochs):
        rng = random.Random(seed_for(seed, "epoch", epoch))
        order = rng.sample(by_id, len(by_id))
        windows = [order[i : i + WINDOW * size] for i in range(0, len(order), WINDOW * size)]
        order = [i for window in windows for i in sorted(window, key=lambda i: examples[i].length)]
        cut = [order[i : i + size] for i in range(0, len(order), size)]
        steps += rng.sample(cut, len(cut))
    return steps


def learning_rate(step: int, total: int, settings: TrainingSettings) -> float:
    """Linear warm-up over the first share of the steps, then a half cosine towards 0.

    `step` counts from 0.
    """
    warm = round(settings.warmup * total)
    if step < warm:
        return settings.learning_rate * (step + 1) / warm
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / (total - warm)))
