"""Reward models checked outside: on recorded pairs of prompts that they were not fitted on."""

import json
from pathlib import Path

import numpy as np
import polars as pl

from pipeline import tables
from pipeline.config import Settings
from pipeline.engine.model import Model
from pipeline.ids import seed_for
from pipeline.noise.coding import Floats
from pipeline.noise.crossfit import Fit
from pipeline.noise.elsewhere import external_scores
from pipeline.noise.features import Features, sides
from pipeline.noise.intervals import wilson
from pipeline.noise.scoring import features_of, said_by_external
from pipeline.noise.selftest import pair_targets
from pipeline.noise.voting import margins, voter_name
from pipeline.progress import bar

SUBSETS = ("subset", "category", "source", "task")  # columns of files that name a part of a set
KEYS = ("voter_id", "kind", "origin", "subset")
Texts = dict[str, tuple[int, ...]]


def labelled_pairs(recorded: pl.DataFrame, learnt: pl.DataFrame) -> pl.DataFrame:
    """Recorded pairs with texts and a better side, as `features.sides` reads pairs.

    The first response is the chosen one; `right`: whether it is the better one. Pairs whose prompt
    the voters learn from are left out.

    Args:
        recorded: rows of `recorded_pairs`.
        learnt: prompt_id of the pairs that the voters learn from.
    """
    known = recorded.filter(
        pl.col("label").is_not_null() & (pl.col("label") != 0.5),
        pl.all_horizontal(pl.col("messages", "first", "second").is_not_null()),
        (pl.col("first").str.len_chars() > 0) & (pl.col("second").str.len_chars() > 0),
    ).join(learnt.select("prompt_id").unique(), on="prompt_id", how="anti")
    subsets = [_subset(text) for text in known["metadata"]]
    messages = tables.empty("preferences").schema["messages"]
    return known.select(
        "pair_id",
        "prompt_id",
        "messages",
        "origin",
        pl.Series("subset", subsets, pl.String),
        prefix=pl.lit(""),
        rejected_messages=pl.lit(None, messages),
        rejected_prefix=pl.lit(None, pl.String),
        chosen="first",
        rejected="second",
        chosen_id="first_id",
        rejected_id="second_id",
        chosen_ends=pl.lit(True),
        rejected_ends=pl.lit(True),
        right=pl.col("label") > 0.5,
    )


def _subset(metadata: str | None) -> str:
    found = json.loads(metadata) if metadata else {}
    named = [str(found[name]) for name in SUBSETS if found.get(name) not in (None, "")]
    return named[0] if named else ""


def outside_margins(
    pairs: pl.DataFrame, recorded: pl.DataFrame, settings: Settings, model: Model, home: Path
) -> pl.DataFrame:
    """Margins of the first response over the second by every reward model:
    pair_id, voter_id, kind, margin, and the columns of `labelled_pairs`.

    Our own models learn from all training pairs here, and so from no prompt of these.

    Args:
        pairs: rows of the source variant.
        recorded: as `labelled_pairs` gives them.
    """
    width = settings.noise.max_length
    asked, texts, _ = sides(recorded, model, width)
    said = said_by_external(settings, asked, home)
    external = margins(asked, external_scores(asked, said, settings.noise.centre)[0])
    own = _own_margins(pairs, (asked, texts), settings, model, home)
    columns = [*asked.columns, "voter_id", "kind", "margin"]
    return pl.concat([external.select(columns), own.select(columns)])


def _own_margins(
    pairs: pl.DataFrame,
    recorded: tuple[pl.DataFrame, Texts],
    settings: Settings,
    model: Model,
    home: Path,
) -> pl.DataFrame:
    asked, texts = recorded
    none = asked.clear().with_columns(voter_id=pl.lit(""), kind=pl.lit(""), margin=pl.lit(0.0))
    train = pairs.filter(pl.col("split") == "train")
    learnt, own_texts, _ = sides(train, model, settings.noise.max_length)
    if settings.noise.method == "none" or learnt.height < 2 or asked.is_empty():
        return none
    every = {**own_texts, **texts}
    features, fit = _fit_of(every, settings, model, home)
    scored = score_outside(features, learnt, asked, settings, fit)
    frames = [
        asked.with_columns(
            voter_id=pl.lit(voter_name(settings.noise.method, model.policy_id, m)),
            kind=pl.lit("reward head" if settings.noise.method == "heads" else "fine-tuned"),
            margin=pl.Series(margin),
        )
        for m, margin in enumerate(scored)
    ]
    return pl.concat(frames)


def _fit_of(texts: Texts, settings: Settings, model: Model, home: Path) -> tuple[Features, Fit]:
    if settings.noise.method == "heads":
        from pipeline.noise.heads import fit_heads  # torch only where a step needs it

        return features_of(texts, model, settings, home), fit_heads(settings.noise)
    from pipeline.training.reward import fit_tuned

    keys = sorted(texts)
    ordered = [texts[key] for key in keys]
    with bar("reward models") as advance:
        fit = fit_tuned(
            model.path, ordered, settings.noise, home / "cache" / "rewards", progress=advance
        )
    return Features(keys, np.zeros((len(keys), 0), np.float32)), fit


def score_outside(
    features: Features, learnt: pl.DataFrame, asked: pl.DataFrame, settings: Settings, fit: Fit
) -> Floats:
    """(M, pairs asked) margins by models that learnt from all pairs of `learnt`."""
    rows = learnt.sort("pair_id")
    targets = pair_targets(features, rows, use_margin=settings.noise.use_margin)
    first = features.rows(asked["chosen_text_id"].to_list())
    second = features.rows(asked["rejected_text_id"].to_list())
    wanted = np.unique(np.concatenate([first, second]))
    seeds = [seed_for(settings.seed, "reward head", m) for m in range(settings.noise.models)]
    rewards = fit(targets.asked_of(first, second), seeds, wanted).rewards
    apart: Floats = (
        rewards[:, np.searchsorted(wanted, first)] - rewards[:, np.searchsorted(wanted, second)]
    )
    return apart


def checks(said: pl.DataFrame, source: str) -> pl.DataFrame:
    """Rows of `voter_checks`: accuracy of every voter by set and subset, beside length alone.

    Args:
        said: voter_id, kind, margin, right, origin, subset, chosen_tokens and rejected_tokens.
    """
    apart = pl.col("chosen_tokens").cast(pl.Int64) - pl.col("rejected_tokens").cast(pl.Int64)
    each = said.with_columns(
        hit=_hits(pl.col("margin")), longer=_hits(apart.cast(pl.Float64)), subset="subset"
    )
    whole = each.with_columns(subset=pl.lit(""))
    parts = each.filter(pl.col("subset") != "")
    rows = (
        pl.concat([whole, parts])
        .group_by(KEYS)
        .agg(
            n_pairs=pl.len().cast(pl.Int64),
            accuracy=pl.col("hit").mean(),
            longer_accuracy=pl.col("longer").mean(),
        )
        .sort(KEYS)
    )
    low, high = wilson(
        rows["accuracy"].to_numpy(), rows["n_pairs"].to_numpy().astype(np.float64), 0.95
    )
    return rows.with_columns(
        source=pl.lit(source), low=pl.Series(low), high=pl.Series(high)
    ).select(tables.empty("voter_checks").columns)


def _hits(side: pl.Expr) -> pl.Expr:
    """1 where the side is the better one, 0 where not, a half where it is none."""
    return pl.when(side == 0).then(0.5).when((side > 0) == pl.col("right")).then(1.0).otherwise(0.0)
