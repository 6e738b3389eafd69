"""Noise: how strong the labels are, who voted, and what the self-test said."""

import polars as pl

from pipeline.config import Settings
from pipeline.noise.figures import histograms, of_strength
from pipeline.noise.judgement import warnings
from pipeline.store.reader import Reader
from pipeline.validation.report.blocks import Block, Picture, Section, Table, Text

VOTERS = (
    "Voters: how often they are right on pairs whose better side is known (reliability, 95 % "
    "interval), how often all votes together side with them (consensus, which is no accuracy), "
    "and their agreement with the labels, beside what their reliability predicts"
)


def votes(lake: Reader, _: Settings) -> Section | None:
    """Strengths and noise scores of the pairs, the voters, and the self-test;
    nothing where nothing was voted on.
    """
    strength = lake.read("pair_strengths")
    if strength.is_empty():
        return None
    voters = lake.read("voters")
    blocks: list[Block] = [*(Text(said) for said in warnings(voters)), Text(_sentence(strength))]
    blocks += _chance(voters)
    known = strength.drop_nulls("mean")
    if known.height:
        said = (
            "voters for the label, P(label is right), and labels that are right, "
            "by decile of the mean margin"
        )
        groups = (
            known.group_by("decile")
            .agg(
                pl.len().alias("pairs"),
                pl.col("mean", "share_against", "noise_score").mean().round(3),
            )
            .sort("decile")
        )
        table = _table("By decile of the mean margin", groups)
        blocks.append(Picture(of_strength(known, lake.query_file("label_truth")), said, table))
    said = "histograms of the pairs' mean margins and noise scores"
    blocks.append(Picture(histograms(strength), said, _table("Quantiles", _quantiles(strength))))
    blocks += _of_voters(lake, voters)
    if lake.read("noise_tests").height:
        blocks.append(
            _table("Labels flipped on purpose: who finds them", lake.query_file("noise_scorers"))
        )
        blocks.append(
            _table("Labels flipped on purpose: what helps", lake.query_file("noise_treatments"))
        )
    return Section("Noise", blocks)


def _of_voters(lake: Reader, voters: pl.DataFrame) -> list[Block]:
    """The voters' table, and how they did on recorded pairs."""
    shown = voters.select(
        "voter_id",
        "kind",
        "family",
        "n_votes",
        "n_known",
        "reliability",
        "low",
        "high",
        "consensus",
        "agreement",
        "predicted",
        "contradicts",
        "calibration_error",
    )
    blocks: list[Block] = [_table(VOTERS, shown)]
    checks = lake.read("voter_checks")
    if checks.height:
        found = checks.drop("source").sort("origin", "subset", "voter_id")
        blocks.append(_table("Voters on recorded pairs that they were not fitted on", found))
    return blocks


def _sentence(strength: pl.DataFrame) -> str:
    """What the vote says, in words."""
    n, scored = strength.height, strength["noise_score"].drop_nulls()
    below = strength.drop_nulls("mean").select((pl.col("mean") < 0).mean()).item()
    said = f"{n} pairs of {', '.join(strength['source'].unique().sort())} were voted on."
    if below is not None:
        said += f" The voters' mean is against the label of {below:.1%}."
    if len(scored):
        said += (
            f" By the noise scores, {float(scored.sum()) / len(scored):.1%} of the labels are wrong"
        )
        said += (
            "."
            if len(scored) == n
            else f" (of {len(scored)} pairs whose voters' reliability is known)."
        )
    return said


def _chance(voters: pl.DataFrame) -> list[Block]:
    """Where no voter is known to be better than a coin,
    what the vote says about single labels is worth nothing.
    """
    models = voters.filter(pl.col("kind") != "label")
    low, high = pl.coalesce("low", "consensus_low"), pl.coalesce("high", "consensus_high")
    if models.is_empty() or models.filter((low > 0.5) | (high < 0.5)).height:
        return []
    return [
        Text(
            f"None of the {models.height} voters can be told from a coin on these pairs "
            "(every interval holds 0.5): "
            "flipping or removing pairs by their votes does as much harm as good. "
            "More pairs, a larger model or voters from elsewhere "
            "(noise.external, orchard import) would help."
        )
    ]


def _quantiles(strength: pl.DataFrame) -> pl.DataFrame:
    shares = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
    each = [
        strength.select(pl.lit(q).alias("quantile"), pl.col("mean", "noise_score").quantile(q))
        for q in shares
    ]
    return pl.concat(each)


def _table(caption: str, frame: pl.DataFrame) -> Table:
    return Table(caption, [name.replace("_", " ") for name in frame.columns], frame.rows())
