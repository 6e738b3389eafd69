"""Mixtures: pairs of several variants in one training, each learned with its own variant's loss.

Shares are shares of the pairs. Of each split the part that is smallest for its share is taken
whole, and the others are cut to their shares, by hash: no pair is taken twice. Weights are scaled
to mean 1 within a part, so that a part's share of the pairs is its share of the loss. All of this
is our choice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import polars as pl

from pipeline.config import Settings
from pipeline.errors import OrchardError
from pipeline.ids import unit_for
from pipeline.preferences.texts import text_ids
from pipeline.preferences.variant import Build, Part, Variant, pairs_of
from pipeline.steps.declared import Reads
from pipeline.store.reader import Reader

READS = Reads(settings=("training.loss",))


def mixture(name: str, shares: Mapping[str, float], known: Mapping[str, Variant]) -> Variant:
    """A variant of the pairs of others, `shares` of each: they need not add up to 1.

    Raises:
        OrchardError: a part that is no known variant, that is itself made from another's pairs, or
            whose loss reads lists or texts.
    """
    parts = []
    for part, share in shares.items():
        if part not in known:
            what = f"of {part!r} is not a variant: declare it before this one, or use one of"
            raise OrchardError(f"variant {name!r}: {what} {', '.join(known)}")
        own = known[part]
        if own.rows != "preferences":
            what = f"of {part!r} has no pairs: its loss reads lists or texts"
            raise OrchardError(f"variant {name!r}: {what}")
        if own.source is not None or own.parts:
            what = f"of {part!r} is itself made from another's pairs: name one that treats no other"
            raise OrchardError(f"variant {name!r}: {what}")
        parts.append(Part(part, share / sum(shares.values()), own.loss))
    made = tuple(parts)
    losses = Reads(texts=tuple(f"{one.name}: {one.loss}" for one in made))
    method = "mixture of " + ", ".join(f"{part.name} {part.share:.3g}" for part in made)
    level = known[made[0].name].level  # of the first part; each row has its own
    return Variant(
        name, level, method, READS.plus(losses), _build(name, made), loss="mixed", parts=made
    )


def control_of(made: Variant, known: Mapping[str, Variant]) -> Variant:
    """The mixture of the parts' own controls: those with shuffled labels, where there are some.

    A part without a control, such as one that is a control, stays as it is.
    """
    shares = {_control(part.name, known): part.share for part in made.parts}
    control = mixture(f"{made.name}_shuffled", shares, known)
    return replace(control, control_of=made.name, training=made.training)


def _control(name: str, known: Mapping[str, Variant]) -> str:
    own = sorted(other.name for other in known.values() if other.control_of == name)
    return next((one for one in own if one.endswith("_shuffled")), own[0] if own else name)


def _build(name: str, parts: Sequence[Part]) -> Build:
    def build(lake: Reader, settings: Settings) -> pl.DataFrame:
        held = {part.name: pairs_of(lake, part.name) for part in parts}
        for part, pairs in held.items():
            if pairs["stage"].count():
                what = f"of {part!r} is trained in stages, which a mixture has none of"
                raise OrchardError(f"variant {name!r}: {what}: leave it out")
        losses = {part.name: part.loss or settings.training.loss for part in parts}
        taken = [
            _taken(held[part].filter(pl.col("split") == split), n).with_columns(
                part=pl.lit(part), loss=pl.lit(losses[part])
            )
            for split, counts in sizes(parts, held).items()
            for part, n in counts.items()
        ]
        return pl.concat(taken).drop("variant", "method").sort("part", "pair_id")

    return build


def sizes(parts: Sequence[Part], held: Mapping[str, pl.DataFrame]) -> dict[str, dict[str, int]]:
    """Split -> part -> its pairs in the mixture: as many as the shares allow."""
    found = {}
    for split in ("train", "validation"):
        have = {one.name: held[one.name].filter(pl.col("split") == split).height for one in parts}
        total = min(int(have[one.name] / one.share + 1e-9) for one in parts)
        found[split] = {one.name: int(one.share * total + 1e-9) for one in parts}
    return found


def told(parts: Sequence[Part], lake: Reader) -> str:
    """How many training pairs each part gives of those that it has, and which one decides."""
    held = {part.name: pairs_of(lake, part.name) for part in parts}
    counts = sizes(parts, held)["train"]
    have = {name: rows.filter(pl.col("split") == "train").height for name, rows in held.items()}
    least = min(parts, key=lambda part: have[part.name] / part.share).name
    each = ", ".join(f"{n} of {have[name]} of {name}" for name, n in counts.items())
    return f"training pairs: {each}; {least} is the smallest for its share, and decides"


def _taken(pairs: pl.DataFrame, n: int) -> pl.DataFrame:
    """n pairs by hash, the same ones of a variant and of its control, with weights of mean 1."""
    units = [
        unit_for("mixture", row["prompt_id"], *text_ids(row)) for row in pairs.iter_rows(named=True)
    ]
    order = pl.Series("order", units, dtype=pl.Float64)
    taken = pairs.with_columns(order).sort("order", maintain_order=True).head(n).drop("order")
    mean = pl.col("weight").mean()
    return taken.with_columns(weight=pl.when(mean > 0).then(pl.col("weight") / mean).otherwise(0.0))
