"""Reward heads on frozen features: M models trained in one batched operation."""

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pipeline.config import NoiseSettings
from pipeline.errors import OrchardError
from pipeline.ids import seed_for
from pipeline.noise.coding import Floats
from pipeline.noise.contrast import Views
from pipeline.noise.crossfit import Curve, Fit, Fitted
from pipeline.noise.loss import bradley_terry, length_correlation, told_apart
from pipeline.noise.targets import NONE, NOTHING_TO_TELL_APART, Places, Targets


@dataclass
class Heads:
    """M reward models r(x) = v . tanh(U z) or w . z, where z is the standardised feature vector."""

    mean: Tensor  # (D,)
    scale: Tensor  # (D,)
    weights: list[Tensor]  # linear: [(M, 1, D)]; else [(M, H, D), (M, 1, H)]
    losses: list[Tensor] = field(default_factory=list)  # (M,) a step

    @property
    def curve(self) -> Curve:
        """(step from 1, mean loss over heads)."""
        return [(float(step), float(loss.mean())) for step, loss in enumerate(self.losses, start=1)]

    @property
    def linear(self) -> bool:
        return len(self.weights) == 1

    def standardised(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.scale

    def rewards(self, z: Tensor) -> Tensor:
        """(M, B, D) or (1, B, D) standardised features to (M, B) rewards."""
        hidden = self.hidden(z)
        return (hidden if self.linear else self.weights[1] @ hidden).squeeze(1)

    def hidden(self, z: Tensor) -> Tensor:
        """(M, H, B) representations tanh(U z) of (M, B, D) texts; (M, 1, B) rewards if linear."""
        found = self.weights[0] @ z.transpose(1, 2)  # four times as fast as z @ weights
        return found if self.linear else torch.tanh(found)

    @torch.no_grad()
    def score(self, matrix: npt.NDArray[np.float32], chunk: int = 8192) -> Floats:
        """(M, n) rewards of n texts."""
        parts = [
            self.rewards(self.standardised(x)[None]) for x in torch.from_numpy(matrix).split(chunk)
        ]
        empty = np.zeros((len(self.weights[0]), 0))
        return torch.cat(parts, dim=1).double().numpy() if parts else empty


def train_heads(targets: Targets, settings: NoiseSettings, seeds: list[int]) -> Heads:
    """M = len(seeds) heads, each with its own initial weights,
    order of the pairs and, with `resample`, its own draw.

    Bradley-Terry loss with margins and soft targets, and `length_penalty` times the squared
    correlation, within a batch, of a head's reward margin with the difference in length, and
    `contrast` (see `pipeline.noise.loss`); with `meta`, the gradient is taken at moved weights (see
    `_moved`). AdamW; all heads move in the same tensor operations.

    Raises:
        OrchardError: fewer than two pairs, no weight in them, or `meta` without texts to be scored.
    """
    n = len(targets.chosen)
    if n < 2 or targets.weight.sum() <= 0:
        raise OrchardError(
            f"reward heads: {n} pairs to learn from: at least 2 of positive weight are needed"
        )
    heads = _begin(targets, settings.hidden, seeds)
    meta = settings.meta
    data = _Tensors.of(targets, heads, targets.unlabelled if meta.step > 0 else NONE)
    optimiser = torch.optim.AdamW(
        heads.weights, lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    batch = min(settings.batch_pairs, n)
    steps = max(settings.min_steps, settings.epochs * (n // batch))
    orders = [_Order(n, seed, settings.resample) for seed in seeds]
    views = Views(settings.contrast, seeds)
    shifted = _shifted(targets, seeds) if meta.step > 0 else []
    for number in range(steps):
        places = torch.stack([order.next(batch) for order in orders])  # (M, B)
        moves = meta.step > 0 and number % meta.every == 0
        at = _moved(heads, data, shifted, batch, meta.step) if moves else heads
        loss = _loss(at, data, places, settings, views)
        gradients = torch.autograd.grad(loss.sum(), at.weights)
        for weight, gradient in zip(heads.weights, gradients, strict=True):
            weight.grad = gradient
        optimiser.step()
        heads.losses.append(loss.detach())
    for weight in heads.weights:
        weight.requires_grad_(False)
    return heads


@dataclass
class _Tensors:
    """What the loss reads; a linear head needs only the difference of the sides."""

    chosen: Tensor  # (n, D) standardised; linear heads: chosen minus rejected
    rejected: Tensor | None
    target: Tensor
    margin: Tensor
    weight: Tensor  # mean 1
    length: Tensor
    rows: Tensor  # (n, 2) of the matrix: which texts
    shifted: Tensor  # (k, D) or (k, 2, D) of the texts to be scored, as the pairs' own

    @classmethod
    def of(cls, targets: Targets, heads: Heads, unlabelled: Places) -> "_Tensors":
        z = heads.standardised(torch.from_numpy(targets.matrix))
        chosen, rejected = z[targets.chosen], z[targets.rejected]
        rows = torch.from_numpy(np.stack([targets.chosen, targets.rejected], axis=1))
        shifted = z[unlabelled]
        target, margin, weight, length = (
            torch.from_numpy(v).float()
            for v in (targets.target, targets.margin, targets.weight, targets.length)
        )
        asked = target, margin, weight / weight.mean(), length
        if heads.linear:
            return cls(chosen - rejected, None, *asked, rows, shifted[:, 0] - shifted[:, 1])
        return cls(chosen, rejected, *asked, rows, shifted)


class _Order:
    """Places of one head's batches: shuffled again after each pass, from its own seed."""

    def __init__(self, n: int, seed: int, resample: bool) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        draw = torch.randint(n, (n,), generator=self._generator)
        self._pool = draw if resample else torch.arange(n)
        self._waiting = self._pool[:0]

    def next(self, size: int) -> Tensor:
        if len(self._waiting) < size:
            self._waiting = self._pool[torch.randperm(len(self._pool), generator=self._generator)]
        batch, self._waiting = self._waiting[:size], self._waiting[size:]
        return batch


def _begin(targets: Targets, hidden: int, seeds: list[int]) -> Heads:
    used = torch.from_numpy(targets.matrix[np.unique([targets.chosen, targets.rejected])])
    scale, mean = torch.std_mean(used, dim=0)
    scale = torch.where(scale > 1e-6, scale, torch.ones_like(scale))
    width = targets.matrix.shape[1]

    def draw(rows: int, columns: int, size: float) -> Tensor:
        each = [
            torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
            for seed in seeds
        ]
        return torch.stack(each) * size

    shapes = (
        [(1, width, 0.1 / width)]
        if hidden == 0
        else [(hidden, width, width**-0.5), (1, hidden, 0.1 / hidden)]
    )
    return Heads(mean, scale, [draw(*shape).requires_grad_(True) for shape in shapes])


def _shifted(targets: Targets, seeds: list[int]) -> list[_Order]:
    n = len(targets.unlabelled)
    if not n:
        raise OrchardError(f"reward heads: {NOTHING_TO_TELL_APART}")
    return [_Order(n, seed_for(seed, "meta"), resample=False) for seed in seeds]


def _moved(heads: Heads, data: _Tensors, orders: list[_Order], batch: int, step: float) -> Heads:
    """The heads, each moved uphill on `told_apart` of some pairs of texts to be scored.

    MetaRM (Secrets of RLHF II, second-hand), as first-order MAML has it: the gradient of the pair
    loss there, as it is, moves the heads here. One plain step, of every weight (our choice).
    """
    places = torch.stack([order.next(batch) for order in orders])  # (M, B)
    if heads.linear:
        d = heads.rewards(_gather(data.shifted, places))
    else:
        first, second = (_gather(data.shifted[:, side], places) for side in (0, 1))
        d = heads.rewards(first) - heads.rewards(second)
    slopes = torch.autograd.grad(told_apart(d).sum(), heads.weights)
    moved = [w.detach() + step * s for w, s in zip(heads.weights, slopes, strict=True)]
    return replace(heads, weights=[w.requires_grad_(True) for w in moved])


def _contrast(heads: Heads, data: _Tensors, places: Tensor, views: Views) -> Tensor:
    """(M,) InfoNCE of the hidden layer on a batch (M, B) of pairs."""
    assert data.rejected is not None  # the settings ask for a hidden layer
    sides = [_gather(z, places) for z in (data.chosen, data.rejected)]
    return views.loss(sides, data.rows[places], lambda z: heads.hidden(z).transpose(1, 2))


def _loss(
    heads: Heads, data: _Tensors, places: Tensor, settings: NoiseSettings, views: Views
) -> Tensor:
    """(M,) mean loss of each head on its batch (M, B) of places."""
    d = heads.rewards(_gather(data.chosen, places))  # (M, B) reward margins
    if data.rejected is not None:
        d = d - heads.rewards(_gather(data.rejected, places))
    each = bradley_terry(d, data.target[places], data.margin[places])
    loss = (data.weight[places] * each).mean(dim=1)
    if settings.length_penalty > 0:
        loss = loss + settings.length_penalty * length_correlation(d, data.length[places])
    if settings.contrast.weight > 0:
        loss = loss + settings.contrast.weight * _contrast(heads, data, places, views)
    return loss


def _gather(rows: Tensor, places: Tensor) -> Tensor:
    """(n, D) and (M, B) to (M, B, D); index_select takes half the time of rows[places]."""
    return rows.index_select(0, places.view(-1)).view(*places.shape, -1)


def fit_heads(settings: NoiseSettings) -> Fit:
    """Heads as the models of `out_of_fold`."""

    def fit(learnt: Targets, seeds: list[int], wanted: Places) -> Fitted:
        heads = train_heads(learnt, settings, seeds)
        return Fitted(
            heads.score(learnt.matrix[wanted]), torch.stack(heads.losses).double().numpy()
        )

    return fit
