"""The training loop: from pairs and reference log-probabilities to a policy on disk."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl
import torch

from pipeline.config import TrainingSettings
from pipeline.engine.model import fingerprint as model_fingerprint
from pipeline.errors import OrchardError
from pipeline.ids import content_id, seed_for
from pipeline.training import checkpoint, losses, memory, save, schedule
from pipeline.training.checkpoint import CurvePoint, Progress
from pipeline.training.policy import Policy, Precision, adapt, checkpointing, free_full, load, load_tokenizer
from pipeline.training.reference import lookup
from pipeline.training.step import Data, run_step
from pipeline.training.tokens import Example, Examples, tokenize

Report = Callable[[int, int, dict[str, float]], None]


@dataclass(frozen=True)
class TrainResult:
    """What a training did; `path` holds the policy."""

    n_pairs: int  # in each epoch
    n_steps: int
    n_tokens: int  # of chosen and rejected texts, all epochs
    loss_first: float  # mean over the first tenth of the steps
    loss_last: float  # mean over the last tenth
    accuracy_last: float  # share of pairs with a positive margin over the last tenth
    curve: list[CurvePoint]  # (step, loss, accuracy, reward margin)
    length_ratio: float  # tokens of chosen over tokens of rejected texts
    seconds: float
    truncated: int  # pairs whose context lost tokens on the left
    rejects: pl.DataFrame
    path: Path
    peak_bytes: int


def train(
    model_dir: Path,
    pairs: pl.DataFrame,
    reference: pl.DataFrame,
    settings: TrainingSettings,
    *,
    seed: int,
    out: Path,
    progress: Report | None = None,
    precision: Precision = "auto",
) -> TrainResult:
    """Trains the model of a folder on pairs and saves the policy to `out`.

    Stopped anywhere and started again with the same arguments, it goes on from its last checkpoint and ends with the
    same weights. The loss of a step is the mean over its pairs of weight * loss, weights scaled to mean 1 over all
    pairs: a weight of 2 counts as the pair twice.

    Args:
        pairs: rows of `preferences`.
        reference: rows of `reference_logps` for the texts of these pairs and one model.
        progress: called after each step with steps done, steps in all, and loss, accuracy, margin, learning_rate.

    Raises:
        OrchardError: no pairs, an unknown loss, a folder that is no model, a text without reference, a loss that is
            not finite (the last checkpoint stays), or not enough memory for one pair.
    """
    started = time.monotonic()
    read = _examples(model_dir, pairs, settings)
    data = Data.of(read.examples, lookup(read.examples, reference), losses.get(settings.loss))
    policy = _policy(model_dir, settings, seed, precision)
    optimizer = _optimizer(policy, settings)
    mark = _fingerprint(model_dir, data, settings, seed, policy)
    state = checkpoint.restore(checkpoint.path_for(out), mark, policy, optimizer)
    state = state or Progress(micro_tokens=settings.micro_tokens)
    before = state.seconds
    steps = schedule.batches(read.examples, settings, seed)
    for step in range(state.step, len(steps)):
        rate = schedule.learning_rate(step, len(steps), settings)
        for group in optimizer.param_groups:
            group["lr"] = rate
        point, fitted = run_step(policy, optimizer, data, steps[step], step + 1, settings, state.micro_tokens)
        state.curve.append(point)
        state.step, state.micro_tokens, state.seconds = step + 1, fitted, before + time.monotonic() - started
        if state.step % settings.checkpoint_every == 0 and state.step < len(steps):
            checkpoint.save(checkpoint.path_for(out), mark, policy, optimizer, state)
        if progress:
            _, loss, accuracy, margin = point
            report = {"loss": loss, "accuracy": accuracy, "margin": margin, "learning_rate": rate}
            progress(state.step, len(steps), report)
    save.save(policy, out)
    checkpoint.path_for(out).unlink(missing_ok=True)
    return _result(read, settings, state.curve, before + time.monotonic() - started, out)


def _examples(model_dir: Path, pairs: pl.DataFrame, settings: TrainingSettings) -> Examples:
    if pairs.is_empty():
        raise OrchardError("no pairs to train on: the variant is empty")
    read = tokenize(pairs, load_tokenizer(model_dir), settings.max_length)
    if not read.examples:
        reason = read.rejects["reason"][0]
        raise OrchardError(f"no pairs to train on: all {len(pairs)} were dropped, the first because {reason}")
    return read


def _policy(model_dir: Path, settings: TrainingSettings, seed: int, precision: Precision) -> Policy:
    policy = load(model_dir, precision)
    if settings.method == "lora":
        adapt(policy, settings.lora_rank, settings.lora_alpha, seed_for(seed, "lora"))
    else:
        free_full(policy)
    if settings.gradient_checkpointing:
        checkpointing(policy)
    return policy


def _optimizer(policy: Policy, settings: TrainingSettings) -> torch.optim.Optimizer:
    parameters = list(policy.trainable().values())
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=settings.learning_rate, fused=True)


def _fingerprint(model_dir: Path, data: Data, settings: TrainingSettings, seed: int, policy: Policy) -> str:
    """All that decides the course of a training: not how often it is saved, nor which other seeds there are."""
    course = settings.model_dump(mode="json", exclude={"checkpoint_every", "seeds"})
    model = model_fingerprint(model_dir)
    machine = [torch.__version__, policy.device.type, policy.bf16, policy.packs]
    rows = [asdict(example) for example in data.examples]
    return content_id(course, seed, model, machine, rows, data.reference.tolist())


def _result(
    read: Examples, settings: TrainingSettings, curve: list[CurvePoint], seconds: float, out: Path
) -> TrainResult:
    chosen, rejected = _tokens(read.examples)
    tenth = math.ceil(len(curve) / 10)
    return TrainResult(
        n_pairs=len(read.examples),
        n_steps=len(curve),
        n_tokens=(chosen + rejected) * settings.epochs,
        loss_first=sum(point[1] for point in curve[:tenth]) / tenth,
        loss_last=sum(point[1] for point in curve[-tenth:]) / tenth,
        accuracy_last=sum(point[2] for point in curve[-tenth:]) / tenth,
        curve=curve,
        length_ratio=chosen / rejected,
        seconds=seconds,
        truncated=read.truncated,
        rejects=read.rejects,
        path=out,
        peak_bytes=memory.peak_bytes(),
    )


def _tokens(examples: list[Example]) -> tuple[int, int]:
    return sum(len(e.chosen) for e in examples), sum(len(e.rejected) for e in examples)
