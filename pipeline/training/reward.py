"""Reward models by full or LoRA fine-tuning:
a causal language model whose head gives one number at the last token.

Folds, standardisation, loss and calibration are those of the reward heads (`pipeline.noise`);
loading, LoRA, batches by length and what happens when memory runs out are those of the DPO trainer.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pipeline import durable
from pipeline.config import NoiseSettings, TrainingSettings
from pipeline.engine.model import fingerprint
from pipeline.errors import OrchardError
from pipeline.ids import content_id, seed_for
from pipeline.noise.coding import Floats
from pipeline.noise.contrast import Views
from pipeline.noise.crossfit import Fit, Fitted
from pipeline.noise.features import Ids, last_states
from pipeline.noise.loss import bradley_terry, length_correlation, told_apart
from pipeline.noise.targets import NOTHING_TO_TELL_APART, Places, Targets
from pipeline.training import memory
from pipeline.training.example import Example
from pipeline.training.loading import load
from pipeline.training.policy import Policy, Precision, adapt, checkpointing, free_full
from pipeline.training.schedule import batches, learning_rate
from pipeline.training.tree import micro_batches

Sides = list[tuple[Ids, Ids]]  # both texts of each pair
Advance = Callable[[int, int], None]
RATES = {"full": 5e-6, "lora": 1e-4}  # full: paper; lora: our choice


@dataclass
class RewardModel:
    """r(text) = v . h, where h is the last layer's hidden state at the text's last token."""

    policy: Policy
    head: nn.Linear  # fp32, without a bias: only differences of rewards count
    micro_tokens: int
    losses: list[float] = field(default_factory=list)  # mean over the pairs of each step, nats

    def rewards(self, texts: Sequence[Ids]) -> Tensor:
        """(n,) with gradients; all texts in one pass."""
        return self.of_states(self.states(texts))

    def states(self, texts: Sequence[Ids]) -> Tensor:
        """(n, D) with gradients; all texts in one pass."""
        with self.policy.computing():
            states = last_states(self.policy.causal.base_model, texts, self.policy.device)
        found: Tensor = states.float()
        return found

    def of_states(self, states: Tensor) -> Tensor:
        """(n, D) states to (n,) rewards."""
        scored: Tensor = self.head(states).squeeze(-1)
        return scored

    def parameters(self) -> list[nn.Parameter]:
        return [*self.policy.trainable().values(), *self.head.parameters()]

    @torch.no_grad()
    def score(self, texts: Sequence[Ids]) -> Floats:
        """(n,) rewards."""
        out = np.zeros(len(texts))

        def pass_over(budget: int) -> None:
            for places in micro_batches(
                range(len(texts)), lambda i: (((), texts[i]),), budget, trees=False
            ):
                out[places] = self.rewards([texts[i] for i in places]).double().cpu().numpy()

        _, self.micro_tokens = memory.retry(pass_over, self.micro_tokens)
        return out


def train_reward_model(
    model_dir: Path,
    texts: Sequence[Ids],
    targets: Targets,
    settings: NoiseSettings,
    seed: int,
    precision: Precision = "auto",
) -> RewardModel:
    """One model, fine-tuned on pairs.

    The seed decides head, LoRA layers, draw and order of the pairs.

    Per step: the mean over its pairs of weight times `bradley_terry`, and `length_penalty` times
    the squared correlation of margin and length over the whole step, and `contrast` over all its
    texts, whatever fits into one pass. With `meta`, the gradient is taken at moved weights (see
    `_moved`).

    Args:
        texts: token ids of each row of the targets' matrix, whose numbers are not read.

    Raises:
        OrchardError: fewer than two pairs, no weight in them, `meta` without texts to be scored, a
            loss that is not finite, or a folder that is no model.
    """
    n = len(targets.chosen)
    if n < 2 or targets.weight.sum() <= 0:
        raise OrchardError(
            f"reward models: {n} pairs to learn from: at least 2 of positive weight are needed"
        )
    if settings.meta.step > 0 and not len(targets.unlabelled):
        raise OrchardError(f"reward models: {NOTHING_TO_TELL_APART}")
    model = _begin(model_dir, settings, seed, precision)
    drawn = (
        np.random.default_rng(seed_for(seed, "draw")).integers(n, size=n)
        if settings.resample
        else np.arange(n)
    )
    data = _Pairs.of(texts, targets.take(drawn), settings, model.policy.device)
    chosen = settings.tune
    rate = chosen.learning_rate or RATES[settings.method]
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=chosen.weight_decay)
    plan = TrainingSettings(
        epochs=chosen.epochs,
        batch_pairs=chosen.batch_pairs,
        learning_rate=rate,
        warmup=chosen.warmup,
    )
    steps = batches(data.examples(), plan, seed)
    for number, places in enumerate(steps):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(number, len(steps), plan)
        views = seed_for(seed, "contrast", number)
        with _moved(model, data, number, seed):
            loss = _gradients(model, data, places, views)
        _update(model, loss, optimiser, chosen.max_grad_norm)
    return model


@dataclass(frozen=True)
class _Pairs:
    """n pairs on the device; a pair's texts are at places 0 and 1."""

    texts: Sides
    unlabelled: Sides  # of the texts to be scored
    target: Tensor
    margin: Tensor
    weight: Tensor  # mean 1
    length: Tensor
    rows: Tensor  # (n, 2) which texts
    settings: NoiseSettings

    @classmethod
    def of(
        cls, texts: Sequence[Ids], targets: Targets, settings: NoiseSettings, device: torch.device
    ) -> "_Pairs":
        values = (
            targets.target,
            targets.margin,
            targets.weight / targets.weight.mean(),
            targets.length,
        )
        target, margin, weight, length = (torch.from_numpy(v).float().to(device) for v in values)
        rows = np.stack([targets.chosen, targets.rejected], axis=1)
        sides, shifted = (
            [(texts[a], texts[b]) for a, b in two] for two in (rows, targets.unlabelled)
        )
        known = target, margin, weight, length, torch.from_numpy(rows).to(device)
        return cls(sides, shifted, *known, settings)

    def examples(self) -> list[Example]:
        """The pairs as the trainer's batches take them;
        ids by place, which depends on the pairs' ids only.
        """
        sides = [tuple(((), text) for text in pair) for pair in self.texts]
        return [Example(f"{i:09d}", texts, (1.0, 0.0)) for i, texts in enumerate(sides)]

    def loss(self, d: Tensor, places: Sequence[int]) -> Tensor:
        """(k,) weighted loss of some pairs, without the penalty."""
        rows = list(places)
        return self.weight[rows] * bradley_terry(d, self.target[rows], self.margin[rows])


