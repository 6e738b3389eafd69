"""How far each voter, and each label, can be trusted: expectation-maximisation over votes.

The hidden truth of a pair is which side is better. A voter sees it through a coin: it says the
truth with probability eta (one coin), or with one probability for each truth (two coins, Dawid and
Skene 1979). A vote is a number p, the probability that it gives to the chosen side: 1 and 0 are
plain labels, and a p between them is evidence in that share.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.special import expit

from pipeline.noise.coding import Coded, Floats, code
from pipeline.noise.intervals import information, wilson

# right votes, and as many wrong ones, that each voter is given: our choice, keeps odds finite
PSEUDO = 1.0
# the least reliability of who gave the labels: a half has a mirror image, which says the opposite
ABOVE_HALF = 0.501


@dataclass(frozen=True)
class Reliability:
    """What a fit says.

    voters: voter_id, n_votes, reliability (eta), low, high (its interval), accuracy (expected share
    of the voter's
        sides that are right; equals eta for plain labels). Null where the votes say nothing about a
        voter: its pairs have no other vote and no prior, or it never took a side.
    pairs: pair_id, n_votes, p (that the chosen side is better), noise_score (1 - p: that the label
    is wrong). Null
        where only voters of unknown reliability voted.
    """

    voters: pl.DataFrame
    pairs: pl.DataFrame
    iterations: int
    converged: bool


def lcpo(
    votes: pl.DataFrame,
    prior: pl.DataFrame | None = None,
    *,
    start: float = 0.9,
    confidence: float = 0.95,
    pseudo: float = PSEUDO,
    tolerance: float = 1e-6,
    max_iterations: int = 1000,
    labellers: Collection[str] = (),
) -> Reliability:
    """LCPO (arXiv 2509.24159, later RE-PO), offline and over whole sets:
    one coin a voter, a prior p for each pair.

    E-step: w = p eta / (p eta + (1 - p)(1 - eta)), with one such factor for each further vote on
    the pair; M-step: eta = mean of w over the voter's votes. The paper's p comes from the policy,
    its start is 0.9; its step of 0.1 is for mini-batches and has no use here. Here p comes from
    calibrated margins (`pipeline.noise.calibrate`).

    Args:
        votes: pair_id, voter_id, p; the label itself is a vote with p = 1 by whoever gave it.
        prior: pair_id, p: calibrated probability that the chosen side is better; null: even odds.
        pseudo: right votes, and as many wrong ones, that each voter is given; 0 is plain maximum
            likelihood.
        labellers: voters who gave the labels: right more often than wrong, by assumption.
    """
    coded = code(votes, prior)
    course = Course(start, tolerance, max_iterations, pseudo)
    return report(coded, by_em(coded, course, labellers), confidence, pseudo)


def by_em(coded: Coded, course: "Course", labellers: Collection[str] = ()) -> "Coins":
    """The one-coin fit behind `lcpo`."""
    return _fit(coded, course, coins=1, free_prior=False, labellers=labellers)


def one_coin(
    votes: pl.DataFrame, *, pseudo: float = PSEUDO, max_iterations: int = 1000
) -> Reliability:
    """The one-coin model: as LCPO without a prior, but the share of right labels is estimated."""
    coded = code(votes, None)
    fit = _fit(coded, Course(0.9, 1e-6, max_iterations, pseudo), coins=1, free_prior=True)
    return report(coded, fit, 0.95, pseudo)


def dawid_skene(
    votes: pl.DataFrame, *, pseudo: float = PSEUDO, max_iterations: int = 1000
) -> Reliability:
    """Dawid and Skene 1979 with two classes:
    two coins a voter, and the share of right labels estimated.

    `reliability` is the expected share of right votes; its interval is not computed (null).
    """
    coded = code(votes, None)
    fit = _fit(coded, Course(0.9, 1e-6, max_iterations, pseudo), coins=2, free_prior=True)
    return report(coded, fit, None, pseudo)


@dataclass(frozen=True)
class Course:
    """How EM goes: where it starts, when it stops."""

    start: float = 0.9
    tolerance: float = 1e-6
    limit: int = 1000
    pseudo: float = PSEUDO


@dataclass
class Coins:
    """What each voter's coins are, and what follows for each pair."""

    # (2, voters): P(votes for chosen | chosen better), P(votes for rejected | rejected better)
    said: Floats
    w: Floats  # (pairs,) P(chosen is better)
    iterations: int
    converged: bool


