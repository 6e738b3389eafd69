"""Votes whose truth is known because it was drawn here."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import stats

ETAS = {"good": 0.95, "fair": 0.8, "poor": 0.6}


@dataclass(frozen=True)
class World:
    """Pairs, of which `right` says whether the chosen side is really better, and votes on them."""

    votes: pl.DataFrame
    right: np.ndarray  # (pairs,) in the order of pair_ids
    pair_ids: list[str]


def world(
    n: int, etas: dict[str, float], *, seen: float = 1.0, clean: float = 0.7, seed: int = 0
) -> World:
    """`clean` is the share of right labels; each voter votes on a share `seen` of the pairs."""
    rng = np.random.default_rng(seed)
    ids = [f"p{i:06d}" for i in range(n)]
    right = rng.random(n) < clean
    frames = []
    for name, eta in etas.items():
        says = np.where(rng.random(n) < eta, right, ~right)
        votes = pl.DataFrame({"pair_id": ids, "voter_id": name, "p": says.astype(float)})
        frames.append(votes.filter(pl.Series(rng.random(n) < seen)))
    return World(pl.concat(frames), right, ids)


def auroc(score: np.ndarray, positive: np.ndarray) -> float:
    """The Mann-Whitney statistic over the number of comparisons: ties count half."""
    statistic = stats.mannwhitneyu(score[positive], score[~positive]).statistic
    return float(statistic) / (positive.sum() * (~positive).sum())


def bayes(w: World, etas: dict[str, float], clean: float) -> np.ndarray:
    """P(label is wrong) by Bayes' rule with the true reliabilities."""
    odds = pl.col("voter_id").replace_strict({k: np.log(v / (1 - v)) for k, v in etas.items()})
    each = (
        w.votes.with_columns(s=odds * (2 * pl.col("p") - 1))
        .group_by("pair_id")
        .agg(pl.col("s").sum())
    )
    total = (
        pl.DataFrame({"pair_id": w.pair_ids})
        .join(each, on="pair_id", how="left")["s"]
        .fill_null(0)
        .to_numpy()
    )
    return 1 / (1 + np.exp(total + np.log(clean / (1 - clean))))
