"""What a reward head learns from n pairs:
features of both sides, and what is asked of each pair.
"""

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from pipeline.noise.coding import Floats
from pipeline.noise.features import Features, Matrix

NOTHING_TO_TELL_APART = (
    "noise.meta has no two texts of a prompt to tell apart: set noise.meta.step to 0"
)
Places = npt.NDArray[np.int64]
NONE: Places = np.zeros((0, 2), np.int64)


@dataclass(frozen=True)
class Targets:
    """n pairs in a fixed order.

    The loss of a pair is weight * (target * bt(d - margin) + (1 - target) * bt(-d)),

    where d is the reward of the first side minus that of the second and bt(x) = -log sigmoid(x).
    """

    matrix: Matrix  # (texts, D)
    chosen: Places  # (n,) row of the matrix
    rejected: Places  # (n,)
    target: Floats  # (n,) P(chosen is better) to be learnt; 1: a plain label
    margin: Floats  # (n,) by how much the reward should be higher, in nats
    weight: Floats  # (n,) at least 0; 1: counts once
    length: Floats  # (n,) tokens of the chosen text minus tokens of the rejected one
    # (k, 2) rows of two texts of one prompt that nobody labelled for this model: see `asked_of`
    unlabelled: Places = field(default_factory=lambda: NONE)

    @classmethod
    def plain(cls, features: Features, chosen: Places, rejected: Places) -> Self:
        """Plain labels."""
        n = len(chosen)
        ones, zeros = np.ones(n), np.zeros(n)
        return cls(features.matrix, chosen, rejected, ones, zeros, ones, zeros)

    def take(self, places: npt.NDArray[np.bool_] | Places) -> Self:
        """Some of the pairs."""
        names = ("chosen", "rejected", "target", "margin", "weight", "length")
        return replace(self, **{name: getattr(self, name)[places] for name in names})

    def asked_of(self, first: Places, second: Places) -> Self:
        """With the texts that the model is to score, by two of one prompt, for `noise.meta`.

        Either text may be the better one: the lower row comes first, so that no label is told.
        """
        return replace(self, unlabelled=np.sort(np.stack([first, second], axis=1), axis=1))

    def exchanged(self, mask: npt.NDArray[np.bool_]) -> Self:
        """The sides of some pairs exchanged.

        What is asked of the pair stays, for the other side now.
        """
        chosen, rejected = (
            np.where(mask, self.rejected, self.chosen),
            np.where(mask, self.chosen, self.rejected),
        )
        return replace(
            self, chosen=chosen, rejected=rejected, length=np.where(mask, -self.length, self.length)
        )
