"""The training loop: from pairs and reference log-probabilities to a policy on disk."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import torch

from pipeline.config import TrainingSettings
from pipeline.engine.model import fingerprint as model_fingerprint
from pipeline.errors import OrchardError
from pipeline.ids import content_id, seed_for
from pipeline.training import checkpoint, memory, parallel, save, schedule
from pipeline.training.checkpoint import CurvePoint, Progress
from pipeline.training.data import Data, arrange
from pipeline.training.example import Example
from pipeline.training.policy import Policy, Precision, adapt, checkpointing, free_full, load, load_tokenizer
from pipeline.training.reference import lookup, recompute
from pipeline.training.step import run_step
from pipeline.training.stopping import Watch, divide
from pipeline.training.tokens import Examples, tokenize

Report = Callable[[int, int, dict[str, float]], None]


@dataclass(frozen=True)
class TrainResult:
    """What a training did; `path` holds the policy."""

    n_pairs: int  # rows in each epoch: pairs, lists or single texts
    n_steps: int
    n_tokens: int  # of all texts, without contexts, all steps done
    loss_first: float  # mean over the first tenth of the steps
    loss_last: float  # mean over the last tenth
    accuracy_last: float  # share of rows with a positive margin over the last tenth
    curve: list[CurvePoint]  # (step, loss, accuracy, reward margin)
    length_ratio: float  # mean tokens of a row's best texts over those of its others
    seconds: float
    truncated: int  # rows whose context lost tokens on the left
    rejects: pl.DataFrame
    path: Path
    peak_bytes: int
    kept_step: int  # whose weights the policy has: the last, or with `patience` the best on validation rows
    looks: list[tuple[int, float]]  # with `patience`: step, loss on validation rows


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
    """Trains the model of a folder on preferences and saves the policy to `out`.

    Stopped anywhere and started again with the same arguments, it goes on from its last checkpoint and ends with the
    same weights. The loss of a step is the mean over its rows of weight * loss, weights scaled to mean 1 over all
    rows: a weight of 2 counts as the row twice.

    Rows with a `stage` are a curriculum (Curry-DPO, arXiv 2403.07230): stages are trained in ascending order, and the
    policy that a stage ends with is the next one's reference. Each has its own warm-up and fresh moments of the
    optimiser (our choice), as if it were trained by a call of its own.

    Called by every process of torchrun or accelerate, they train one policy together (see `parallel`): the same one up
    to the order of sums. The first writes policy and checkpoint, which all read.

    Args:
        pairs: rows of `preferences` (with `pipeline.training.rationales.attach`, where the loss reads rationales), of
            `preference_lists` or of `unpaired`. With `settings.patience` those of the split validation are not learned
            from: training stops on them (see `stopping.Watch`).
        reference: rows of `reference_logps` for the texts of these rows and one model.
        progress: called after each step with steps done, steps in all, and loss, accuracy, margin, learning_rate.

    Raises:
        OrchardError: no rows, a row of the test split, an unknown loss or one that cannot take these rows, a folder
            that is no model, a text without reference, a loss that is not finite or explodes (the state before
            that step stays as checkpoint), or not enough memory for one row.
    """
    started = time.monotonic()
    parallel.join()
    read, data, watch = _inputs(model_dir, pairs, reference, settings)
    policy = _policy(model_dir, settings, seed, precision)
    optimizer = _optimizer(policy, settings)
    mark = _fingerprint(model_dir, data, seed, policy, watch)
    kept = checkpoint.path_for(out)
    state = checkpoint.restore(kept, mark, policy, optimizer) or _start(data)
    parallel.wait()  # before the first process writes the next checkpoint
    before = state.seconds
    data = data if state.reference is None else replace(data, reference=state.reference)
    steps = schedule.plan(read.examples, settings, seed)
    for step in steps[state.step :]:
        if watch.over(state):
            break
        if step.opens:
            data = _next_stage(policy, optimizer, data, step.opens, state)
        for group in optimizer.param_groups:
            group["lr"] = step.rate
        try:
            run_step(policy, optimizer, data, step.rows, state)
        except OrchardError:
            checkpoint.save(kept, mark, policy, optimizer, state)
            raise
        watch.look(policy, state, last=state.step == len(steps))
        state.seconds = before + time.monotonic() - started
        if state.step % settings.checkpoint_every == 0 and state.step < len(steps):
            checkpoint.save(kept, mark, policy, optimizer, state)
        if progress:
            _, loss, accuracy, margin = state.curve[-1]
            report = {"loss": loss, "accuracy": accuracy, "margin": margin, "learning_rate": step.rate}
            progress(state.step, len(steps), report)
    kept_step = watch.keep(policy, state)
    if parallel.rank() == 0:
        save.save(policy, out)
        kept.unlink(missing_ok=True)
    parallel.wait()
    state.seconds = before + time.monotonic() - started
    seen = [read.examples[i] for step in steps[: state.step] for i in step.rows]
    return _result(read, seen, state, kept_step, out)


def _start(data: Data) -> Progress:
    running = data.loss.running
    first = running.start(data.settings.losses) if running else 0.0
    return Progress(micro_tokens=data.settings.micro_tokens, running=first)


def _next_stage(policy: Policy, optimizer: torch.optim.Optimizer, data: Data, rows: list[int], state: Progress) -> Data:
    """The policy as it is now becomes the reference of the rows of the stage that begins."""
    optimizer.state.clear()
    reference = recompute(policy, [data.examples[i] for i in rows], state.micro_tokens)
    data = data.with_reference(rows, reference)
    state.reference = data.reference
    return data


def _inputs(
    model_dir: Path, pairs: pl.DataFrame, reference: pl.DataFrame, settings: TrainingSettings
) -> tuple[Examples, Data, Watch]:
    learned, watched = divide(pairs, settings)
    read = _examples(model_dir, learned, settings)
    data = Data.of(read.examples, lookup(read.examples, reference), settings)
    return read, data, Watch.of(model_dir, watched, reference, data)


def _examples(model_dir: Path, pairs: pl.DataFrame, settings: TrainingSettings) -> Examples:
    if pairs.is_empty():
        raise OrchardError("no pairs to train on: the variant is empty")
    read = tokenize(pairs, load_tokenizer(model_dir), settings.max_length, settings.too_long)
    if not read.examples:
        reason = read.rejects["reason"][0]
        raise OrchardError(f"no pairs to train on: all {len(pairs)} were dropped, the first because {reason}")
    return replace(read, examples=arrange(read.examples, settings.loss))


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


def _fingerprint(model_dir: Path, data: Data, seed: int, policy: Policy, watch: Watch) -> str:
    """All that decides the course of a training: not how often it is saved, nor which other seeds there are."""
    course = data.settings.model_dump(mode="json", exclude={"checkpoint_every", "seeds"})
    model = model_fingerprint(model_dir)
    machine = [torch.__version__, policy.device.type, policy.bf16, policy.trees, parallel.size()]
    rows = [example.__dict__ for example in data.examples]
    return content_id(course, seed, model, machine, rows, data.reference.tolist(), watch.mark())


def _result(read: Examples, seen: list[Example], state: Progress, kept_step: int, out: Path) -> TrainResult:
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
