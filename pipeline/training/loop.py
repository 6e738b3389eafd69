"""The training loop: from pairs and reference log-probabilities to a policy on disk."""

import time
from dataclasses import replace
from pathlib import Path

import polars as pl

from pipeline.config import TrainingSettings
from pipeline.errors import OrchardError
from pipeline.training import launch, losses, parallel, schedule
from pipeline.training.data import Data, arrange
from pipeline.training.loading import load_tokenizer
from pipeline.training.policy import Precision
from pipeline.training.reference import lookup_for
from pipeline.training.result import TrainResult, result_of
from pipeline.training.run import Run
from pipeline.training.stopping import Watch, divide
from pipeline.training.tokens import Examples, tokenize


def train(
    model_dir: Path,
    pairs: pl.DataFrame,
    reference: pl.DataFrame,
    settings: TrainingSettings,
    *,
    seed: int,
    out: Path,
    progress: launch.Report | None = None,
    precision: Precision = "auto",
) -> TrainResult:
    """Trains the model of a folder on preferences and saves the policy to `out`.

    Stopped anywhere and started again with the same arguments, it goes on from its last checkpoint
    and ends with the same weights. The loss of a step is the mean over its rows of weight * loss,
    weights scaled to mean 1 over all rows: a weight of 2 counts as the row twice.

    Rows with a `stage` are a curriculum (Curry-DPO, arXiv 2403.07230): stages are trained in
    ascending order, and the policy that a stage ends with is the next one's reference. Each has its
    own warm-up and fresh moments of the optimiser (our choice), as if it were trained by a call of
    its own.

    `settings.processes` train one policy together (see `launch`), or those of torchrun or
    accelerate, where each calls this: the same policy up to the order of sums. The first writes
    policy and checkpoint, which all read.

    Args:
        pairs: rows of `preferences` (with `pipeline.training.rationales.attach`, where the loss
            reads rationales), of `preference_lists` or of `unpaired`. With `settings.patience`
            those of the split validation are not learned from: training stops on them (see
            `stopping.Watch`), and goes to its end where there are none.
        reference: rows of `reference_logps` for the texts of these rows and one model; none are
            needed for a loss without a reference model.
        progress: called after each step with steps done, steps in all, and loss, accuracy, margin,
            learning_rate.

    Raises:
        OrchardError: no rows, a row of the test split, an unknown loss or one that cannot take
            these rows, a folder that is no model, a text without reference, a loss that is not
            finite or explodes (the state before that step stays as checkpoint), or not enough
            memory for one row.
    """
    if settings.processes > 1 and not parallel.launched():
        return launch.together(
            model_dir,
            pairs,
            reference,
            settings,
            seed=seed,
            out=out,
            progress=progress,
            precision=precision,
        )
    started = time.monotonic()
    parallel.join()
    read, data, watch = _inputs(model_dir, pairs, reference, settings)
    steps = schedule.plan(read.examples, settings, seed)
    run = Run.open(model_dir, data, watch, seed=seed, precision=precision, out=out, started=started)
    for number, step in enumerate(steps[run.state.step :], run.state.step + 1):
        if watch.over(run.state):
            break
        run.take(step, last=number == len(steps))
        if number % settings.checkpoint_every == 0 and number < len(steps):
            run.keep()
        if progress:
            _, loss, accuracy, margin, *_ = run.state.curve[-1]
            report = {
                "loss": loss,
                "accuracy": accuracy,
                "margin": margin,
                "learning_rate": step.rate,
            }
            progress(number, len(steps), report)
    kept_step = run.close()
    seen = [read.examples[i] for step in steps[: run.state.step] for i in step.rows]
    return result_of(read, seen, run.state, kept_step, out)


def _inputs(
    model_dir: Path, pairs: pl.DataFrame, reference: pl.DataFrame, settings: TrainingSettings
) -> tuple[Examples, Data, Watch]:
    learned, watched = divide(pairs, settings)
    read = _examples(model_dir, learned, settings)
    known = lookup_for(losses.get(settings.loss), read.examples, reference)
    data = Data.of(read.examples, known, settings)
    return read, data, Watch.of(model_dir, watched, reference, data)


def _examples(model_dir: Path, pairs: pl.DataFrame, settings: TrainingSettings) -> Examples:
    if pairs.is_empty():
        raise OrchardError("no pairs to train on: the variant is empty")
    read = tokenize(
        pairs, load_tokenizer(model_dir), settings.max_length, settings.too_long, settings.thoughts
    )
    if not read.examples:
        reason = read.rejects["reason"][0]
        raise OrchardError(
            f"no pairs to train on: all {len(pairs)} were dropped, the first because {reason}"
        )
    return replace(read, examples=arrange(read.examples, settings.loss))


__all__ = ["TrainResult", "train"]
