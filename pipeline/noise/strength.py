"""How strongly voters stand behind each label: mean, spread, share against it, decile."""

import polars as pl

from pipeline.noise.calibrate import calibrated_prior
from pipeline.noise.reliability import Reliability, lcpo

GROUPS = 10


def strengths(votes: pl.DataFrame) -> pl.DataFrame:
    """One row per pair from one row per pair and voter:
    Secrets of RLHF II (arXiv 2401.06080), section 2.

    Args:
        votes: pair_id, voter_id, margin (reward of the chosen side minus that of the rejected one,
            standardised), and perhaps p, which counts where there is no margin, and turns a margin
            that calibration found to say the opposite of the truth. What is null or not finite in
            both is no vote.

    Returns:
        pair_id; n_votes; mean and spread (population standard deviation) of the margins, null where
        there is none; share_against, the share of voters that prefer the rejected side (of two
        minds: half); decile, 0 for the tenth with the lowest means to 9 (equal means share one),
        null without a mean. Pairs without votes have no row.
    """
    finite: pl.Expr = pl.when(pl.col("margin").is_finite()).then("margin")
    if "p" in votes.columns:
        finite = pl.when(contrary()).then(-finite).otherwise(finite)
    leaning = pl.coalesce("margin", pl.col("p") - 0.5) if "p" in votes.columns else pl.col("margin")
    against = (leaning < 0).cast(pl.Float64) + (leaning == 0).cast(pl.Float64) / 2
    margin = pl.col("margin")
    found = (
        votes.with_columns(margin=finite)
        .filter(leaning.is_finite())
        .group_by("pair_id")
        .agg(
            n_votes=pl.len().cast(pl.Int64),
            # sorted, so that the order of rows cannot change the last digit
            mean=margin.sort().mean(),
            spread=margin.sort().std(ddof=0),
            share_against=against.mean(),
        )
    )
    place = (pl.col("mean").rank("average") - 0.5) / pl.col("mean").count()
    return found.with_columns(decile=(place * GROUPS).floor().cast(pl.Int64)).sort("pair_id")


def contrary() -> pl.Expr:
    """Whether a vote's calibrated p takes the other side than its margin:
    the voter's slope is negative.
    """
    return ((pl.col("p") - 0.5) * pl.col("margin") < 0).fill_null(False)


def by_decile(strength: pl.DataFrame, agrees: pl.Expr) -> list[tuple[float, float]]:
    """(decile, mean of `agrees`): the paper's figure, accuracy or agreement by strength."""
    groups = (
        strength.drop_nulls("decile")
        .group_by("decile")
        .agg(value=agrees.mean())
        .drop_nulls()
        .sort("decile")
    )
    return [
        (float(decile), float(value))
        for decile, value in groups.select("decile", "value").iter_rows()
    ]


def label_noise(
    strength: pl.DataFrame,
    labels: pl.DataFrame,
    recorded: pl.DataFrame | None = None,
    *,
    start: float = 0.9,
) -> Reliability:
    """LCPO with the calibrated mean margin as each pair's prior:
    who labels how well, and which labels are wrong.

    Args:
        strength: pair_id, mean, as `strengths` gives them.
        labels: pair_id, voter_id: who gave the label, which says that the chosen side is better.
        recorded: further votes by judges or people: pair_id, voter_id, p.
    """
    votes = [labels.select("pair_id", "voter_id", p=pl.lit(1.0))]
    votes += [] if recorded is None else [recorded.select("pair_id", "voter_id", "p")]
    return lcpo(pl.concat(votes), calibrated_prior(strength), start=start)
