"""The same number of pairs for every variant and, where their texts allow it, of trained tokens."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from pipeline.errors import OrchardError
from pipeline.ids import unit_for
from pipeline.preferences.texts import text_ids

Numbers = npt.NDArray[np.float64]
# of the tilt, in standard deviations: beyond it the longest or shortest pairs are taken anyway
STEEPEST = 60.0


def by_hash(pairs: pl.DataFrame) -> pl.DataFrame:
    """Pairs in an order that depends on their ids only:
    a sample of the first n never moves when rows are added.
    """
    return pairs.with_columns(order=_units(pairs)).sort("order").drop("order")


def common_prompts(rows: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Training rows of the prompts that every variant has some of; one without any does not count.

    Other splits stay.

    Without it the pool of prompts is the same for all variants, and which of them yield a pair is
    the recipe's doing.

    Raises:
        OrchardError: no prompt is common to all.
    """
    learned = {
        name: set(frame.filter(pl.col("split") == "train")["prompt_id"])
        for name, frame in rows.items()
    }
    some = [prompts for prompts in learned.values() if prompts]
    common = set.intersection(*some) if some else set()
    if some and not common:
        found = ", ".join(
            f"{name} of {len(prompts)}" for name, prompts in learned.items() if prompts
        )
        raise OrchardError(
            "validation.common_prompts: no prompt has a training pair of every variant "
            f"({found} prompts): take more prompts or fewer variants, or leave it out"
        )
    keep = (pl.col("split") != "train") | pl.col("prompt_id").is_in(sorted(common))
    return {name: frame.filter(keep) for name, frame in rows.items()}


def equal_budget(
    rows: Mapping[str, pl.DataFrame], max_pairs: int, *, tokens: bool = True
) -> dict[str, pl.DataFrame]:
    """As many training pairs of each variant as the smallest has, at most `max_pairs`;
    and as many tokens of text.

    Equal tokens (our choice): pairs are drawn by hash with probabilities tilted by exp(slope *
    tokens), which is the draw nearest to a uniform one with the wanted mean length. Where no draw
    of n pairs gives all variants the same sum, n shrinks, at most by half; where that does not help
    either, only the pairs are equal, and the report says how far the tokens are apart. A control
    draws the same pairs as its source. Ranked lists and single texts are no pairs: of them as many
    are drawn as hold the tokens of the pairs; where all of them hold fewer, n shrinks to their
    tokens, at most by half. A variant without a training row keeps none and takes nothing from the
    others.

    Raises:
        OrchardError: no variant has a training row.
    """
    every = {name: frame.filter(pl.col("split") == "train") for name, frame in rows.items()}
    train = {name: frame for name, frame in every.items() if not frame.is_empty()}
    if every and not train:
        names = ", ".join(every)
        raise OrchardError(
            f"no variant has a training pair ({names}): take more prompts or draws, "
            "or prompts that the model gets partly right (pools in the profile)"
        )
    pairs = {name: frame for name, frame in train.items() if "chosen_id" in frame.columns}
    others = {name: frame for name, frame in train.items() if name not in pairs}
    most = min((float(_lengths(frame).sum()) for frame in others.values()), default=float("nan"))
    chosen = _equal_pairs(pairs, max_pairs, most, tokens=tokens)
    sums = [float(_lengths(frame).sum()) for frame in chosen.values()]
    budget = float(np.mean(sums)) if sums else float("nan")
    found = {**chosen, **{name: _up_to(frame, max_pairs, budget) for name, frame in others.items()}}
    return {name: found.get(name, every[name]) for name in every}


def _equal_pairs(
    pairs: Mapping[str, pl.DataFrame], max_pairs: int, most: float, *, tokens: bool
) -> dict[str, pl.DataFrame]:
    if not pairs:
        return {}
    n = min(max_pairs, *(frame.height for frame in pairs.values()))
    lengths = {name: _lengths(frame) for name, frame in pairs.items()}
    found = (
        _common_sum(lengths, n, most)
        if tokens and all(np.isfinite(own).all() for own in lengths.values())
        else None
    )
    if found is None:
        return {name: by_hash(frame).head(n) for name, frame in pairs.items()}
    n, target = found
    return {name: _tilted(frame, lengths[name], n, target) for name, frame in pairs.items()}


def _up_to(rows: pl.DataFrame, max_rows: int, budget: float) -> pl.DataFrame:
    """The first rows by hash whose tokens come nearest to a budget;
    without one, `max_rows` of them.
    """
    ordered = by_hash(rows)
    if not np.isfinite(budget):
        return ordered.head(max_rows)
    sums = np.cumsum(_lengths(ordered))
    return ordered.head(int(np.argmin(np.abs(sums - budget))) + 1)