def _begin(
    model_dir: Path, settings: NoiseSettings, seed: int, precision: Precision
) -> RewardModel:
    policy = load(model_dir, precision)
    if settings.method == "lora":
        adapt(policy, settings.tune.lora_rank, settings.tune.lora_alpha, seed_for(seed, "lora"))
    else:
        free_full(policy)
    if settings.tune.gradient_checkpointing:
        checkpointing(policy)
    width = policy.causal.config.get_text_config().hidden_size
    generator = torch.Generator().manual_seed(seed_for(seed, "head"))
    head = nn.Linear(width, 1, bias=False)
    with torch.no_grad():  # small: the first loss is log 2, as it is for the heads
        head.weight.copy_(torch.randn(1, width, generator=generator) / (width + 1))
    return RewardModel(policy, head.to(policy.device), settings.micro_tokens)


@contextmanager
def _moved(model: RewardModel, data: _Pairs, number: int, seed: int) -> Iterator[None]:
    """Has the weights moved uphill on `told_apart` of some texts to be scored, and then put back.

    MetaRM (Secrets of RLHF II, second-hand), as first-order MAML has it: the gradient that is left
    by the pair loss there moves the weights here. One plain step of every weight that is trained,
    on as many pairs as a step has (our choice).
    """
    meta = data.settings.meta
    if meta.step == 0 or number % meta.every:
        yield
        return
    k, weights = len(data.unlabelled), model.parameters()
    size = min(k, data.settings.tune.batch_pairs)
    drawn = np.random.default_rng(seed_for(seed, "meta", number)).choice(k, size, replace=False)

    def uphill(budget: int) -> None:
        for weight in weights:
            weight.grad = None
        for micro in _micros(data.unlabelled, drawn.tolist(), budget):
            d = _margins(model, _states(model, data.unlabelled, micro))
            (told_apart(d) * (len(micro) / size)).backward()

    _, model.micro_tokens = memory.retry(uphill, model.micro_tokens)
    before = [weight.detach().clone() for weight in weights]
    with torch.no_grad():
        for weight in weights:
            if weight.grad is not None:
                weight.add_(weight.grad, alpha=meta.step)
    try:
        yield
    finally:
        with torch.no_grad():
            for weight, value in zip(weights, before, strict=True):
                weight.copy_(value)


def _gradients(model: RewardModel, data: _Pairs, places: Sequence[int], seed: int) -> float:
    """Leaves the gradient of the loss of the pairs at `places` in the weights.

    Returns:
        the mean loss of the pairs, nats, without what `_slopes` adds.
    """

    def passes(budget: int) -> float:
        for weight in model.parameters():
            weight.grad = None
        slopes = _slopes(model, data, places, budget, seed)
        total = 0.0
        for micro in _micros(data.texts, places, budget):
            states = _states(model, data.texts, micro)
            d = _margins(model, states)
            loss = data.loss(d, micro).sum() / len(places)
            total += float(loss.detach())
            if data.settings.length_penalty > 0:
                loss = loss + (torch.stack([slopes[i].margin for i in micro]) * d).sum()
            if data.settings.contrast.weight > 0:
                mine = torch.stack([slopes[i].states for i in micro], dim=1)
                loss = loss + (mine * states).sum()
            loss.backward()
        return total

    loss, model.micro_tokens = memory.retry(passes, model.micro_tokens)
    return loss


