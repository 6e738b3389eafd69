"""What each variant learns from, stops on and is measured on."""

from collections.abc import Callable, Mapping

import polars as pl

from pipeline.config import Settings
from pipeline.preferences.registry import variant
from pipeline.steps.declared import Reads
from pipeline.store.reader import Reader
from pipeline.validation.pair_sets import evaluation_pairs
from pipeline.validation.rows import training_rows
from pipeline.validation.select import (
    common_prompts,
    equal_budget,
    held_out,
    part_of,
    reported,
    stopping,
)

TRAIN = pl.col("split") == "train"
Length = Callable[[str], int]  # tokens of a text

# The settings that decide which rows are taken.
SETTINGS = (
    "validation.variants",
    "validation.max_pairs",
    "validation.equal_tokens",
    "validation.common_prompts",
    "validation.budget",
    "validation.groups",
    "search",
    "training.patience",
    "training.loss",
    "training.thoughts",
    "variants",
)


def learned_rows(lake: Reader, settings: Settings, length: Length) -> dict[str, pl.DataFrame]:
    """Training rows of each variant of the profile, at the budget that it asks for.

    Raises:
        OrchardError: no variant has a training row.
    """
    chosen = settings.validation
    each = {name: training_rows(lake, name, length, settings) for name in chosen.variants}
    parts = {name: own for name in each if (own := variant(name, settings)).part_of is not None}
    found: dict[str, pl.DataFrame] = {}
    grouped = [{name: each[name] for name in names} for names in groups(settings)]
    known = [rows for rows in grouped if any(_learns(frame) for frame in rows.values())]
    for rows in known or grouped[:1]:  # where none has a row, the error of the first
        common = common_prompts(rows) if chosen.common_prompts else rows
        found |= equal_budget(common, chosen.max_pairs, tokens=chosen.equal_tokens)
    found = {name: found.get(name, each[name].clear()) for name in each if name not in parts}
    for name, part in parts.items():
        found[name] = part_of(found[str(part.part_of)], each[name].filter(TRAIN), part.share)
    return {name: found[name] for name in each}


def groups(settings: Settings) -> list[list[str]]:
    """The variants whose budgets are made equal, group by group; each alone at its own yield."""
    chosen = settings.validation
    known = {name: variant(name, settings) for name in chosen.variants}
    whole = [name for name, own in known.items() if own.part_of is None]
    if chosen.budget == "own":
        return [[name] for name in whole]
    named = {name: group for group, names in chosen.groups.items() for name in names}
    found: dict[str | None, list[str]] = {}
    for name in whole:
        group = named.get(name, named.get(known[name].control_of or ""))
        found.setdefault(group, []).append(name)
    return list(found.values())


def _learns(rows: pl.DataFrame) -> bool:
    return not rows.filter(TRAIN).is_empty()


def stopping_rows(lake: Reader, settings: Settings, length: Length) -> dict[str, pl.DataFrame]:
    """Validation rows that each variant's training may stop on; none without early stopping."""
    if not settings.training.patience:
        return {}
    limit = settings.validation.max_pairs
    return {
        name: stopping(training_rows(lake, name, length, settings), limit)
        for name in settings.validation.variants
    }


def held_out_pairs(lake: Reader, settings: Settings) -> pl.DataFrame:
    """Pairs of validation prompts, of each variant that is no control and no part of another."""
    pairs = lake.read("preferences")
    if settings.training.patience or settings.search.asked:
        pairs = reported(pairs)
    names = settings.validation.variants
    known = {name: variant(name, settings) for name in names}
    real = [n for n, one in known.items() if one.control_of is None and one.part_of is None]
    own = {name: pairs.filter(pl.col("variant") == name) for name in real}
    return held_out(own, settings.validation.max_pairs)


def ranked_pairs(lake: Reader, settings: Settings) -> pl.DataFrame:
    """All pairs that policies are measured on: held-out ones, and those of evaluation sets."""
    held = held_out_pairs(lake, settings)
    sets = evaluation_pairs(lake, settings)
    return pl.concat([held, sets], how="diagonal_relaxed") if sets.height else held


def searched_pairs(lake: Reader, settings: Settings) -> dict[str, pl.DataFrame]:
    """Pairs of validation prompts that each variant's training settings are chosen on;
    none without a search. Those of `held_out_pairs` are not among them.
    """
    if not settings.search.asked:
        return {}
    pairs, limit = lake.read("preferences"), settings.validation.max_pairs
    return {
        name: stopping(pairs.filter(pl.col("variant") == name), limit)
        for name in searched(settings)
    }


def reads_of_search(settings: Settings) -> Reads:
    """Says that validation pairs are divided, where a search keeps some of them for itself."""
    return Reads(texts=("searched",)) if settings.search.asked else Reads()


def searched(settings: Settings) -> list[str]:
    """The variants that settings are searched for: controls and parts train as others do."""
    return list(dict.fromkeys(trains_as(name, settings) for name in settings.validation.variants))


def trains_as(name: str, settings: Settings) -> str:
    """The variant whose search decides how one is trained: that which it controls, or of whose
    rows it learns a part, if that is compared.
    """
    own = variant(name, settings)
    source = own.part_of or own.control_of
    if source is None or source not in settings.validation.variants:
        return name
    return trains_as(source, settings)


def trained_rows(lake: Reader, settings: Settings, length: Length) -> Mapping[str, pl.DataFrame]:
    """What each variant's training reads: rows to learn from, and those to stop on."""
    held = stopping_rows(lake, settings, length)
    return {
        name: pl.concat([rows, held[name]]) if name in held and len(rows) else rows
        for name, rows in learned_rows(lake, settings, length).items()
    }
