"""Scores by reward models that never saw the pair's prompt: K folds of prompts, M models each."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.config import NoiseSettings
from pipeline.ids import seed_for
from pipeline.noise.coding import Floats
from pipeline.noise.targets import Places, Targets

Mask = npt.NDArray[np.bool_]
Curve = list[tuple[float, float]]


@dataclass(frozen=True)
class Fitted:
    """What M trained models say:
    rewards (M, texts asked for), and each one's training loss (steps, M).
    """

    rewards: Floats
    losses: Floats


# Trains one model a seed on pairs, and rewards some texts: rows of the targets' matrix.
Fit = Callable[[Targets, list[int], Places], Fitted]


@dataclass(frozen=True)
class Scored:
    """Rewards that each model gives to pairs whose prompts it never saw, standardised per model."""

    chosen: Floats  # (M, n)
    rejected: Floats  # (M, n)
    raw_chosen: Floats
    raw_rejected: Floats
    losses: Floats  # (steps, M) of the first fold's models

    @property
    def margins(self) -> Floats:
        """(M, n)."""
        return self.chosen - self.rejected

    @property
    def curves(self) -> list[Curve]:
        """(step from 1, loss) of each model of the first fold."""
        return [
            [(float(n), float(loss)) for n, loss in enumerate(losses, start=1)]
            for losses in self.losses.T
        ]


def out_of_fold(
    targets: Targets,
    fold: npt.NDArray[np.int64],
    train: Mask,
    settings: NoiseSettings,
    seed: int,
    fit: Fit,
) -> Scored:
    """Scores every pair by models trained on the `train` pairs of the other folds.

    A model's rewards are standardised by mean and standard deviation over the texts that it was
    trained on: rewards have no scale or origin of their own, and each fold has another model. The
    pairs to be scored, without their labels, are what `noise.meta` learns to tell apart.

    Args:
        targets: in an order that depends on ids only, so that seeds do.
        fold: (n,) the fold of each pair's prompt.
        train: (n,) pairs that may be learnt from; the others are only scored.

    Raises:
        OrchardError: a fold leaves no pairs to learn from.
    """
    out = np.zeros((4, settings.models, len(fold)))
    losses = np.zeros((0, settings.models))
    for k in np.unique(fold):
        mine = fold == k
        seeds = [seed_for(seed, "reward head", m, int(k)) for m in range(settings.models)]
        sides = targets.chosen[mine], targets.rejected[mine]
        learnt = targets.take(train & ~mine).asked_of(*sides)
        seen = np.unique(np.concatenate([learnt.chosen, learnt.rejected]))
        wanted = np.union1d(seen, np.concatenate(sides))
        found = fit(learnt, seeds, wanted)
        losses = losses if len(losses) else found.losses
        known = found.rewards[:, np.searchsorted(wanted, seen)]
        mean, spread = known.mean(axis=1, keepdims=True), known.std(axis=1, keepdims=True)
        spread = np.where(spread > 1e-12, spread, 1.0)
        for place, side in enumerate(sides):
            raw = found.rewards[:, np.searchsorted(wanted, side)]
            out[place][:, mine] = (raw - mean) / spread
            out[place + 2][:, mine] = raw
    return Scored(out[0], out[1], out[2], out[3], losses)
