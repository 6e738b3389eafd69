"""TPO's adaptive step rewards: how much a step is like the step in its place on the reference path.

Tree Preference Optimization (ICLR 2025), second-hand: a cosine-similarity-based reward for each
step. From the authors' code: the step's vector is the mean of the last layer's hidden states over
its tokens; the reward is 1 + cosine with the reference path's step of the same number; steps beyond
the shorter path count as part of its last step. (Their older code writes the rewards into a boolean
mask, where they vanish; see the tests for what they should be.)

Our choice: states are centred first, by the mean state of all tokens of the list's paths. Hidden
states of a language model share most of their direction, so that plain cosines lie between 0.93 and
1 and the rewards say nothing.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.engine.base import Turn

Vectors = NDArray[np.float64]  # (steps, width): the sum of hidden states over each step's tokens


class States(NamedTuple):
    """The hidden states of one path: the sum over each step's tokens, and how many they are."""

    sums: Vectors
    tokens: NDArray[np.int64]  # (steps,)


# chat turns, each path's steps
Embed = Callable[[Sequence[Turn], Sequence[Sequence[str]]], list[States]]


def centred(paths: Sequence[States]) -> list[Vectors]:
    """Each path's sums, less the mean state of all paths' tokens for each of their tokens."""
    total = sum(path.tokens.sum() for path in paths)
    mean = sum(path.sums.sum(axis=0) for path in paths) / max(total, 1)
    return [path.sums - path.tokens[:, None] * mean for path in paths]


def step_rewards(path: Vectors, reference: Vectors) -> list[float]:
    """1 + cosine of each step with the reference's, in [0, 2]; one number per step of `path`.

    Sums do as well as means: a cosine does not see length, and the sum over merged steps is the sum
    of their sums. A step without tokens, or without direction, has cosine 0.
    """
    shared = min(len(path), len(reference))
    if shared == 0:
        return [1.0] * len(path)
    ours, theirs = _merged(path, shared), _merged(reference, shared)
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    cosines = np.divide(
        (ours * theirs).sum(axis=1), lengths, out=np.zeros(shared), where=lengths > 0
    )
    rewards = 1 + np.clip(cosines, -1, 1)
    return [float(rewards[min(step, shared - 1)]) for step in range(len(path))]


def _merged(vectors: Vectors, steps: int) -> Vectors:
    return np.vstack([vectors[: steps - 1], vectors[steps - 1 :].sum(axis=0, keepdims=True)])
