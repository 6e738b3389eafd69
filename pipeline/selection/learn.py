"""Reward models learnt from the pairs of a variant, and what they say of texts.

Tree-PLV's verifier (Mistral-7B with a scalar head, trained with a pairwise loss on sibling steps)
as far as a source says it: a reward of context and step, the Bradley-Terry loss at the step where
two siblings differ. The paper's loss goes on over the later steps of both paths; whose they are for
the losing step was not found, so that the first step is all that we compare (our reading).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline.by_hash import first_by_hash
from pipeline.ids import seed_for
from pipeline.noise.coding import Floats
from pipeline.noise.crossfit import Fit
from pipeline.noise.features import Features
from pipeline.noise.selftest import pair_targets

LEAST = 2  # pairs to learn from


@dataclass(frozen=True)
class Learnt:
    """What the models of one source say: text id -> score, and from how many pairs."""

    source: str
    n_pairs: int
    scores: dict[str, float]


def equal_pairs(pairs: Mapping[str, pl.DataFrame], max_pairs: int) -> dict[str, pl.DataFrame]:
    """Training pairs of each source: as many as the smallest has, by hash; at most `max_pairs`.

    A source with fewer than two pairs is left out, and does not count as the smallest.
    """
    known = {name: own.filter(pl.col("split") == "train") for name, own in pairs.items()}
    enough = {name: own for name, own in known.items() if own.height >= LEAST}
    n = min([max_pairs, *(own.height for own in enough.values())])
    return {
        name: first_by_hash(own, "selection", n, keys=("pair_id",)) for name, own in enough.items()
    }


def learn(
    source: str,
    pairs: pl.DataFrame,
    features: Features,
    models: int,
    seed: int,
    fit: Fit,
    asked: Sequence[tuple[str, str]] = (),
) -> Learnt:
    """Scores of all texts of `features` by the mean of models that learnt from some pairs.

    Each model's rewards are standardised by mean and standard deviation over the texts that it
    learnt from: rewards have no scale or origin of their own.

    Args:
        asked: two texts of one prompt each, that `noise.meta` is to tell apart.
    """
    rows = pairs.sort("pair_id")
    first, second = (features.rows([two[side] for two in asked]) for side in (0, 1))
    targets = pair_targets(features, rows).asked_of(first, second)
    seeds = [seed_for(seed, "selector", source, m) for m in range(models)]
    everything = np.arange(len(features.ids))
    rewards = fit(targets, seeds, everything).rewards
    seen = np.unique(np.concatenate([targets.chosen, targets.rejected]))
    scores = standardised(rewards, seen).mean(axis=0)
    return Learnt(source, rows.height, dict(zip(features.ids, map(float, scores), strict=True)))


def standardised(rewards: Floats, seen: np.ndarray) -> Floats:
    """(M, n) rewards less each model's mean over the texts it has seen, in their deviations."""
    known = rewards[:, seen]
    mean, spread = known.mean(axis=1, keepdims=True), known.std(axis=1, keepdims=True)
    found: Floats = (rewards - mean) / np.where(spread > 1e-12, spread, 1.0)
    return found
