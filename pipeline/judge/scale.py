"""Reward models that judge together: their scores on one scale before they are combined."""

import numpy as np
import polars as pl

from pipeline.judge.reward import CRITERION
from pipeline.noise.calibrate import fit

FEWEST = 20  # labelled pairs that calibrate a model; our choice
VOTER = ("judge_id", "source", "origin")


def on_one_scale(votes: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """The votes, with `p_first` of reward models as the sigmoid of calibrated score differences.

    Two reward models have no unit in common: one whose scores are twenty times as large would
    outvote the others. Each model's difference is multiplied by the log-odds that a unit of it is
    worth on labelled pairs (`pipeline.noise.calibrate.fit`); where one of them has fewer than
    FEWEST of these, all get the same root mean square instead, the median of theirs. One voter
    alone stays as it is, and so do judges that read words: theirs are probabilities.

    Args:
        votes: rows of `votes`.
        labels: a_id, b_id, label (1 where a is better, 0 where b is).
    """
    if votes.select("judge_id", "criterion").unique().height < 2:
        return votes
    scored = (pl.col("criterion") == CRITERION) & (pl.col("method") == "scores")
    others, own = votes.filter(~scored), votes.filter(scored)
    if own.is_empty():
        return votes
    own = own.with_columns(apart=pl.col("score_first") - pl.col("score_second"))
    slopes = _slopes(own, labels)
    slope = pl.struct(VOTER).map_elements(
        lambda voter: slopes[tuple(voter.values())], return_dtype=pl.Float64
    )
    odds = slope * pl.col("apart")
    scaled = own.with_columns(p_first=1 / (1 + (-odds.clip(-500, 500)).exp()))
    return pl.concat([others, scaled.drop("apart")])


def _slopes(own: pl.DataFrame, labels: pl.DataFrame) -> dict[tuple[str, ...], float]:
    """Nats that a unit of every model's difference is worth."""
    known = labels.select(first_id="a_id", second_id="b_id", side=2 * pl.col("label") - 1)
    turned = known.select(first_id="second_id", second_id="first_id", side=-pl.col("side"))
    seen = own.join(pl.concat([known, turned]), on=["first_id", "second_id"], how="left")
    found: dict[tuple[str, ...], float] = {}
    sizes: dict[tuple[str, ...], float] = {}
    enough = True
    for voter, rows in seen.sort("first_id", "second_id").group_by(VOTER, maintain_order=True):
        # both orders of a pair say the same
        labelled = rows.filter(
            pl.col("side").is_not_null(), pl.col("first_id") < pl.col("second_id")
        )
        enough = enough and labelled.height >= FEWEST
        margins = (labelled["apart"] * labelled["side"]).to_numpy()
        key = tuple(map(str, voter))
        found[key] = fit(margins).slope
        sizes[key] = float(np.sqrt((rows["apart"].to_numpy() ** 2).mean()))
    if enough:
        return found
    middle = float(np.median([size for size in sizes.values() if size > 0] or [1.0]))
    return {key: middle / size if size > 0 else 0.0 for key, size in sizes.items()}
