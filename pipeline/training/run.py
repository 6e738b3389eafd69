"""A training under way: the policy, its optimiser, its data and how far it is."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from pipeline.config import TrainingSettings
from pipeline.engine.model import fingerprint as model_fingerprint
from pipeline.errors import OrchardError
from pipeline.ids import content_id, seed_for
from pipeline.training import checkpoint, parallel, save, sharding
from pipeline.training.checkpoint import Progress
from pipeline.training.data import Data
from pipeline.training.loading import best_device, load
from pipeline.training.policy import Policy, Precision, adapt, checkpointing, free_full
from pipeline.training.reference import recompute
from pipeline.training.schedule import Step
from pipeline.training.step import run_step
from pipeline.training.stopping import Watch


@dataclass
class Run:
    """What changes from step to step, and where it is kept."""

    policy: Policy
    fresh: Callable[[], Policy]  # the policy as it began, in one piece and on the CPU
    optimizer: torch.optim.Optimizer
    data: Data
    watch: Watch
    state: Progress
    out: Path
    mark: str  # of this very training: a checkpoint with another one is not used
    started: float  # on the clock of time.monotonic
    before: float  # seconds of earlier starts

    @classmethod
    def open(
        cls,
        model_dir: Path,
        data: Data,
        watch: Watch,
        *,
        seed: int,
        precision: Precision,
        out: Path,
        started: float,
    ) -> "Run":
        """A new training, or one that goes on from its checkpoint."""
        begin = partial(_policy, model_dir, data.settings, seed, precision)
        fresh = partial(begin, torch.device("cpu"))
        if data.settings.sharding == "full" and parallel.size() > 1:
            policy = fresh()
            sharding.shard(policy, best_device())
        else:
            policy = begin(best_device())
        optimizer = _optimizer(policy, data.settings)
        mark = _mark(model_dir, data, seed, policy, watch)
        data, watch = data.begun(policy), watch.begun(policy)
        state = checkpoint.restore(checkpoint.path_for(out), mark, policy, optimizer) or _start(
            data
        )
        parallel.wait()  # before the first process writes the next checkpoint
        data = data if state.reference is None else replace(data, reference=state.reference)
        return cls(
            policy, fresh, optimizer, data, watch, state, out, mark, started, before=state.seconds
        )

    def take(self, step: Step, *, last: bool) -> None:
        """One step of the plan, and a look at the validation rows where one is due.

        Raises:
            OrchardError: as `run_step`; the state before the step is the checkpoint.
        """
        if step.opens:
            self._next_stage(step.opens)
        for group in self.optimizer.param_groups:
            group["lr"] = step.rate
        try:
            run_step(self.policy, self.optimizer, self.data, step.rows, self.state)
        except OrchardError:
            self.keep()
            raise
        self.watch.look(self.policy, self.state, last=last)
        self.clock()

    def keep(self) -> None:
        """Writes the checkpoint."""
        checkpoint.save(
            checkpoint.path_for(self.out), self.mark, self.policy, self.optimizer, self.state
        )

    def close(self) -> int:
        """Saves the policy in place of the checkpoint; the step whose weights it has."""
        kept_step = self.watch.keep(self.policy, self.state)
        whole = self._assembled()
        if parallel.rank() == 0:
            save.save(whole, self.out)
            checkpoint.path_for(self.out).unlink(missing_ok=True)
        parallel.wait()
        self.clock()
        return kept_step

    @torch.no_grad()
    def _assembled(self) -> Policy:
        """The policy in one piece: in the first process, for which all give their parts."""
        if not self.policy.sharded:
            return self.policy
        weights = {name: sharding.whole(p) for name, p in self.policy.trainable().items()}
        if parallel.rank():
            return self.policy
        policy = self.fresh()
        for name, parameter in policy.trainable().items():
            parameter.copy_(weights[name])
        return policy

    def clock(self) -> None:
        self.state.seconds = self.before + time.monotonic() - self.started

    def _next_stage(self, rows: list[int]) -> None:
        """The policy as it is now becomes the reference of the rows of the stage that begins."""
        self.optimizer.state.clear()
        if not self.data.loss.reference:
            return
        reference = recompute(
            self.policy, [self.data.examples[i] for i in rows], self.state.micro_tokens
        )
        self.data = self.data.with_reference(rows, reference)
        self.state.reference = self.data.reference


def _start(data: Data) -> Progress:
    running = data.loss.running
    first = running.start(data.settings.losses) if running else 0.0
    return Progress(micro_tokens=data.settings.micro_tokens, running=first)


def _policy(
    model_dir: Path,
    settings: TrainingSettings,
    seed: int,
    precision: Precision,
    device: torch.device,
) -> Policy:
    policy = load(model_dir, precision, device)
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
    return torch.optim.AdamW(
        [g for g in groups if g["params"]], lr=settings.learning_rate, fused=True
    )


def _mark(model_dir: Path, data: Data, seed: int, policy: Policy, watch: Watch) -> str:
    """All that decides the course of a training:
    not how often it is saved, nor which other seeds there are.
    """
    course = data.settings.model_dump(
        mode="json", exclude={"checkpoint_every", "seeds", "processes"}
    )
    model = model_fingerprint(model_dir)
    machine = [torch.__version__, policy.device.type, policy.bf16, policy.trees, parallel.size()]
    rows = [example.__dict__ for example in data.examples]
    return content_id(course, seed, model, machine, rows, data.reference.tolist(), watch.mark())