@dataclass
class _Step:
    to: Floats  # where one step of EM leads
    w: Floats  # (pairs,) P(chosen is better) where it starts
    height: float  # log posterior where it starts, up to a constant


def _fit(
    coded: Coded,
    course: Course,
    *,
    coins: int,
    free_prior: bool,
    labellers: Collection[str] = (),
) -> Coins:
    """EM's own fixed point, by SQUAREM:
    after two steps of EM a leap along them, and a step from where it ends.

    A leap that would lower the posterior is taken back, so that it never falls; every step counts
    as an iteration.
    """
    shape = (2, len(coded.voter_ids))
    least = np.zeros(2 * shape[1] + free_prior)
    least[: 2 * shape[1]] = np.tile(_least(coded, labellers), 2)
    # coins, and the share of right labels
    at = np.append(np.full(2 * shape[1], course.start), [0.5] * free_prior)
    trail, back, floor = [at], None, -np.inf
    fit = Coins(at[: 2 * shape[1]].reshape(shape), expit(coded.prior), course.limit, False)
    for iteration in range(1, course.limit + 1):
        step = _step(coded, at, coins, course.pseudo)
        step.to = np.maximum(step.to, least)
        if back is not None and not step.height >= floor:
            at, trail, back = back, [back], None
            continue
        change = float(np.max(np.abs(step.to - at), initial=0.0))
        fit = Coins(
            step.to[: 2 * shape[1]].reshape(shape), step.w, iteration, change < course.tolerance
        )
        if fit.converged:
            break
        at, back = step.to, None
        trail.append(at)
        if len(trail) == 3:
            leap = _leap(*trail)
            trail = [at] if leap is None else []
            if leap is not None:
                at, back, floor = np.maximum(leap, least), at, step.height
            else:
                back = None
    return fit


def _least(coded: Coded, labellers: Collection[str]) -> Floats:
    """(voters,) the least that each reliability may be."""
    gave = coded.voter_ids.is_in(list(labellers)).to_numpy()
    return np.where(gave, ABOVE_HALF, 0.0)


def _leap(x: Floats, one: Floats, two: Floats) -> Floats | None:
    """Varadhan and Roland 2008 (Scand.

    J. Statist. 35, 335-353), scheme S3; null where it would go no further than EM.

    x - 2 a r + a^2 v with a = -|r| / |v|, whose a = -1 is EM's second step. The leap is cut until
    all is within (0, 1) and on the second step's side of 1/2: beyond it lies the mirrored optimum,
    which EM would not have gone to.
    """
    r, v = one - x, two - 2 * one + x
    size = float(np.linalg.norm(v))
    a = -float(np.linalg.norm(r)) / size if size > 0 else -1.0
    while a < -1.01:
        leap: Floats = x - 2 * a * r + a * a * v
        if leap.min() > 0 and leap.max() < 1 and ((leap - 0.5) * (two - 0.5) >= 0).all():
            return leap
        a = (a - 1) / 2
    return None


