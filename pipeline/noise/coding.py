"""Votes as integer codes,
so that an iteration over a million of them is a handful of array operations.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from pipeline.errors import OrchardError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Coded:
    """n votes of u kinds on pairs.

    A kind is one voter and one value of p, so hard votes have two kinds a voter.
    """

    pair_ids: pl.Series
    voter_ids: pl.Series
    pair: Ints  # (n,) index of the vote's pair
    kind: Ints  # (n,) index of the vote's kind
    voter: Ints  # (u,) voter of a kind
    p: Floats  # (u,) P(chosen is better) that votes of this kind say
    count: Floats  # (u,) votes of this kind
    prior: Floats  # (pairs,) log-odds that the chosen side is better before anybody voted
    has_prior: npt.NDArray[np.bool_]  # (pairs,) whether that came from somewhere

    def per_voter(self, values: Floats) -> Floats:
        """(u,) summed to (voters,)."""
        return np.bincount(self.voter, values, len(self.voter_ids)).astype(np.float64)

    def take(self, keep: npt.NDArray[np.bool_]) -> "Coded":
        """Some of the pairs with their votes; the voters and the kinds of votes stay as they are.

        keep: (pairs,).
        """
        mine = keep[self.pair]
        place = np.cumsum(keep) - 1
        kind = self.kind[mine]
        return replace(
            self,
            pair_ids=self.pair_ids.filter(pl.Series(keep)),
            pair=place[self.pair[mine]],
            kind=kind,
            count=np.bincount(kind, minlength=len(self.p)).astype(np.float64),
            prior=self.prior[keep],
            has_prior=self.has_prior[keep],
        )


def code(votes: pl.DataFrame, prior: pl.DataFrame | None) -> Coded:
    """Codes sorted votes, so that the order of rows cannot matter.

    Args:
        votes: pair_id, voter_id, p in [0, 1].
        prior: pair_id, p in (0, 1); null: even odds.

    Raises:
        OrchardError: neither votes nor priors, or a p that is null or outside [0, 1].
    """
    rows = votes.select("pair_id", "voter_id", pl.col("p").cast(pl.Float64)).sort(
        "pair_id", "voter_id", "p"
    )
    known = pl.DataFrame(schema={"pair_id": pl.String, "p": pl.Float64}) if prior is None else prior
    known = known.select("pair_id", "p").drop_nulls().unique("pair_id")
    if rows.is_empty() and known.is_empty():
        raise OrchardError("no votes: nothing can be said about any label")
    for frame in (rows, known):
        bad = frame.filter(~pl.col("p").is_between(0, 1).fill_null(False) | pl.col("p").is_nan())
        if bad.height:
            raise OrchardError(
                f"votes: pair {bad['pair_id'][0]!r} has p = {bad['p'][0]}: it must lie in [0, 1]"
            )
    pairs = pl.concat([rows["pair_id"], known["pair_id"]]).unique().sort()
    voters = rows["voter_id"].unique().sort()
    kinds = rows.group_by("voter_id", "p").len().sort("voter_id", "p").with_row_index("kind")
    coded = rows.join(kinds, on=["voter_id", "p"], maintain_order="left")
    odds = pl.DataFrame({"pair_id": pairs}).join(
        known, on="pair_id", how="left", maintain_order="left"
    )["p"]
    said = np.clip(odds.fill_null(0.5).to_numpy(), 1e-9, 1 - 1e-9)
    return Coded(
        pairs,
        voters,
        pairs.search_sorted(coded["pair_id"]).to_numpy().astype(np.int64),
        coded["kind"].to_numpy().astype(np.int64),
        voters.search_sorted(kinds["voter_id"]).to_numpy().astype(np.int64),
        kinds["p"].to_numpy(),
        kinds["len"].to_numpy().astype(np.float64),
        np.log(said) - np.log1p(-said),
        odds.is_not_null().to_numpy(),
    )
