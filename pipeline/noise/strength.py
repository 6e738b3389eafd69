"""How strongly voters stand behind each label: mean, spread, share against it, decile."""

from collections.abc import Mapping

import polars as pl

from pipeline.noise.calibrate import OWN, calibrated_prior, fit
from pipeline.noise.choice import Weighed, weigh

GROUPS = 10


def strengths(votes: pl.DataFrame) -> pl.DataFrame:
    """One row per pair from one row per pair and voter:
    Secrets of RLHF II (arXiv 2401.06080), section 2, for voters of several families.

    Args:
        votes: pair_id, voter_id, margin (reward of the chosen side minus that of the rejected one,
            standardised); perhaps p, which turns a margin that calibration found to say the
            opposite of the truth, and stands for a margin where a voter has none; and perhaps
            family and kind. What is null or not finite in both is no vote.

    Returns:
        pair_id; n_votes; mean of the families' margins (see `_means`), null where no voter of
        these pairs has margins; spread, the population standard deviation of all voters' margins;
        share_against, the share of voters that prefer the rejected side (of two minds: half);
        decile, 0 for the tenth with the lowest means to 9 (equal means share one), null without a
        mean. Pairs without votes have no row.
    """
    margin = pl.col("turned")
    leaning = pl.coalesce(margin, pl.col("p") - 0.5) if "p" in votes.columns else margin
    against = (leaning < 0).cast(pl.Float64) + (leaning == 0).cast(pl.Float64) / 2
    turned = _turned(votes).filter(leaning.is_finite())
    found = turned.group_by("pair_id").agg(
        n_votes=pl.len().cast(pl.Int64),
        # sorted, so that the order of rows cannot change the last digit
        spread=margin.sort().std(ddof=0),
        share_against=against.mean(),
    )
    found = found.join(_means(turned), on="pair_id", how="left")
    place = (pl.col("mean").rank("average") - 0.5) / pl.col("mean").count()
    columns = ["pair_id", "n_votes", "mean", "spread", "share_against"]
    return found.select(*columns, decile=(place * GROUPS).floor().cast(pl.Int64)).sort("pair_id")


def _turned(votes: pl.DataFrame) -> pl.DataFrame:
    """Votes with `turned`: the margin on the side that it speaks for.

    Beside margins, a voter's probabilities count as margins of root mean square sqrt 2, as those
    of `recorded_votes`; without any margins they are none.
    """
    finite: pl.Expr = pl.when(pl.col("margin").is_finite()).then("margin")
    if "p" not in votes.columns:
        return votes.with_columns(turned=finite)
    finite = pl.when(contrary()).then(-finite).otherwise(finite)
    if votes.select(pl.col("margin").is_finite().any()).item() is not True:
        return votes.with_columns(turned=finite)
    side = pl.col("p") - 0.5
    size = (side**2).mean().over("voter_id").sqrt()
    said = pl.when(size > 0).then(side * 2**0.5 / size).otherwise(0.0)
    return votes.with_columns(turned=pl.coalesce(finite, pl.when(side.is_finite()).then(said)))


def _means(votes: pl.DataFrame) -> pl.DataFrame:
    """pair_id, mean: every family has one vote, the mean of its members' margins.

    Families are weighed by their calibration: by the log-odds that a unit of their margin is worth,
    if the labels are as reliable as the family that agrees with them most finds them (our choice:
    the share of wrong labels is one number, and not another one for each family). The mean is over
    the families that voted on the pair, and stays in standard deviations of rewards. Families that
    tell nothing about the labels have no weight; if none does, all have the same.
    """
    margin = pl.col("turned").sort().mean()
    if "family" not in votes.columns:
        return votes.group_by("pair_id").agg(mean=margin)
    is_own = pl.col("kind").is_in(OWN).all() if "kind" in votes.columns else pl.lit(False)
    family = pl.coalesce("family", "voter_id").alias("family")
    known = votes.filter(pl.col("turned").is_not_null())
    each = known.group_by("pair_id", family).agg(margin=margin)
    if known.is_empty():
        return known.select("pair_id", mean="turned")
    own = dict(known.group_by(family).agg(own=is_own).iter_rows())
    weights = family_weights(each, own)
    weight = pl.col("family").replace_strict(weights, return_dtype=pl.Float64)
    total = (pl.col("margin") * weight).sort().sum() / weight.sort().sum()
    plain = pl.col("margin").sort().mean()
    means = each.group_by("pair_id").agg(mean=pl.when(weight.sum() > 0).then(total), plain=plain)
    alike = not any(weights.values())
    return means.select("pair_id", mean=pl.coalesce("mean", "plain") if alike else pl.col("mean"))


def family_weights(margins: pl.DataFrame, own: Mapping[str, bool]) -> dict[str, float]:
    """Nats that a unit of each family's margin is worth.

    Args:
        margins: pair_id, family, margin.
        own: whether a family learnt from these labels.
    """
    each = {
        str(family): rows["margin"].to_numpy()
        for (family,), rows in margins.sort("family", "pair_id").group_by("family")
    }
    eta = max((fit(m, contrary=False).label_eta for m in each.values()), default=0.5)
    fits = {name: fit(m, contrary=not own[name], label_eta=eta) for name, m in each.items()}
    return {name: max(found.slope, 0.0) for name, found in fits.items()}


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
    others: pl.DataFrame | None = None,
    *,
    start: float = 0.9,
) -> Weighed:
    """Which labels are wrong: LCPO with the calibrated mean margin as each pair's prior, or the
    same votes weighed by their agreement with the labels (see `weigh`).

    Args:
        strength: pair_id, mean, as `strengths` gives them: of models that learnt from the labels.
        labels: pair_id, voter_id: who gave the label, which says that the chosen side is better.
        others: further votes, one a family: pair_id, voter_id, p.
    """
    votes = [labels.select("pair_id", "voter_id", p=pl.lit(1.0))]
    votes += [] if others is None else [others.select("pair_id", "voter_id", "p")]
    labellers = labels["voter_id"].unique().to_list()
    return weigh(pl.concat(votes), calibrated_prior(strength), labellers, start=start)
