"""Rows of `step_scores`: answers of the base model and held-out pairs under learnt selectors."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipeline import tables
from pipeline.config import Settings
from pipeline.engine.base import Reject
from pipeline.engine.model import Model
from pipeline.engine.rendering import Renderer
from pipeline.errors import OrchardError
from pipeline.ids import content_id
from pipeline.noise.features import sides
from pipeline.noise.scoring import fitted_on
from pipeline.selection.learn import LEAST, Learnt, equal_pairs, learn
from pipeline.selection.steps import Steps, steps_of


@dataclass(frozen=True)
class Material:
    """What all selectors of a run share.

    answers: rows of `responses`. pairs: source -> its pairs with the ids of their texts. learnt:
    source -> those that it learns from. rejects: responses and pairs that do not fit.
    """

    answers: pl.DataFrame
    steps: Steps
    pairs: Mapping[str, pl.DataFrame]
    learnt: Mapping[str, pl.DataFrame]
    texts: dict[str, tuple[int, ...]]
    rejects: list[Reject]


def material(
    pairs: Mapping[str, pl.DataFrame], answers: pl.DataFrame, model: Model, settings: Settings
) -> Material:
    """Answers and pairs as the texts that reward models read.

    Args:
        pairs: source -> its rows of `preferences`.
        answers: rows of `responses` with the `messages` of their prompts.

    Raises:
        OrchardError: `noise.method` trains no reward model.
    """
    most = settings.noise.max_length
    if settings.noise.method == "none":
        raise OrchardError(
            "selection.sources: noise.method none trains no reward model: use heads, lora or full"
        )
    steps = steps_of(answers, Renderer(model.path), settings.trees.delimiter, most)
    texts, fitting, rejects = dict(steps.texts), dict[str, pl.DataFrame](), list(steps.rejects)
    for name, own in pairs.items():
        fitting[name], more, faults = sides(own, model, most)
        texts |= more
        rejects += [Reject("step_scores", "step_scores", *fault) for fault in faults.items()]
    learnt = equal_pairs(fitting, settings.selection.max_pairs)
    return Material(answers, steps, fitting, learnt, texts, rejects)


def score_steps(
    source: str, given: Material, model: Model, settings: Settings, home: Path
) -> tuple[pl.DataFrame, list[Reject]]:
    """Rows of `step_scores` of one selector; a reject where its source has too few pairs."""
    if source not in given.learnt:
        reason = f"fewer than {LEAST} training pairs of {source!r}: no selector"
        return tables.empty("step_scores"), [Reject("step_scores", "step_scores", source, reason)]
    with fitted_on(given.texts, model, settings, home) as (features, fit):
        pairs, models = given.learnt[source], settings.noise.models
        asked = _neighbours(given.steps.rows)
        said = learn(source, pairs, features, models, settings.seed, fit, asked)
    return pl.concat(_rows(said, given)), []


def _neighbours(rows: pl.DataFrame) -> list[tuple[str, str]]:
    """Each text of a prompt with the next by id, which is a hash: all texts once or twice,
    and no more pairs than texts (our choice).
    """
    texts = rows.select("prompt_id", "text_id").unique().sort("prompt_id", "text_id")
    following = pl.col("text_id").shift(-1).over("prompt_id")
    two = texts.with_columns(following=following).drop_nulls("following")
    return list(two.select("text_id", "following").iter_rows())


def _rows(said: Learnt, given: Material) -> Iterator[pl.DataFrame]:
    verdicts = given.answers.select("answer", "correct", item_id="response_id")
    nothing = pl.lit(None, pl.String)
    answers = given.steps.rows.join(verdicts, on="item_id", maintain_order="left")
    yield _scored(answers.with_columns(kind=pl.lit("answer"), pair_id=nothing), said)
    held = given.pairs[said.source].filter(pl.col("split") == "validation")
    for side in ("chosen", "rejected"):
        rows = held.select(
            "prompt_id",
            "pair_id",
            item_id=f"{side}_id",
            step="depth",
            text_id=f"{side}_text_id",
            kind=pl.lit(side),
            answer=nothing,
            correct=pl.lit(None, pl.Boolean),
        )
        yield _scored(rows, said)


def _scored(rows: pl.DataFrame, said: Learnt) -> pl.DataFrame:
    keys = rows.select("kind", "pair_id", "item_id", "step").iter_rows()
    ids = [content_id(said.source, *key) for key in keys]
    named = rows.with_columns(
        pl.Series("score_id", ids, pl.String),
        pl.Series("score", [said.scores[key] for key in rows["text_id"]], pl.Float64),
        selector=pl.lit(said.source),
        n_pairs=pl.lit(said.n_pairs, pl.Int64),
    )
    return named.select(tables.empty("step_scores").columns)
