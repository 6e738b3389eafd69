"""Which labels are wrong, by the better of two ways to weigh the voters."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from scipy import stats
from scipy.special import expit

from pipeline.noise.agreement import by_agreement
from pipeline.noise.coding import Coded, Floats, code
from pipeline.noise.reliability import (
    Coins,
    Course,
    Reliability,
    as_tables,
    by_em,
    likelihoods,
    report,
)

FOLDS = 10  # of pairs: our choice
LEVEL = 0.05  # of the test that reliability and agreement contradict each other
FEWEST = 20  # votes of a voter, for that test: a normal approximation
Method = Literal["reliability", "agreement"]
Fit = Callable[[Coded], Coins | None]


@dataclass(frozen=True)
class Weighed:
    """What the chosen fit says of voters and pairs, and why it was chosen.

    found: of the voters that were given; a family counts as one.
    method: reliability (expectation-maximisation) or agreement (moments of the agreement with the
        label).
    predicted: as `predicted_agreement` gives it, of expectation-maximisation whatever was chosen.
    gain: held-out log-likelihood of the labels under agreement less that under reliability, nats a
        pair; null where there was no choice.
    error: standard error of the gain; null without one.
    """

    found: Reliability
    method: Method
    predicted: pl.DataFrame
    gain: float | None = None
    error: float | None = None


def weigh(
    votes: pl.DataFrame,
    prior: pl.DataFrame | None,
    labellers: Collection[str],
    *,
    start: float = 0.9,
    folds: int = FOLDS,
) -> Weighed:
    """Fits both, and takes the one that predicts held-out labels better from the other votes.

    Where voters err together, expectation-maximisation can take their common error for the truth,
    and then predicts labels badly; agreement with the label cannot be fooled so, and is the noisier
    of the two elsewhere. So expectation-maximisation must be better by more than a standard error
    (our choice).

    Args:
        votes: pair_id, voter_id, p: one vote a family, the label's with p = 1 among them.
        prior: as in `lcpo`.
        labellers: voters who gave the labels.
    """
    coded = code(votes, prior)
    course = Course(start)

    def em(part: Coded) -> Coins | None:
        return by_em(part, course, labellers)

    def moments(part: Coded) -> Coins | None:
        return by_agreement(part, labellers)

    by_votes, whole = by_em(coded, course, labellers), moments(coded)
    predicted = predicted_agreement(coded, by_votes.said, labellers)
    if whole is None or len(coded.pair_ids) < 2 * folds:
        return Weighed(report(coded, by_votes, 0.95, course.pseudo), "reliability", predicted)
    held = [_held_out(coded, fit, labellers, folds) for fit in (em, moments)]
    difference = held[1].likelihood - held[0].likelihood
    gain = float(difference.mean())
    error = float(difference.std(ddof=1) / np.sqrt(len(difference)))
    if gain < -error:
        fitted = report(coded, by_votes, 0.95, course.pseudo)
        return Weighed(fitted, "reliability", predicted, gain, error)
    fitted = _with_jackknife(coded, whole, quantile(folds) * held[1].spread)
    return Weighed(fitted, "agreement", predicted, gain, error)


def _with_jackknife(coded: Coded, whole: Coins, half: Floats) -> Reliability:
    eta = whole.said[0]
    known = coded.per_voter(coded.count * np.abs(2 * coded.p - 1)) > 0
    bounds = (eta, np.maximum(eta - half, 0.0), np.minimum(eta + half, 1.0))
    return as_tables(coded, whole, known, bounds)


@dataclass(frozen=True)
class _HeldOut:
    likelihood: Floats  # (pairs with a label,) log P(label | the other votes)
    spread: Floats  # (voters,) standard error of eta, by the jackknife over folds


def _held_out(coded: Coded, fit: Fit, labellers: Collection[str], folds: int) -> _HeldOut:
    """Every fold's labels, predicted by a fit on the others."""
    fold = np.arange(len(coded.pair_ids)) % folds  # pairs are in the order of their hashes
    likelihood, etas = [], []
    for k in range(folds):
        fitted = fit(coded.take(fold != k))
        if fitted is None:
            likelihood.append(np.full((fold == k).sum(), np.log(0.5)))
            continue
        etas.append(fitted.said[0])
        likelihood.append(label_likelihood(coded.take(fold == k), fitted.said, labellers))
    each = np.array(etas)
    spread = np.sqrt((len(each) - 1) * each.var(axis=0))
    return _HeldOut(np.concatenate(likelihood), spread)


def label_likelihood(coded: Coded, said: Floats, labellers: Collection[str]) -> Floats:
    """(labels,) log P(the label is as it is | the pair's other votes and its prior).

    With q = P(the labelled side is better) by the others, eta q + (1 - eta) (1 - q): nothing but
    the other votes says which side has the label.
    """
    gave = coded.voter_ids.is_in(list(labellers)).to_numpy()
    right, wrong = np.log(likelihoods(coded, said))
    other = ~gave[coded.voter][coded.kind]
    n = len(coded.pair_ids)
    odds = np.bincount(coded.pair[other], (right - wrong)[coded.kind[other]], n)
    q = expit(coded.prior + odds)[coded.pair[~other]]
    eta = said[0][coded.voter[coded.kind[~other]]]
    value: Floats = np.log(eta * q + (1 - eta) * (1 - q))
    return value


def predicted_agreement(
    coded: Coded, said: Floats, labellers: Collection[str], level: float = LEVEL
) -> pl.DataFrame:
    """How often each voter would agree with the labels if the reliabilities were true.

    A voter of reliability e agrees with a label of reliability e_l with probability e e_l + (1 - e)
    (1 - e_l); a vote p counts as much as it takes a side. Where what it does lies further away
    than sampling explains, reliability and agreement contradict each other: voters err together.

    Returns:
        voter_id, predicted (share of labels, null for a labeller), contradicts: whether the
        observed share differs at `level`, two-sided, over all voters together (Bonferroni).
    """
    gave = coded.voter_ids.is_in(list(labellers)).to_numpy()
    m = 2 * said[0] - 1
    of_label = np.full(len(coded.pair_ids), np.nan)
    is_label = gave[coded.voter][coded.kind]
    of_label[coded.pair[is_label]] = m[coded.voter[coded.kind[is_label]]]
    mine = ~is_label & ~np.isnan(of_label[coded.pair])
    voter, side = coded.voter[coded.kind[mine]], 2 * coded.p[coded.kind[mine]] - 1
    expected = side**2 * m[voter] * of_label[coded.pair[mine]]
    size = len(gave)
    n = np.bincount(voter, minlength=size)
    off = np.bincount(voter, side - expected, size)
    squares = np.bincount(voter, (side - expected) ** 2, size)
    tested = max(int((squares > 0).sum()), 1)
    most = float(stats.norm.ppf(1 - level / (2 * tested)))
    z = off / np.sqrt(np.maximum(squares, 1e-12))
    share = (1 + np.bincount(voter, expected, size) / np.maximum(n, 1)) / 2
    return pl.DataFrame(
        {
            "voter_id": coded.voter_ids,
            "predicted": np.where(n > 0, share, np.nan),
            "contradicts": (squares > 0) & (n >= FEWEST) & (np.abs(z) > most),
        }
    ).with_columns(pl.col("predicted").fill_nan(None))


def quantile(folds: int = FOLDS) -> float:
    """Of the jackknife's t distribution, for an interval of 95 %."""
    return float(stats.t.ppf(0.975, folds - 1))
