"""How often voters are right, by labels of the same pairs that are known from elsewhere."""

import numpy as np
import polars as pl

from pipeline.noise.intervals import wilson


def measured(sides: pl.DataFrame, known: pl.DataFrame, confidence: float = 0.95) -> pl.DataFrame:
    """Share of each voter's sides that are the better ones, corrected for doubtful labels.

    A verifier's label is sure. Annotators who were not of one mind give a share, P(chosen is
    better), and such a pair says the less, the nearer it is to a half. With c = 2 share - 1 and h =
    1, -1 or 0 for the side that the voter took, E[h] = c (2 r - 1), so that r = 1/2 + sum(c h) /
    (2 sum(c^2)): least squares, our choice; the plain share of right sides where all labels are
    sure.

    Args:
        sides: pair_id, voter_id, side (above 0: the chosen one).
        known: pair_id, right: P(chosen is better) by a verifier or by annotators.

    Returns:
        voter_id, n_known, reliability, low, high (Wilson's interval with the variance of the
        estimate); voters without a known pair have no row.
    """
    c = 2 * pl.col("right") - 1
    each = (
        sides.join(known.select("pair_id", "right"), on="pair_id")
        .with_columns(c=c, h=pl.col("side").sign())
        .filter(pl.col("c") != 0)
        .group_by("voter_id")
        .agg(
            n_known=pl.len().cast(pl.Int64),
            sum=(pl.col("c") * pl.col("h")).sum(),
            squares=(pl.col("c") ** 2).sum(),
            fourths=(pl.col("c") ** 4).sum(),
        )
        .sort("voter_id")
    )
    squares = each["squares"].to_numpy()
    mean = np.clip(each["sum"].to_numpy() / np.maximum(squares, 1e-12), -1, 1)
    share = (1 + mean) / 2
    # (1 - mean^2) / n is the variance of the mean of n sure labels
    variance = (squares - mean**2 * each["fourths"].to_numpy()) / np.maximum(squares, 1e-12) ** 2
    sure = 1 - mean**2
    n = np.where((sure > 0) & (variance > 0), sure / np.maximum(variance, 1e-12), squares)
    low, high = wilson(share, np.maximum(n, 1e-9), confidence)
    return each.select(
        "voter_id",
        "n_known",
        reliability=pl.Series(share),
        low=pl.Series(low),
        high=pl.Series(high),
    )