def held_out(pairs: Mapping[str, pl.DataFrame], max_pairs: int) -> pl.DataFrame:
    """Pairs of validation prompts, at most so many of each variant:
    for reward and ranking accuracy. A variant with few takes none from the others.

    Raises:
        OrchardError: no variant is given, that is, the profile compares controls only.
    """
    if not pairs:
        raise OrchardError(
            "only controls are compared: add the variants they belong to (validation.variants)"
        )
    frames = [by_hash(frame.filter(pl.col("split") == "validation")) for frame in pairs.values()]
    return pl.concat([frame.head(max_pairs) for frame in frames])


def part_of(whole: pl.DataFrame, own: pl.DataFrame, share: float) -> pl.DataFrame:
    """The rows of a variant that are, by prompt and texts, a share of another's: the first by hash.

    So a smaller part lies within a larger one.
    """
    wanted = _units(by_hash(whole).head(max(1, round(share * whole.height))))
    return own.filter(_units(own).is_in(wanted.to_list()))


def stopping(rows: pl.DataFrame, max_rows: int) -> pl.DataFrame:
    """At most so many rows, by hash, that a training may stop on:
    of half of the validation prompts, by hash.

    The other half is left for `reported`: an accuracy on pairs that a policy was chosen on would
    flatter it.
    """
    return by_hash(rows.filter((pl.col("split") == "validation") & _stops(rows))).head(max_rows)


def reported(pairs: pl.DataFrame) -> pl.DataFrame:
    """The pairs without those of prompts that a training may stop on."""
    return pairs.filter(~_stops(pairs))


def _stops(rows: pl.DataFrame) -> pl.Series:
    return pl.Series(
        [unit_for("stopping", prompt) < 0.5 for prompt in rows["prompt_id"]], dtype=pl.Boolean
    )


def _units(rows: pl.DataFrame) -> pl.Series:
    units = [
        unit_for("select", row["prompt_id"], *text_ids(row)) for row in rows.iter_rows(named=True)
    ]
    return pl.Series("order", units, dtype=pl.Float64)


def _lengths(rows: pl.DataFrame) -> Numbers:
    """(n,) tokens of all texts of each row; NaN where they were not counted."""
    return rows["text_tokens"].cast(pl.Float64).to_numpy()


def _common_sum(lengths: Mapping[str, Numbers], n: int, most: float) -> tuple[int, float] | None:
    """The largest number of pairs, n or up to half as many,
    with which all variants can reach one sum of tokens.

    `most` tokens are all that others than pairs have; NaN: there are none, or they were not
    counted.
    """
    ordered = [np.sort(own) for own in lengths.values()]
    wanted = float(np.mean([own.mean() for own in ordered]))
    fewest = (n + 1) // 2
    first = min(n, max(fewest, int(most // wanted))) if np.isfinite(most) else n
    for size in range(first, fewest - 1, -1):
        least, greatest = (
            max(own[:size].sum() for own in ordered),
            min(own[-size:].sum() for own in ordered),
        )
        if least <= greatest:
            return size, float(np.clip(wanted * size, least, greatest))
    return None


def _tilted(pairs: pl.DataFrame, lengths: Numbers, n: int, target: float) -> pl.DataFrame:
    """n pairs whose tokens sum to about `target`: the n smallest of -log(u) / exp(slope * length).

    Drawing without replacement by such keys is Efraimidis and Spirakis 2006; the slope is found by
    bisection, since the sum grows with it.
    """
    order = _units(pairs).to_numpy()
    scaled = (lengths - lengths.mean()) / (lengths.std() or 1.0)
    noise = np.log(-np.log(np.clip(order, 1e-300, 1 - 1e-16)))

    def draw(slope: float) -> npt.NDArray[np.int64]:
        return np.argsort(noise - slope * scaled, kind="stable")[:n]

    low, high = -STEEPEST, STEEPEST
    best = draw(0.0)
    for _ in range(60):
        slope = (low + high) / 2
        chosen = draw(slope)
        if abs(lengths[chosen].sum() - target) < abs(lengths[best].sum() - target):
            best = chosen
        low, high = (slope, high) if lengths[chosen].sum() < target else (low, slope)
    for end in (-STEEPEST, STEEPEST):
        if abs(lengths[draw(end)].sum() - target) < abs(lengths[best].sum() - target):
            best = draw(end)
    return pairs.select(pl.all().gather(best))
