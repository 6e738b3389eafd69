"""What a training did."""

import math
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipeline.training import memory
from pipeline.training.checkpoint import CurvePoint, Progress
from pipeline.training.example import Example
from pipeline.training.tokens import Examples


@dataclass(frozen=True)
class TrainResult:
    """What a training did; `path` holds the policy."""

    n_pairs: int  # rows in each epoch: pairs, lists or single texts
    n_steps: int
    n_tokens: int  # of all texts, without contexts, all steps done
    loss_first: float  # mean over the first tenth of the steps
    loss_last: float  # mean over the last tenth
    accuracy_last: float  # share of rows with a positive margin over the last tenth
    curve: list[CurvePoint]
    length_ratio: float  # mean tokens of a row's best texts over those of its others
    seconds: float
    truncated: int  # rows whose context lost tokens on the left
    rejects: pl.DataFrame
    path: Path
    peak_bytes: int
    # whose weights the policy has: the last, or with `patience` the best on validation rows
    kept_step: int
    looks: list[tuple[int, float]]  # with `patience`: step, loss on validation rows


def result_of(
    read: Examples, seen: list[Example], state: Progress, kept_step: int, out: Path
) -> TrainResult:
    curve = state.curve
    tenth = math.ceil(len(curve) / 10)
    return TrainResult(
        n_pairs=len(read.examples),
        n_steps=len(curve),
        n_tokens=sum(len(text) for e in seen for _, text in e.texts),
        loss_first=sum(point[1] for point in curve[:tenth]) / tenth,
        loss_last=sum(point[1] for point in curve[-tenth:]) / tenth,
        accuracy_last=sum(point[2] for point in curve[-tenth:]) / tenth,
        curve=curve,
        length_ratio=_length_ratio(read.examples),
        seconds=state.seconds,
        truncated=read.truncated,
        rejects=read.rejects,
        path=out,
        peak_bytes=memory.peak_bytes(),
        kept_step=kept_step,
        looks=state.looks,
    )


def _length_ratio(examples: list[Example]) -> float:
    sides = [
        (value, max(e.values) if len(e.values) > 1 else 1.0, len(text))
        for e in examples
        for value, (_, text) in zip(e.values, e.compared, strict=True)
    ]
    best = [tokens for value, high, tokens in sides if value == high]
    worst = [tokens for value, high, tokens in sides if value != high]
    return (sum(best) / len(best)) / (sum(worst) / len(worst))
