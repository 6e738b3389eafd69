"""Rewards of the texts of pairs: by reward models of ours, and by those from elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pipeline import tables
from pipeline.config import ModelSettings, Settings
from pipeline.engine.base import Reject
from pipeline.engine.model import Model
from pipeline.errors import OrchardError
from pipeline.noise.combine import together
from pipeline.noise.elsewhere import external_scores
from pipeline.noise.features import Features, features, sides
from pipeline.noise.voting import own_scores
from pipeline.progress import bar
from pipeline.rewards import reward_model
from pipeline.rewards.texts import Conversations, Said, conversations, references
from pipeline.store.reader import Reader

if TYPE_CHECKING:
    from pipeline.noise.crossfit import Curve, Fit

SAMPLED = """
    SELECT prompt_id, response_id, text, messages FROM responses JOIN prompts USING (prompt_id)
"""
Texts = dict[str, tuple[int, ...]]  # text id -> token ids, context and text


def readable(
    pairs: pl.DataFrame, model: Model, settings: Settings
) -> tuple[pl.DataFrame, Texts, list[Reject]]:
    """Pairs with the ids of their texts, the texts, and rejects of pairs that do not fit.

    Raises:
        OrchardError: there are no pairs.
    """
    if pairs.is_empty():
        what = f"no pairs of {settings.noise.source!r}"
        raise OrchardError(f"{what}: run `orchard run` first, or set noise.source")
    fitting, texts, faults = sides(pairs, model, settings.noise.max_length)
    rejects = [Reject("scores", "scores", pair, reason) for pair, reason in faults.items()]
    return fitting, texts, rejects


def features_of(texts: Texts, model: Model, settings: Settings, home: Path) -> Features:
    """The model's features of some texts; those of an earlier run are kept in the data folder."""
    with bar("features") as advance:
        folder, width = home / "cache" / "features", settings.noise.micro_tokens
        return features(model, texts, folder, micro_tokens=width, progress=advance)


def score_by_own(
    pairs: pl.DataFrame, texts: Texts, model: Model, settings: Settings, home: Path
) -> tuple[pl.DataFrame, "dict[str, Curve]"]:
    """Rows of `scores` by reward models of ours, and their training losses by model."""
    if settings.noise.method == "none":
        return tables.empty("scores"), {}
    with fitted_on(texts, model, settings, home) as (found, fit):
        return own_scores(found, pairs, settings.noise, settings.seed, model.policy_id, fit)


@contextmanager
def fitted_on(
    texts: Texts, model: Model, settings: Settings, home: Path
) -> Iterator[tuple[Features, "Fit"]]:
    """What reward models of ours read of some texts, and how they are trained (`noise.method`).

    Heads read the model's features; a fine-tuned model reads the texts themselves.
    """
    chosen = settings.noise
    if chosen.method == "heads":
        from pipeline.noise.heads import fit_heads  # torch only where a step needs it

        yield features_of(texts, model, settings, home), fit_heads(chosen)
        return
    from pipeline.training.reward import fit_tuned  # torch only where a step needs it

    keys = sorted(texts)
    with bar("reward models") as advance:
        folder, ordered = home / "cache" / "rewards", [texts[key] for key in keys]
        fit = fit_tuned(model.path, ordered, chosen, folder, progress=advance)
        yield Features(keys, np.zeros((len(keys), 0), np.float32)), fit


def score_by_external(
    lake: Reader, settings: Settings, pairs: pl.DataFrame, home: Path
) -> tuple[pl.DataFrame, list[Reject]]:
    """Rows of `scores` by external models and servers.

    Where they are combined, also of the samples that centre them.
    """
    samples = None
    asked = conversations(pairs)
    if settings.noise.combine == "log_sigmoid":
        samples = references(pairs, asked, lake.sql(SAMPLED))
        asked.update(samples.select("text_id", "turns").iter_rows())
    said = _ask_external(settings, asked, home)
    return external_scores(pairs, said, settings.noise.centre, samples)


def said_by_external(settings: Settings, pairs: pl.DataFrame, home: Path) -> list[tuple[Said, str]]:
    """What every external voter says of both texts of some pairs, and the aspect it rewards."""
    return _ask_external(settings, conversations(pairs), home)


def _ask_external(settings: Settings, asked: Conversations, home: Path) -> list[tuple[Said, str]]:
    said = []
    for voter in settings.noise.external:
        with bar(voter.name) as advance:
            model = reward_model(voter, settings.engine, home, settings.noise.micro_tokens)
            said.append((model(asked, advance), voter.aspect))
    return said


def selected_voters(scores: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """The scores of the voters that count: external models each by itself, or as one voter."""
    return together(scores) if settings.noise.combine == "log_sigmoid" else scores


def local_voters(settings: Settings) -> list[ModelSettings]:
    """External voters whose weights are read here."""
    named = [voter for voter in settings.noise.external if voter.model is not None]
    return [ModelSettings(name=str(v.model), revision=v.revision) for v in named]