def _update(model: RewardModel, loss: float, optimiser: torch.optim.Optimizer, most: float) -> None:
    norm = nn.utils.clip_grad_norm_(model.parameters(), most)
    if not (np.isfinite(loss) and norm.isfinite()):
        raise OrchardError(
            f"reward model stopped: loss {loss}, gradient norm {norm.item()}: "
            "lower noise.tune's rate"
        )
    optimiser.step()
    model.losses.append(loss)


@dataclass(frozen=True)
class _Slope:
    """Derivative of what does not split into passes, by one pair's margin and states."""

    margin: Tensor  # ()
    states: Tensor  # (2, D)


def _slopes(
    model: RewardModel, data: _Pairs, places: Sequence[int], budget: int, seed: int
) -> dict[int, _Slope]:
    """Of length penalty and contrast of the whole step, by pair; empty where both are off.

    They do not split into passes, so the states are computed once more, without gradients
    (gradient caching, arXiv 2101.06983).
    """
    penalty, contrast = data.settings.length_penalty, data.settings.contrast
    if penalty == 0 and contrast.weight == 0:
        return {}
    found: dict[int, tuple[Tensor, Tensor]] = {}
    with torch.no_grad():
        for micro in _micros(data.texts, places, budget):
            each = _states(model, data.texts, micro)
            both = zip(_margins(model, each), each.unbind(1), strict=True)
            found.update(zip(micro, both, strict=True))
    rows = list(places)
    d = torch.stack([found[i][0] for i in rows]).requires_grad_(True)
    states = torch.stack([found[i][1] for i in rows], dim=1).requires_grad_(True)
    total = 0 * d.sum() + 0 * states.sum()
    if penalty > 0:
        total = total + penalty * length_correlation(d, data.length[rows])
    if contrast.weight > 0:
        sides = [side[None] for side in states]
        views = Views(contrast, [seed])
        total = total + contrast.weight * views.loss(sides, data.rows[rows][None], lambda z: z)[0]
    margins, others = torch.autograd.grad(total, (d, states))
    return {i: _Slope(m, s) for i, m, s in zip(rows, margins, others.unbind(1), strict=True)}


def _micros(texts: Sides, places: Sequence[int], budget: int) -> Iterator[list[int]]:
    return micro_batches(places, lambda i: [((), text) for text in texts[i]], budget, trees=False)


def _states(model: RewardModel, texts: Sides, places: Sequence[int]) -> Tensor:
    """(2, k, D) of the first sides, and of the second ones; one pass."""
    states = model.states([texts[i][side] for side in (0, 1) for i in places])
    return states.view(2, len(places), -1)


def _margins(model: RewardModel, states: Tensor) -> Tensor:
    """(k,) rewards of the first sides minus those of the second."""
    rewards = model.of_states(states.flatten(0, 1))
    return rewards[: states.shape[1]] - rewards[states.shape[1] :]


def fit_tuned(
    model_dir: Path,
    texts: Sequence[Ids],
    settings: NoiseSettings,
    folder: Path,
    *,
    progress: Advance | None = None,
    precision: Precision = "auto",
) -> Fit:
    """Fine-tuned models as the models of `pipeline.noise.crossfit.out_of_fold`,
    one after the other.

    What a model said is kept in the folder, so that a run that was stopped does not train it again.
    """
    done, total = 0, settings.models * settings.folds

    def one(learnt: Targets, seed: int, wanted: Places) -> tuple[Floats, Floats]:
        nonlocal done
        path = folder / f"{_mark(model_dir, texts, learnt, settings, seed, wanted)}.npz"
        if not path.is_file():
            model = train_reward_model(model_dir, texts, learnt, settings, seed, precision)
            _keep(path, model.score([texts[i] for i in wanted]), np.array(model.losses))
        done += 1
        if progress:
            progress(done, total)
        with np.load(path) as kept:
            return kept["rewards"], kept["losses"]

    def fit(learnt: Targets, seeds: list[int], wanted: Places) -> Fitted:
        found = [one(learnt, seed, wanted) for seed in seeds]
        return Fitted(
            np.stack([rewards for rewards, _ in found]),
            np.stack([losses for _, losses in found], axis=1),
        )

    return fit


def _mark(
    model_dir: Path,
    texts: Sequence[Ids],
    learnt: Targets,
    settings: NoiseSettings,
    seed: int,
    wanted: Places,
) -> str:
    """All that decides what a model says."""
    course = settings.model_dump(
        include={"method", "tune", "resample", "length_penalty", "contrast", "meta"}
    )
    columns = (learnt.target, learnt.margin, learnt.weight, learnt.length)
    asked = learnt.unlabelled if settings.meta.step > 0 else learnt.unlabelled[:0]
    read = (learnt.chosen, learnt.rejected, asked.flatten())
    sides = [[texts[i] for i in side] for side in read]
    rows = [sides, [column.tolist() for column in columns], [texts[i] for i in wanted]]
    return content_id("reward model", fingerprint(model_dir), torch.__version__, course, seed, rows)


def _keep(path: Path, rewards: Floats, losses: Floats) -> None:
    """Written whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.stem}.{os.getpid()}.npz")
    try:
        np.savez(draft, rewards=rewards, losses=losses)
        durable.put(draft, path)
    finally:
        draft.unlink(missing_ok=True)
