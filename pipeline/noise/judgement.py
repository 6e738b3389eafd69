"""What the votes on the pairs of a variant say: rows of `pair_strengths` and of `voters`."""

import numpy as np
import polars as pl

from pipeline import tables
from pipeline.config import NoiseSettings
from pipeline.noise.calibrate import OWN
from pipeline.noise.choice import Weighed
from pipeline.noise.families import pooled
from pipeline.noise.intervals import wilson
from pipeline.noise.strength import label_noise, strengths
from pipeline.noise.truth import measured

KEYS = ["source", "chosen_id", "rejected_id"]
NOTHING_KNOWN = pl.DataFrame(
    schema={"pair_id": pl.String, "right": pl.Float64, "verified": pl.Boolean}
)


def judge(
    pairs: pl.DataFrame,
    votes: pl.DataFrame,
    source: str,
    settings: NoiseSettings,
    known: pl.DataFrame = NOTHING_KNOWN,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows of `pair_strengths` and of `voters`.

    A label's source is its method, `label:<method>`. Models that learnt from the labels give each
    pair's prior together (`calibrated_prior`); voters from elsewhere have one vote a family beside
    the label. Noise scores never use what is known of the pairs' labels: that only says how often
    each voter is right.

    Args:
        pairs: rows of the source variant.
        votes: rows of `pair_votes` on them.
        known: pair_id, right: P(chosen is better) where it is known, verified: by a verifier, else
            by annotators.
    """
    if votes.is_empty():
        return tables.empty("pair_strengths"), tables.empty("voters")
    votes = votes.with_columns(family=pl.coalesce("family", "voter_id"))
    own = pl.col("kind").is_in(OWN)
    labels = pairs.select("pair_id", voter_id="label:" + pl.col("method"))
    labels = labels.join(votes.select("pair_id").unique(), on="pair_id", how="semi")
    plain = strengths(votes.filter(own).drop("family"))
    found = label_noise(plain, labels, pooled(votes.filter(~own)), start=settings.start)
    rows = _strengths(pairs, votes, labels, found)
    voters = _voters(votes, labels, found, known)
    return (
        rows.with_columns(source=pl.lit(source))
        .select(tables.empty("pair_strengths").columns)
        .sort(*KEYS),
        voters.with_columns(source=pl.lit(source))
        .select(tables.empty("voters").columns)
        .sort("kind", "voter_id"),
    )


def _strengths(
    pairs: pl.DataFrame, votes: pl.DataFrame, labels: pl.DataFrame, found: Weighed
) -> pl.DataFrame:
    rates = found.found.voters.select("voter_id", flip_rate=1 - pl.col("reliability"))
    by_source = labels.join(rates, on="voter_id", how="left").drop("voter_id")
    return (
        pairs.select("pair_id", "chosen_id", "rejected_id", "prompt_id", "split")
        .join(strengths(votes), on="pair_id")
        .join(found.found.pairs.select("pair_id", "noise_score"), on="pair_id", how="left")
        .join(by_source, on="pair_id", how="left")
    )


def _voters(
    votes: pl.DataFrame, labels: pl.DataFrame, found: Weighed, known: pl.DataFrame
) -> pl.DataFrame:
    """One row per voter and per source of labels."""
    sides = votes.select(
        "pair_id", "voter_id", "kind", "family", "p", side=pl.coalesce("margin", pl.col("p") - 0.5)
    )
    names = ["voter_id", "consensus", "consensus_low", "consensus_high"]
    fitted = found.found.voters.select(
        "voter_id",
        "n_votes",
        consensus="reliability",
        consensus_low="low",
        consensus_high="high",
    )
    sources = labels.select("voter_id").unique().join(fitted, on="voter_id")
    sources = sources.with_columns(kind=pl.lit("label"), family="voter_id")
    others = sides.group_by("voter_id", "kind", "family").agg(n_votes=pl.len().cast(pl.Int64))
    others = others.join(_consensus(sides, found.found.pairs).select(names), on="voter_id")
    every = pl.concat([sources, others], how="diagonal_relaxed")
    of_labels = labels.select("pair_id", "voter_id", side=pl.lit(1.0))
    truth = pl.concat(
        [
            measured(sides.select("pair_id", "voter_id", "side"), known),
            measured(of_labels, _not_of_labels(known)),
        ]
    )
    against = found.predicted.rename({"voter_id": "family"})
    return (
        every.join(truth, on="voter_id", how="left")
        .join(_with_labels(sides), on="voter_id", how="left")
        .join(against, on="family", how="left")
        .with_columns(
            pl.col("n_known").fill_null(0),
            contradicts=pl.col("contradicts").fill_null(False),
            weighed_by=pl.lit(found.method),
        )
    )


def _not_of_labels(known: pl.DataFrame) -> pl.DataFrame:
    """What is known from elsewhere than the labels themselves.

    Verdicts that contradict no label made them, as those of `outcome` did: they would call the
    labels' own source right by construction. (A source that is right in all verified pairs loses
    its number too: our choice.)
    """
    verdicts = known.filter(pl.col("verified"))["right"]
    return known if (verdicts < 1).any() else known.filter(~pl.col("verified"))


def _consensus(sides: pl.DataFrame, truth: pl.DataFrame) -> pl.DataFrame:
    """How often each voter is right if the posterior of all votes is: an expectation over pairs,
    with Wilson's interval; null for a voter that never takes a side.
    """
    side = pl.col("side")
    right = pl.when(side > 0).then("right").when(side < 0).then(1 - pl.col("right")).otherwise(0.5)
    each = (
        sides.join(truth.select("pair_id", right="p"), on="pair_id")
        .filter(pl.col("right").is_not_null())
        .group_by("voter_id")
        .agg(consensus=right.mean(), n=pl.len(), sided=(side != 0).any())
    )
    shares = pl.when("sided").then("consensus")
    each = sides.select("voter_id").unique().join(each, on="voter_id", how="left")
    each = each.with_columns(consensus=shares)
    share = each["consensus"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    n = each["n"].fill_null(1).to_numpy().astype(np.float64)
    low, high = wilson(share, n, 0.95)
    return each.with_columns(
        consensus_low=pl.Series(low).fill_nan(None), consensus_high=pl.Series(high).fill_nan(None)
    )


def _with_labels(sides: pl.DataFrame) -> pl.DataFrame:
    """voter_id, agreement with the labels, and the calibration error over ten equal bins of p."""
    p, side = pl.col("p"), pl.col("side")
    agrees = pl.when(side > 0).then(1.0).when(side < 0).then(0.0).otherwise(0.5)
    # p of a label's own side: with probability p the label should agree, so a pair counts once for
    # each side.
    both = pl.concat(
        [
            sides.select("voter_id", "p", hit=pl.lit(1.0)),
            sides.select("voter_id", p=1 - p, hit=pl.lit(0.0)),
        ]
    )
    bins = both.group_by("voter_id", (p * 10).floor().clip(0, 9).alias("bin"))
    gaps = bins.agg(gap=(p.mean() - pl.col("hit").mean()).abs(), n=pl.len())
    error = gaps.group_by("voter_id").agg(
        calibration_error=(pl.col("gap") * pl.col("n")).sum() / pl.col("n").sum()
    )
    return sides.group_by("voter_id").agg(agreement=agrees.mean()).join(error, on="voter_id")


def warnings(voters: pl.DataFrame) -> list[str]:
    """What must be known before the noise scores are used, a sentence each; empty: nothing.

    Args:
        voters: rows of `voters`.
    """
    said = []
    for (source,), rows in voters.sort("source", "voter_id").group_by(
        "source", maintain_order=True
    ):
        flagged = rows.filter(pl.col("contradicts").fill_null(False))
        if flagged.is_empty():
            continue
        each = [
            f"{r['voter_id']} (agrees with {r['agreement']:.0%} of the labels, "
            f"{r['predicted']:.0%} expected)"
            for r in flagged.to_dicts()
        ]
        how = flagged["weighed_by"][0]
        kept = (
            "Voters were weighed by their agreement with the labels instead"
            if how == "agreement"
            else "Noise scores rest on these reliabilities all the same: do not trust them"
        )
        said.append(
            f"RELIABILITY AND AGREEMENT CONTRADICT EACH OTHER on the pairs of {source}: "
            f"{'; '.join(each)}. Voters who err together look reliable to each other. {kept}. "
            "Name voters of one origin in noise.families, or leave some out."
        )
    return said
