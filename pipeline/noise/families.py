"""Families of voters: those of one origin err together, and have one vote between them.

Our own reward models stand on one base and learn from the same labels; a judge that is asked under
several criteria is one judge. What else belongs together is declared: `family` of an external
voter, and `noise.families` for everybody else.
"""

from collections.abc import Mapping

import polars as pl

from pipeline.config import NoiseSettings
from pipeline.errors import OrchardError
from pipeline.noise.calibrate import OWN
from pipeline.noise.votes import UNKNOWN

OWN_FAMILY = "own models"
Families = Mapping[str, str]  # voter, by its id or by its name before "@" -> family


def declared(settings: NoiseSettings, judgements: pl.DataFrame | None = None) -> Families:
    """The family of every voter that has another one than its own name.

    Args:
        judgements: rows of `votes`; a judge's criteria are one family.

    Raises:
        OrchardError: a voter is declared to be of two families.
    """
    found: dict[str, str] = {v.name: v.family for v in settings.external if v.family is not None}
    for family, members in settings.families.items():
        for member in members:
            if found.setdefault(member, family) != family:
                both = f"{found[member]!r} and {family!r}"
                raise OrchardError(f"noise.families: voter {member!r} is of {both}: name one")
    if judgements is not None:
        for judge, criterion in judgements.select("judge_id", "criterion").unique().iter_rows():
            found.setdefault(f"{judge} on {criterion}", found.get(judge, judge))
    return found


def with_families(votes: pl.DataFrame, families: Families) -> pl.DataFrame:
    """Votes with their voter's `family`.

    Args:
        votes: voter_id, and kind.
    """
    name = pl.col("voter_id").str.split("@").list.first()
    known = [voter.replace_strict(dict(families), default=None, return_dtype=pl.String)
             for voter in (pl.col("voter_id"), name)]  # fmt: skip
    own = pl.when(pl.col("kind").is_in(OWN)).then(pl.lit(OWN_FAMILY))
    return votes.with_columns(family=pl.coalesce(*known, own, "voter_id"))


def pooled(votes: pl.DataFrame) -> pl.DataFrame:
    """One vote a family and pair, the mean p of its members: pair_id, voter_id (the family), p.

    The votes of nobody who was named stay apart: they may be those of several people.
    """
    apart = pl.when(pl.col("family") == UNKNOWN).then(pl.int_range(pl.len())).otherwise(-1)
    means = (
        votes.sort("pair_id", "voter_id", "p")
        .group_by("pair_id", "family", apart.alias("apart"))
        .agg(pl.col("p").sort().mean())
    )
    return means.select("pair_id", voter_id="family", p="p")
