"""What to do with pairs whose labels are in doubt:
one function a treatment, as arrays over n pairs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.config import NoiseSettings
from pipeline.noise.coding import Floats

# bound of the rDPO correction, whose loss grows without limit as the rate nears 0.5: our choice
MOST_FLIPS = 0.4


@dataclass(frozen=True)
class Doubts:
    """What voters said about n pairs; NaN where nothing voted."""

    keys: Sequence[str]  # ids, to order equal means
    mean: Floats  # (n,) mean margin of the voters
    noise_score: Floats  # (n,) P(label is wrong), its vote known
    # (n,) share of wrong labels of its source, a rate that does not know the pair's vote
    flip_rate: Floats

    def permuted(self, order: Sequence[float]) -> "Doubts":
        """Every pair gets the votes of another one:
        the control of all treatments, of the same size by construction.

        order: (n,) numbers that depend on the pairs' ids only.
        """
        source = np.argsort(np.asarray(order))
        target = np.argsort(np.asarray(self.keys, dtype=str))
        places = np.empty(len(source), dtype=np.int64)
        places[target] = source
        return Doubts(
            self.keys, self.mean[places], self.noise_score[places], self.flip_rate[places]
        )


@dataclass(frozen=True)
class Treated:
    """What becomes of n pairs. The values are those of the pair after its exchange."""

    keep: npt.NDArray[np.bool_]
    flip: npt.NDArray[np.bool_]  # sides to be exchanged
    target: Floats  # P(chosen is better) to be learnt
    margin: Floats  # margin asked of the loss
    weight: Floats


Treatment = Callable[[Doubts, NoiseSettings], Treated]


def untouched(doubts: Doubts) -> Treated:
    """Plain labels."""
    n = len(doubts.mean)
    return Treated(np.ones(n, bool), np.zeros(n, bool), np.ones(n), np.zeros(n), np.ones(n))


def weakest(doubts: Doubts, share: float) -> npt.NDArray[np.bool_]:
    """The `share` of the voted pairs with the lowest means, as far as the mean is negative.

    Paper: the two lowest tenths are wrong more often than right. That a pair is never doubted
    against the vote's own mean is our choice.
    """
    voted = np.isfinite(doubts.mean)
    order = np.lexsort((np.asarray(doubts.keys, dtype=str), np.where(voted, doubts.mean, np.inf)))
    chosen = np.zeros(len(order), bool)
    chosen[order[: int(share * voted.sum() + 1e-9)]] = True
    return chosen & (np.nan_to_num(doubts.mean, nan=np.inf) < 0)


def flip(doubts: Doubts, settings: NoiseSettings) -> Treated:
    """The weakest pairs' labels exchanged."""
    return _with(doubts, flip=weakest(doubts, settings.flip_share))


def margin(doubts: Doubts, settings: NoiseSettings) -> Treated:
    """The mean as margin for all pairs.

    A negative mean asks for less than a plain label does (the paper is silent).
    """
    return _with(doubts, margin=np.nan_to_num(doubts.mean, nan=0.0))


def flip_margin(doubts: Doubts, settings: NoiseSettings) -> Treated:
    """Both: the weakest pairs are exchanged, and all have the mean as margin.

    The margin of an exchanged pair changes its sign with it (our reading: the paper does not say).
    """
    mask = weakest(doubts, settings.flip_share)
    mean = np.nan_to_num(doubts.mean, nan=0.0)
    return _with(doubts, flip=mask, margin=np.where(mask, -mean, mean))


def soft(doubts: Doubts, settings: NoiseSettings) -> Treated:
    """Label smoothing where the mean is negative,
    the mean as margin everywhere (the paper's "Soft Label + Margin").
    """
    doubted = np.nan_to_num(doubts.mean, nan=0.0) < 0
    mean = np.nan_to_num(doubts.mean, nan=0.0)
    return _with(doubts, target=np.where(doubted, 1 - settings.soft, 1.0), margin=mean)


def drop(doubts: Doubts, settings: NoiseSettings) -> Treated:
    """The weakest pairs removed; not one of the paper's methods."""
    return _with(doubts, keep=~weakest(doubts, settings.drop_share))


def weight(doubts: Doubts, settings: NoiseSettings) -> Treated:
    """Each pair counts by the probability that its label is right
    (LCPO's w, without the term of the other label).
    """
    return _with(doubts, weight=1 - np.nan_to_num(doubts.noise_score, nan=0.0))


def posterior(doubts: Doubts, settings: NoiseSettings) -> Treated:
    """Every label as sure as the votes find it: the soft label 1 - noise_score.

    LCPO's step on the policy (arXiv 2509.24159), with its w made once, from votes, before training.
    """
    return _with(doubts, target=1 - np.nan_to_num(doubts.noise_score, nan=0.0))


def lcpo(doubts: Doubts, settings: NoiseSettings) -> Treated:
    """Labels as they are: the loss takes the policy and the votes together, while it trains."""
    return untouched(doubts)


def rdpo(doubts: Doubts, settings: NoiseSettings) -> Treated:
    """rDPO's correction (arXiv 2403.00409) with one flip rate for all labels of a source,
    at most 0.4.

    Its loss ((1 - e) l(d) - e l(-d)) / (1 - 2e) is a soft label of (1 - e) / (1 - 2e), above 1. The
    rate must not know the pair: it counts a label the more, the less it is trusted, which on
    average over a source undoes the noise. With a pair's own noise score it would learn the wrong
    labels best (measured: worse than chance).
    """
    rate = np.minimum(np.nan_to_num(doubts.flip_rate, nan=0.0), MOST_FLIPS)
    return _with(doubts, target=(1 - rate) / (1 - 2 * rate))


def _with(doubts: Doubts, **values: npt.NDArray[np.float64] | npt.NDArray[np.bool_]) -> Treated:
    return Treated(**{**vars(untouched(doubts)), **values})


def none(doubts: Doubts, settings: NoiseSettings) -> Treated:
    """Labels as they are: what the others are measured against."""
    return untouched(doubts)


TREATMENTS: dict[str, Treatment] = {
    "none": none,
    "flip": flip,
    "margin": margin,
    "soft": soft,
    "flip_margin": flip_margin,
    "drop": drop,
    "weight": weight,
    "posterior": posterior,
    "rdpo": rdpo,
    "lcpo": lcpo,
}
# do the same with every label of a source: votes of other pairs would change nothing
ALIKE = {"none", "rdpo"}
# what a policy's loss does, and no reward head's: not in the self-test
OF_POLICIES = {"lcpo"}
# others: the profile's
LOSSES = {
    "margin": "margin",
    "soft": "soft_margin",
    "flip_margin": "margin",
    "posterior": "soft",
    "rdpo": "rdpo",
    "lcpo": "lcpo",
}