def _step(coded: Coded, at: Floats, coins: int, pseudo: float) -> _Step:
    """One E- and one M-step from `at`:
    both coins of every voter, and the share of right labels where it is free.
    """
    n = 2 * len(coded.voter_ids)
    said, share = at[:n].reshape(2, -1), at[n:]
    base = (
        coded.prior
        if not len(share)
        else np.full_like(coded.prior, np.log(share) - np.log1p(-share))
    )
    likely = likelihoods(coded, said)
    right, wrong = np.log(likely)
    odds = base + np.bincount(coded.pair, (right - wrong)[coded.kind], len(base))
    w = expit(odds)
    given = at if coins == 2 else at[n // 2 :]  # one coin is written twice
    height = coded.count @ wrong + np.sum(np.logaddexp(0, odds) - np.logaddexp(0, base))
    height += pseudo * np.sum(np.log(given) + np.log1p(-given)) if pseudo else 0.0
    new = _coins(coded, said, likely, w, coins, pseudo).ravel()
    shares = (w.sum(keepdims=True) + pseudo) / (len(w) + 2 * pseudo) if len(share) else share
    return _Step(np.append(new, shares), w, float(height))


def likelihoods(coded: Coded, said: Floats) -> tuple[Floats, Floats]:
    """(u,) likelihood of a vote of each kind where the chosen side is better,
    and where the rejected one is.
    """
    chosen, rejected = said[:, coded.voter]
    p = coded.p
    return chosen * p + (1 - chosen) * (1 - p), rejected * (1 - p) + (1 - rejected) * p


def _coins(
    coded: Coded, said: Floats, likely: tuple[Floats, Floats], w: Floats, coins: int, pseudo: float
) -> Floats:
    """The M-step: expected right votes over expected votes, for each voter."""
    chosen, rejected = said[:, coded.voter]
    right, wrong = likely
    # (u,) votes where chosen is better
    mass = np.bincount(coded.kind, w[coded.pair], len(coded.p)).astype(np.float64)
    hits = (
        coded.per_voter(mass * chosen * coded.p / right),
        coded.per_voter((coded.count - mass) * rejected * (1 - coded.p) / wrong),
    )
    if coins == 1:
        eta = (hits[0] + hits[1] + pseudo) / (coded.per_voter(coded.count) + 2 * pseudo)
        return np.stack([eta, eta])
    trials = coded.per_voter(mass), coded.per_voter(coded.count - mass)
    return np.stack([(h + pseudo) / (n + 2 * pseudo) for h, n in zip(hits, trials, strict=True)])


def posterior(coded: Coded, said: Floats) -> Floats:
    """(pairs,) P(chosen is better) by the votes, the label's among them, and the prior."""
    right, wrong = np.log(likelihoods(coded, said))
    found: Floats = expit(
        coded.prior + np.bincount(coded.pair, (right - wrong)[coded.kind], len(coded.prior))
    )
    return found


def report(coded: Coded, fit: Coins, confidence: float | None, pseudo: float) -> Reliability:
    """A fit by EM as tables, with the intervals of the observed information."""
    own, total = information(coded, fit.said, fit.w, pseudo)
    known = own > 1e-6 * coded.per_voter(coded.count)
    eta = fit.said[0] if confidence is not None else expected_accuracy(coded, fit.w)
    low, high = (
        wilson(eta, total, confidence)
        if confidence is not None
        else (np.full(len(eta), np.nan),) * 2
    )
    return as_tables(coded, fit, known, (eta, low, high))


def as_tables(
    coded: Coded, fit: Coins, known: npt.NDArray[np.bool_], bounds: tuple[Floats, Floats, Floats]
) -> Reliability:
    """A fit as tables; `known`: voters that it says anything about; bounds: eta, low, high."""
    names = ("reliability", "low", "high")
    columns = {
        **dict(zip(names, bounds, strict=True)),
        "accuracy": expected_accuracy(coded, fit.w),
    }
    voters = pl.DataFrame(
        {
            "voter_id": coded.voter_ids,
            "n_votes": coded.per_voter(coded.count).astype(np.int64),
            **columns,
        }
    ).with_columns(
        pl.when(pl.Series("known", known)).then(pl.col(name)).fill_nan(None).alias(name)
        for name in columns
    )
    heard = coded.has_prior | (
        np.bincount(coded.pair, known[coded.voter[coded.kind]], len(fit.w)) > 0
    )
    n_votes = np.bincount(coded.pair, minlength=len(fit.w))
    p = pl.when(pl.Series(heard)).then(pl.Series("p", fit.w)).alias("p")
    pairs = pl.DataFrame({"pair_id": coded.pair_ids, "n_votes": n_votes}).with_columns(p)
    return Reliability(
        voters, pairs.with_columns(noise_score=1 - pl.col("p")), fit.iterations, fit.converged
    )


def expected_accuracy(coded: Coded, w: Floats) -> Floats:
    """(voters,) expected share of a voter's sides that are right; no side counts half."""
    votes = coded.per_voter(coded.count)
    mass = np.bincount(coded.kind, w[coded.pair], len(coded.p)).astype(np.float64)
    side = np.sign(coded.p - 0.5)
    agree = coded.per_voter(
        np.where(side > 0, mass, np.where(side < 0, coded.count - mass, coded.count / 2))
    )
    share: Floats = agree / np.maximum(votes, 1)
    return share
