"""Reliabilities from how often voters agree with the label, which no shared bias can turn.

Expectation-maximisation looks for the truth that explains all votes best. Two voters who err
together explain each other so well that what they share is taken for the truth. How often a voter
agrees with the label does not depend on other voters: with sides written as +1 and -1, voters
independent given the truth, E[vote x label] = m_voter m_label, where m is the mean product with the
truth. Two voters' own products, m_a m_b, then say what m_label is.
"""

from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from pipeline.noise.coding import Coded, Floats, Ints
from pipeline.noise.reliability import ABOVE_HALF, Coins, posterior

Mask = npt.NDArray[np.bool_]


def by_agreement(coded: Coded, labellers: Collection[str]) -> Coins | None:
    """Reliabilities by moments, our choice; null where they do not tell how many labels are right:
    no pair has two voters beside its label.

    m_label of one source of labels is 1 / sqrt(b), b the least-squares slope, without a constant,
    of products of two votes on (a_i a_j), a being a voter's mean agreement with that source. A
    product of two voters who know nothing about the label hardly counts in it, however often
    these two agree. The prior of a pair counts as one more voter.

    Args:
        labellers: voters who gave the labels: they vote 1 on every pair of theirs.
    """
    gave = coded.voter_ids.is_in(list(labellers)).to_numpy()
    source = _sources(coded, gave)
    pair, voter, side = _sides(coded, ~gave, source >= 0)
    size = len(gave) + 1  # the prior is the last voter
    # agreement a and votes n of every voter with every source of labels that it meets
    met, cell = np.unique(voter * len(gave) + source[pair], return_inverse=True)
    n = np.bincount(cell)
    a = np.bincount(cell, side) / n
    m_label = _label(pair, source, side, a[cell], len(gave))
    if m_label is None:
        return None
    by_voter, known = met // len(gave), m_label[met % len(gave)]
    # least squares over the sources of m_voter from a = m_voter m_label
    above = np.bincount(by_voter, n * a * known, size)
    m = above / np.maximum(np.bincount(by_voter, n * known**2, size), 1e-12)
    votes = np.bincount(voter, minlength=size)
    each = np.bincount(voter, side**2, size) / np.maximum(votes, 1)
    slope = (m / np.maximum(each, 1e-12))[:-1]
    of_label = np.bincount(source[source >= 0], minlength=len(gave))
    most = 1 - 1 / (np.where(gave, of_label, votes[:-1]) + 2)  # as if one of two more were wrong
    least = np.where(gave, ABOVE_HALF, 1 - most)
    eta = np.clip(0.5 + np.where(gave, m_label, slope) / 2, least, np.maximum(least, most))
    said = np.stack([eta, eta])
    return Coins(said, posterior(coded, said), 1, True)


def _sides(coded: Coded, counts: Mask, labelled: Mask) -> tuple[Ints, Ints, Floats]:
    """Pair, voter and side (2 p - 1) of every vote of some voters, and of every prior.

    Of pairs that have a label only.
    """
    mine = counts[coded.voter][coded.kind] & labelled[coded.pair]
    kind = coded.kind[mine]
    places = np.flatnonzero(coded.has_prior & labelled)
    prior = np.tanh(coded.prior[places] / 2)  # 2 p - 1 of these log-odds
    last = np.full(len(places), len(counts), dtype=np.int64)
    return (
        np.append(coded.pair[mine], places),
        np.append(coded.voter[kind], last),
        np.append(2 * coded.p[kind] - 1, prior),
    )


def _sources(coded: Coded, gave: Mask) -> Ints:
    """(pairs,) who gave each label; -1: nobody. A pair has one."""
    labels = gave[coded.voter][coded.kind]
    source = np.full(len(coded.pair_ids), -1, dtype=np.int64)
    source[coded.pair[labels]] = coded.voter[coded.kind[labels]]
    return source


def _label(
    pair: Ints, source: Ints, side: Floats, agreement: Floats, n_voters: int
) -> Floats | None:
    """(voters,) m of every source of labels; null where the votes do not tell that of each."""
    n = len(source)
    # Sums over the couples of votes on a pair: half of the squared sum less the sum of squares.
    x, y = agreement * side, agreement**2
    products = np.bincount(pair, x, n) ** 2 - np.bincount(pair, x**2, n)
    squares = np.bincount(pair, y, n) ** 2 - np.bincount(pair, y**2, n)
    has = source >= 0
    above = np.bincount(source[has], products[has], n_voters)
    below = np.bincount(source[has], squares[has], n_voters)
    used = np.bincount(source[has], minlength=n_voters) > 0
    if (below[used] <= 1e-12).any():
        return None
    slope = above / np.where(used, below, 1.0)
    m: Floats = 1 / np.sqrt(np.maximum(slope, 1.0))
    return m
