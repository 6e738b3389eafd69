"""Variants made from another variant's pairs and what voters say about them;
each with a control of permuted votes.
"""

import numpy as np
import polars as pl

from pipeline.config import NoiseSettings, Settings
from pipeline.errors import OrchardError
from pipeline.ids import unit_for
from pipeline.noise.coding import Floats
from pipeline.noise.treatments import ALIKE, LOSSES, TREATMENTS, Doubts, Treated
from pipeline.preferences.exchange import exchange, inject
from pipeline.preferences.variant import Build, Variant, bare, pairs_of, register
from pipeline.steps.declared import Reads
from pipeline.store.reader import Reader

METHODS = {
    "none": "as labelled, flips on purpose included",
    "flip": "weakest pairs flipped",
    "margin": "mean margin of the votes as margin",
    "soft": "soft labels where the mean vote is negative, margins",
    "flip_margin": "weakest pairs flipped, margins",
    "drop": "weakest pairs removed",
    "weight": "pairs weighted by the probability that the label is right",
    "posterior": "soft labels, P(the label is right) by the votes",
    "rdpo": "estimated flip rate of the labels' source",
    "lcpo": "LCPO's loss, with what the voters' reliabilities say of each label",
}

# columns of a plain label, where a loss reads them
PLAIN: dict[str, dict[str, float]] = {
    "margin": {"margin": 0.0},
    "soft": {"strength": 1.0},
    "soft_margin": {"margin": 0.0, "strength": 1.0},
}
NO_CONTROL = {
    "none": "it treats nothing: the others of its family are compared with it",
    "rdpo": "one flip rate for all labels of a source: permuted votes would change nothing",
}


def source_of(settings: Settings) -> str:
    """The variant whose pairs are voted on."""
    return settings.noise.source


def voted_on(lake: Reader, settings: Settings) -> pl.DataFrame:
    """The pairs that voters see:
    the source's, with the flips on purpose that the profile asks for.
    """
    return inject(pairs_of(lake, source_of(settings)), settings.noise.inject)


def _build(name: str, control: bool) -> Build:
    def build(lake: Reader, settings: Settings) -> pl.DataFrame:
        source = source_of(settings)
        pairs = bare(voted_on(lake, settings))
        strength = lake.read("pair_strengths").filter(pl.col("source") == source)
        if strength.is_empty() and not pairs.is_empty():
            mend = "materialise pair_strengths first, or import votes"
            raise OrchardError(f"no votes on the pairs of {source!r}: {mend}")
        return apply(name, pairs, strength, settings.noise, control=control)

    return build


def apply(
    name: str,
    pairs: pl.DataFrame,
    strength: pl.DataFrame,
    settings: NoiseSettings,
    *,
    control: bool = False,
) -> pl.DataFrame:
    """Treated training pairs, and the others as they are:
    a held-out label is no treatment's to change.

    `noise_score` is that of the label that the row now has (for rdpo, whose loss needs a rate that
    does not know the pair's vote: the flip rate of the label's source); `margin` is the mean margin
    of the voters for it. Nothing is overwritten: the source variant keeps its rows, and `flipped`
    says which sides were exchanged.

    Args:
        pairs: chosen_id, rejected_id, split and the other columns of the source.
        strength: rows of `pair_strengths`; a pair without one keeps its label, and has no noise
            score.
    """
    keys = ["chosen_id", "rejected_id"]
    voted = strength.select(
        *keys, _lean().alias("mean"), vote_rate="flip_rate", vote_noise="noise_score"
    ).unique(keys)
    joined = pairs.drop("noise_score", strict=False).join(
        voted, on=keys, how="left", maintain_order="left"
    )
    train = joined["split"].to_numpy() == "train"
    rows, rest = joined.filter(pl.Series(train)), joined.filter(pl.Series(~train))
    ids = rows.select(keys).rows()
    doubts = Doubts(
        [f"{chosen} {rejected}" for chosen, rejected in ids],
        rows["mean"].cast(pl.Float64).fill_null(np.nan).to_numpy(),
        rows["vote_noise"].cast(pl.Float64).fill_null(np.nan).to_numpy(),
        rows["vote_rate"].cast(pl.Float64).fill_null(np.nan).to_numpy(),
    )
    if control:
        doubts = doubts.permuted([unit_for("permuted votes", *row) for row in ids])
    treated = TREATMENTS[name](doubts, settings)
    loss = LOSSES.get(name)
    plain = PLAIN.get(loss or "", {})
    # What such a loss makes of a plain label.
    values = {column: pl.lit(value) for column, value in plain.items()}
    rest = rest.with_columns(
        weight=pl.lit(1.0), noise_score="vote_noise", flipped=_flipped(rest), **values
    )
    score = doubts.flip_rate if loss == "rdpo" else doubts.noise_score
    done = [_columns(rows, doubts.mean, score, treated, soft="strength" in plain), rest]
    return pl.concat(done, how="diagonal_relaxed").drop("mean", "vote_noise", "vote_rate")


def _lean() -> pl.Expr:
    """The voters' mean margin;
    without margins the log-odds that the label is right, whose sign says the same.
    """
    noise = pl.col("noise_score").clip(1e-3, 1 - 1e-3)
    return pl.coalesce("mean", ((1 - noise) / noise).log())


def _flipped(pairs: pl.DataFrame) -> pl.Expr:
    return pl.col("flipped") if "flipped" in pairs.columns else pl.lit(False)


def _columns(
    rows: pl.DataFrame, mean: Floats, score: Floats, treated: Treated, *, soft: bool
) -> pl.DataFrame:
    """The rows with what was decided about them.

    With `soft`, their strength is the label that the loss learns.
    """
    turned = exchange(rows, pl.Series(treated.flip))
    score = np.where(treated.flip, 1 - score, score)
    trusted = pl.when(pl.Series(treated.flip)).then(1 - pl.col("noise_score")).otherwise("strength")
    return (
        turned.with_columns(pl.Series("noise_score", score).fill_nan(None))
        .with_columns(
            margin=pl.Series(np.where(treated.flip, -mean, mean)).fill_nan(0.0),
            weight=pl.Series(treated.weight),
            strength=pl.Series(treated.target) if soft else trusted,
        )
        .filter(pl.Series(treated.keep))
    )


READS = Reads(
    tables=("pair_strengths",),
    settings=(
        "noise.source",
        "noise.inject",
        "noise.flip_share",
        "noise.drop_share",
        "noise.soft",
    ),
)


def _register(name: str, method: str) -> None:
    """A treatment, and its control by permuted votes where votes of other pairs change anything."""
    made = Variant(
        f"voted_{name}",
        "response",
        method,
        READS,
        _build(name, control=False),
        loss=LOSSES.get(name),
        source=source_of,
        no_control=NO_CONTROL.get(name),
    )
    register(made)
    if name not in ALIKE:
        register(made.control("random", "votes permuted", _build(name, control=True)))


for _name, _method in METHODS.items():
    _register(_name, _method)
