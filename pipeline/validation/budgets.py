"""What each variant learns from, stops on and is measured on: the same amount for all."""

from collections.abc import Callable, Mapping

import polars as pl

from pipeline.config import Settings
from pipeline.preferences.registry import variant
from pipeline.steps.declared import Reads
from pipeline.store.reader import Reader
from pipeline.validation.rows import training_rows
from pipeline.validation.select import common_prompts, equal_budget, held_out, reported, stopping

Length = Callable[[str], int]  # tokens of a text

# The settings that decide which rows are taken.
SETTINGS = (
    "validation.variants",
    "validation.max_pairs",
    "validation.equal_tokens",
    "validation.common_prompts",
    "search",
    "training.patience",
    "training.loss",
    "training.thoughts",
    "variants",
)


def learned_rows(lake: Reader, settings: Settings, length: Length) -> dict[str, pl.DataFrame]:
    """Training rows of each variant of the profile, at equal budget."""
    chosen = settings.validation
    each = {name: training_rows(lake, name, length, settings) for name in chosen.variants}
    each = common_prompts(each) if chosen.common_prompts else each
    return equal_budget(each, chosen.max_pairs, tokens=chosen.equal_tokens)


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
    """Pairs of validation prompts, equally many of each variant that is no control."""
    pairs = lake.read("preferences")
    if settings.training.patience or settings.search.asked:
        pairs = reported(pairs)
    names = settings.validation.variants
    real = [name for name in names if variant(name, settings).control_of is None]
    own = {name: pairs.filter(pl.col("variant") == name) for name in real}
    return held_out(own, settings.validation.max_pairs)


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
    """The variants that settings are searched for: controls train as what they control."""
    return list(dict.fromkeys(trains_as(name, settings) for name in settings.validation.variants))


def trains_as(name: str, settings: Settings) -> str:
    """The variant whose search decides how one is trained: that which it controls, if compared."""
    source = variant(name, settings).control_of
    return source if source is not None and source in settings.validation.variants else name


def trained_rows(lake: Reader, settings: Settings, length: Length) -> Mapping[str, pl.DataFrame]:
    """What each variant's training reads: rows to learn from, and those to stop on."""
    held = stopping_rows(lake, settings, length)
    return {
        name: pl.concat([rows, held[name]]) if name in held and len(rows) else rows
        for name, rows in learned_rows(lake, settings, length).items()
    }
