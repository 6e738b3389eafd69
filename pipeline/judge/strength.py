"""From votes to strengths:
both orders of a pair into one probability, and one scale for all responses to a prompt.

How two orders are combined is our choice, as no paper read here says it. With `combine="logit"` the
two log-odds are averaged: a seat that adds a constant to the judge's log-odds then cancels exactly.
With "mean" the two probabilities are averaged. A pair whose two orders name different winners, or
of which one is a tie, has strength 0.5.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
import polars as pl
from scipy.sparse.csgraph import connected_components
from scipy.special import expit, logit

from pipeline.config import JudgeSettings

Calibration = Callable[[np.ndarray], np.ndarray]  # P to P, both (n,)
VOTER = ("judge_id", "criterion", "source", "origin")
TIE = 1e-9  # log-odds closer to 0 than this are a tie


def paired(votes: pl.DataFrame, settings: JudgeSettings) -> pl.DataFrame:
    """One row per voter and pair with both orders; a_id is the smaller id.

    Columns: prompt_id, judge_id, criterion, source, origin, method, a_id, b_id; in nats
    `with_a_first` and `with_b_first` (log-odds that the first seat wins) and `seat` (the voter's
    mean of these over all its votes); and from both orders p = P(a is better), consistent, flipped
    (both orders decided, for different winners), and strength (p, or 0.5 where not consistent).
    Pairs that were asked in one order only are left out.
    """
    bounded = pl.col("p_first").clip(settings.clip, 1 - settings.clip)
    a_first = pl.col("first_id") < pl.col("second_id")
    odds = (bounded / (1 - bounded)).log()
    both = (
        votes.with_columns(a_id=pl.min_horizontal("first_id", "second_id"))
        .with_columns(b_id=pl.max_horizontal("first_id", "second_id"))
        .group_by("prompt_id", *VOTER, "method", "a_id", "b_id")
        .agg(with_a_first=odds.filter(a_first).mean(), with_b_first=odds.filter(~a_first).mean())
        .drop_nulls(["with_a_first", "with_b_first"])
        .with_columns(
            seat=((pl.col("with_a_first") + pl.col("with_b_first")) / 2).mean().over(VOTER)
        )
        .sort("prompt_id", *VOTER, "a_id", "b_id")
    )
    return combined(both, settings.combine, corrected=settings.seat_correction)


def combined(both: pl.DataFrame, how: Literal["logit", "mean"], *, corrected: bool) -> pl.DataFrame:
    """Adds p, consistent, flipped and strength to rows of `paired`.

    `corrected`: without the voter's seat bias.
    """
    seat = pl.col("seat") if corrected else pl.lit(0.0)
    one, other = pl.col("with_a_first") - seat, pl.col("with_b_first") - seat  # for a, for b
    mean_odds = (one - other) / 2
    p = _sigmoid(mean_odds) if how == "logit" else (_sigmoid(one) + 1 - _sigmoid(other)) / 2
    decided = (one.abs() > TIE) & (other.abs() > TIE)
    same_winner = one.sign() != other.sign()
    return both.with_columns(
        p=p,
        consistent=decided & same_winner & (mean_odds.abs() > TIE),
        flipped=decided & ~same_winner,
    ).with_columns(strength=pl.when("consistent").then("p").otherwise(0.5))


def per_pair(pairs: pl.DataFrame, calibration: Calibration | None = None) -> pl.DataFrame:
    """One row per pair over all voters: prompt_id, a_id, b_id, strength = P(a is better).

    Voters are combined by the mean of their log-odds, an inconsistent one counting 0: our choice.
    Calibration follows.
    """
    odds = (pl.col("strength") / (1 - pl.col("strength"))).log()
    merged = pairs.group_by("prompt_id", "a_id", "b_id").agg(strength=_sigmoid(odds.mean()))
    if calibration is not None and merged.height:
        sure = merged["strength"].to_numpy()
        merged = merged.with_columns(
            strength=np.where(np.abs(sure - 0.5) < TIE, 0.5, calibration(sure))
        )
    return merged.sort("prompt_id", "a_id", "b_id")


def bradley_terry(edges: Mapping[tuple[str, str], float]) -> dict[str, tuple[float, int]]:
    """Response -> (log-strength theta in nats, its connected component)
    from P(a is better) of compared pairs.

    Maximises sum of p log sigmoid(theta_a - theta_b) + (1 - p) log sigmoid(theta_b - theta_a), each
    component centred on 0. On a tree of comparisons, such as OSP's one baseline, it is exact:
    sigmoid(theta_a - theta_b) = p, hence p_ij = sigmoid(logit(s_i) - logit(s_j)) through the
    baseline. Every p lies strictly between 0 and 1.
    """
    ids = sorted({one for edge in edges for one in edge})
    place = {one: i for i, one in enumerate(ids)}
    a = np.array([place[one] for one, _ in edges], dtype=int)
    b = np.array([place[other] for _, other in edges], dtype=int)
    p = np.array(list(edges.values()), dtype=float)
    design = np.zeros((len(p), len(ids)))
    design[np.arange(len(p)), a], design[np.arange(len(p)), b] = 1.0, -1.0
    # Least squares on the log-odds: exact on trees, where Newton's first step then has nothing left
    # to do.
    theta = np.linalg.pinv(design) @ logit(p)
    for _ in range(100):
        share = expit(design @ theta)
        slope = design.T @ (p - share)
        if np.abs(slope).max() < 1e-10:
            break
        curvature = design.T @ (design * (share * (1 - share))[:, None])
        theta = _climb(theta, np.linalg.pinv(curvature, hermitian=True) @ slope, design, p)
    linked = np.abs(design.T) @ np.abs(design)
    component = connected_components(linked, directed=False)[1]
    return {one: (float(theta[i]), int(component[i])) for one, i in place.items()}


def ranked(pairs: pl.DataFrame, ranks: Literal["all", "adjacent"]) -> pl.DataFrame:
    """Ordered pairs with strengths from rows of `per_pair`:
    prompt_id, better_id, worse_id, strength, both ranks.

    Responses are ranked by their Bradley-Terry strength, from 0; equal ones share a rank and make
    no pair, and neither does a pair that was asked and found inconsistent or tied. "adjacent" keeps
    neighbouring ranks only.
    """
    rows: list[dict[str, object]] = []
    for (prompt_id,), own in pairs.sort("prompt_id", "a_id", "b_id").group_by(
        "prompt_id", maintain_order=True
    ):
        edges = {(a, b): p for a, b, p in own.select("a_id", "b_id", "strength").iter_rows()}
        rows += [{"prompt_id": prompt_id, **row} for row in _ordered(edges, ranks)]
    numbers = {"strength": pl.Float64, "rank_better": pl.Int64, "rank_worse": pl.Int64}
    ids = dict.fromkeys(("prompt_id", "better_id", "worse_id"), pl.String)
    return pl.DataFrame(rows, schema={**ids, **numbers})


def _ordered(edges: Mapping[tuple[str, str], float], ranks: str) -> list[dict[str, object]]:
    found = bradley_terry(edges)
    tied = {frozenset(edge) for edge, p in edges.items() if abs(logit(p)) <= TIE}
    rows: list[dict[str, object]] = []
    for component in sorted({part for _, part in found.values()}):
        members = {one: theta for one, (theta, part) in found.items() if part == component}
        rank = _ranks(members)
        for one, other in ((x, y) for x in members for y in members if rank[x] < rank[y]):
            if frozenset((one, other)) in tied or (
                ranks == "adjacent" and rank[other] - rank[one] > 1
            ):
                continue
            strength = float(expit(members[one] - members[other]))
            row = {"better_id": one, "worse_id": other, "strength": strength}
            rows.append({**row, "rank_better": rank[one], "rank_worse": rank[other]})
    return rows


def _ranks(theta: Mapping[str, float]) -> dict[str, int]:
    """Dense ranks from 0, the highest first; values within 1e-6 share one."""
    ordered: Sequence[str] = sorted(theta, key=lambda one: (-theta[one], one))
    ranks: dict[str, int] = {}
    for before, one in zip([None, *ordered], ordered, strict=False):
        if before is None:
            ranks[one] = 0
        else:
            ranks[one] = ranks[before] + (theta[before] - theta[one] > 1e-6)
    return ranks


def _climb(theta: np.ndarray, step: np.ndarray, design: np.ndarray, p: np.ndarray) -> np.ndarray:
    """The step, halved until the likelihood does not fall."""

    def value(at: np.ndarray) -> float:
        h = design @ at
        return float(-(p * np.logaddexp(0, -h) + (1 - p) * np.logaddexp(0, h)).sum())

    now = value(theta)
    for _ in range(30):
        if value(theta + step) >= now:
            return np.asarray(theta + step)
        step = step / 2
    return theta


def _sigmoid(odds: pl.Expr) -> pl.Expr:
    return 1 / (1 + (-odds).exp())
