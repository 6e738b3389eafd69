"""Reward heads on frozen features: M models trained in one batched operation."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pipeline.config import NoiseSettings
from pipeline.errors import OrchardError
from pipeline.noise.coding import Floats
from pipeline.noise.crossfit import Curve, Fit, Fitted
from pipeline.noise.loss import bradley_terry, length_correlation
from pipeline.noise.targets import Places, Targets


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
        # (M, 1 or H, B); four times as fast as z @ weights
        hidden = self.weights[0] @ z.transpose(1, 2)
        return (hidden if self.linear else self.weights[1] @ torch.tanh(hidden)).squeeze(1)

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
    correlation, within a batch, of a head's reward margin with the difference in length (see
    `pipeline.noise.loss`). AdamW; all heads move in the same tensor operations.

    Raises:
        OrchardError: fewer than two pairs, or no weight in them.
    """
    n = len(targets.chosen)
    if n < 2 or targets.weight.sum() <= 0:
        raise OrchardError(
            f"reward heads: {n} pairs to learn from: at least 2 of positive weight are needed"
        )
    heads = _begin(targets, settings.hidden, seeds)
    data = _Tensors.of(targets, heads)
    optimiser = torch.optim.AdamW(
        heads.weights, lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    batch = min(settings.batch_pairs, n)
    steps = max(settings.min_steps, settings.epochs * (n // batch))
    orders = [_Order(n, seed, settings.resample) for seed in seeds]
    for _ in range(steps):
        places = torch.stack([order.next(batch) for order in orders])  # (M, B)
        loss = _loss(heads, data, places, settings.length_penalty)
        optimiser.zero_grad(set_to_none=True)
        loss.sum().backward()
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

    @classmethod
    def of(cls, targets: Targets, heads: Heads) -> "_Tensors":
        z = heads.standardised(torch.from_numpy(targets.matrix))
        chosen, rejected = z[targets.chosen], z[targets.rejected]
        plain = [
            torch.from_numpy(v).float()
            for v in (targets.target, targets.margin, targets.weight, targets.length)
        ]
        plain[2] /= plain[2].mean()
        if heads.linear:
            return cls(chosen - rejected, None, *plain)
        return cls(chosen, rejected, *plain)


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


def _loss(heads: Heads, data: _Tensors, places: Tensor, length_penalty: float) -> Tensor:
    """(M,) mean loss of each head on its batch (M, B) of places."""
    d = heads.rewards(_gather(data.chosen, places))  # (M, B) reward margins
    if data.rejected is not None:
        d = d - heads.rewards(_gather(data.rejected, places))
    each = bradley_terry(d, data.target[places], data.margin[places])
    loss = (data.weight[places] * each).mean(dim=1)
    if length_penalty > 0:
        loss = loss + length_penalty * length_correlation(d, data.length[places])
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
