"""From pairs and their features to the rows of `scores`, `pair_votes`, `pair_strengths` and `voters`."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from pipeline import tables
from pipeline.config import NoiseSettings
from pipeline.ids import content_id
from pipeline.noise.calibrate import calibrate
from pipeline.noise.combine import log_sigmoid_centred
from pipeline.noise.features import Features
from pipeline.noise.heads import out_of_fold
from pipeline.noise.intervals import wilson
from pipeline.noise.selftest import folds, pair_targets
from pipeline.noise.strength import label_noise, strengths

KEYS = ["source", "chosen_id", "rejected_id"]
Curve = list[tuple[float, float]]


def head_scores(
    features: Features, pairs: pl.DataFrame, settings: NoiseSettings, seed: int, model: str
) -> tuple[pl.DataFrame, Curve]:
    """Rows of `scores` for both texts of every pair under M reward heads, and the heads' mean training loss by step.

    Heads learn from training pairs of other folds of prompts; validation pairs are only scored.

    Args:
        pairs: as `features.sides` gives them.
        model: policy_id of the frozen model, part of each head's name.
    """
    rows = pairs.sort("pair_id")
    targets = pair_targets(features, rows, use_margin=settings.use_margin)
    fold = folds(rows["prompt_id"].to_list(), settings.folds)
    train = (rows["split"] == "train").to_numpy()
    scored = out_of_fold(targets, fold, train, settings, seed)
    frames = [
        rows.select(
            "prompt_id",
            text_id=f"{side}_text_id",
            response_id=f"{side}_id",
            model_id=pl.lit(head_name(model, m)),
            aspect=pl.lit("preference"),
            raw=pl.Series(raw[m]),
            standardised=pl.Series(standard[m]),
        )
        for side, raw, standard in (
            ("chosen", scored.raw_chosen, scored.chosen),
            ("rejected", scored.raw_rejected, scored.rejected),
        )
        for m in range(settings.models)
    ]
    scores = pl.concat(frames).unique(["text_id", "model_id"]).sort("text_id", "model_id")
    ids = [content_id(*row) for row in scores.select("text_id", "model_id").iter_rows()]
    named = log_sigmoid_centred(scores, settings.centre).with_columns(pl.Series("score_id", ids, pl.String))
    return named.select(tables.empty("scores").columns), scored.curve


def head_name(model: str, m: int) -> str:
    """The voter's id of the m-th head on a frozen model."""
    return f"head {m} on {model.split('@')[0]}"


def pair_votes(pairs: pl.DataFrame, scores: pl.DataFrame, source: str) -> pl.DataFrame:
    """Rows of `pair_votes`: every reward model's margin of every pair, and its probability, calibrated per model."""
    known = scores.select("text_id", voter_id="model_id", score="standardised")
    sides = [known.rename({"text_id": f"{side}_text_id", "score": f"{side}_score"}) for side in ("chosen", "rejected")]
    joined = pairs.join(sides[0], on="chosen_text_id").join(sides[1], on=["rejected_text_id", "voter_id"])
    margins = joined.with_columns(
        margin=pl.col("chosen_score") - pl.col("rejected_score"), p=pl.lit(None, pl.Float64), source=pl.lit(source)
    )
    votes = calibrate(margins.with_columns(kind=pl.lit("reward head")))
    return votes.select(tables.empty("pair_votes").columns).sort(*KEYS, "voter_id")


def recorded_votes(pairs: pl.DataFrame, votes: pl.DataFrame, source: str) -> pl.DataFrame:
    """Rows of `pair_votes` from votes that `read_votes` has checked; their margins are calibrated per voter."""
    keys = pairs.select("pair_id", "chosen_id", "rejected_id", "prompt_id", "split")
    joined = calibrate(votes).join(keys, on="pair_id")
    named = joined.with_columns(source=pl.lit(source), kind=pl.lit("recorded"))
    return named.select(tables.empty("pair_votes").columns).sort(*KEYS, "voter_id")


def judged(pairs: pl.DataFrame, votes: pl.DataFrame) -> pl.DataFrame:
    """Judgements of ordered pairs of responses as a frame for `read_votes`: pair_id, voter_id, p, order.

    Args:
        pairs: pair_id, chosen_id, rejected_id.
        votes: first_id, second_id, judge_id, criterion, p_first; those on other pairs are left out.
    """
    sides = pairs.select("pair_id", "chosen_id", "rejected_id")
    voter = pl.concat_str("judge_id", "criterion", separator=" on ")
    frames = []
    for first, second, p in (
        ("chosen_id", "rejected_id", pl.col("p_first")),
        ("rejected_id", "chosen_id", 1 - pl.col("p_first")),
    ):
        joined = sides.join(votes, left_on=[first, second], right_on=["first_id", "second_id"])
        frames.append(joined.select("pair_id", voter_id=voter, p=p, order=pl.lit(f"{first} first")))
    return pl.concat(frames)


def judge(
    pairs: pl.DataFrame, votes: pl.DataFrame, source: str, settings: NoiseSettings
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows of `pair_strengths` and of `voters`.

    A label's source is its method, `label:<method>`. Reward heads give each pair's prior together (`calibrated_prior`)
    and are measured against the result; recorded voters vote beside the label.

    Args:
        pairs: rows of the source variant.
        votes: rows of `pair_votes` on them.
    """
    heads = votes.filter(pl.col("kind") == "reward head")
    recorded = votes.filter(pl.col("kind") == "recorded")
    strength = strengths(votes.filter(pl.col("margin").is_not_null()))
    labels = pairs.select("pair_id", voter_id="label:" + pl.col("method"))
    labels = labels.join(votes.select("pair_id").unique(), on="pair_id", how="semi")
    found = label_noise(strengths(heads), labels, recorded, start=settings.start)
    rates = found.voters.select("voter_id", flip_rate=1 - pl.col("high"))
    rows = (
        pairs.select("pair_id", "chosen_id", "rejected_id", "prompt_id", "split", source=pl.lit(source))
        .join(strength, on="pair_id")
        .join(found.pairs.select("pair_id", "noise_score"), on="pair_id", how="left")
        .join(labels.join(rates, on="voter_id", how="left").drop("voter_id"), on="pair_id", how="left")
    )
    by_model = _heads(heads, found.pairs)
    others = _agreements(recorded, by_model.columns, found.voters)
    voters = pl.concat([others, by_model]).with_columns(source=pl.lit(source))
    return (
        rows.select(tables.empty("pair_strengths").columns).sort(*KEYS),
        voters.select(tables.empty("voters").columns).sort("kind", "voter_id"),
    )


def _heads(heads: pl.DataFrame, truth: pl.DataFrame) -> pl.DataFrame:
    """Reward heads against the posterior: expected share of right sides, with Wilson's interval over pairs."""
    w = heads.join(truth.select("pair_id", right="p"), on="pair_id", how="left")
    side = pl.col("margin")
    hit = pl.when(side > 0).then("right").when(side < 0).then(1 - pl.col("right")).otherwise(0.5)
    each = w.group_by("voter_id").agg(n_votes=pl.len(), reliability=hit.mean())
    n = each["n_votes"].to_numpy().astype(np.float64)
    low, high = wilson(each["reliability"].cast(pl.Float64).fill_null(np.nan).to_numpy(), np.maximum(n, 1), 0.95)
    bounds = each.with_columns(pl.Series("low", low).fill_nan(None), pl.Series("high", high).fill_nan(None))
    return _with_labels(bounds.with_columns(kind=pl.lit("reward head")), heads)


def _agreements(recorded: pl.DataFrame, columns: Sequence[str], voters: pl.DataFrame) -> pl.DataFrame:
    """The voters that LCPO fitted: label sources and recorded ones."""
    label = pl.col("voter_id").str.starts_with("label:")
    kinds = voters.drop("accuracy").with_columns(
        kind=pl.when(label).then(pl.lit("label")).otherwise(pl.lit("recorded"))
    )
    return _with_labels(kinds, recorded).select(columns)


def _with_labels(voters: pl.DataFrame, votes: pl.DataFrame) -> pl.DataFrame:
    """Adds agreement with the labels and the calibration error over ten equal bins of p; null for the labels."""
    p = pl.col("p")
    agrees = pl.when(p > 0.5).then(1.0).when(p < 0.5).then(0.0).otherwise(0.5)
    # p of a label's own side: with probability p the label should agree, so a pair counts once for each side.
    both = pl.concat(
        [votes.select("voter_id", "p", hit=pl.lit(1.0)), votes.select("voter_id", p=1 - p, hit=pl.lit(0.0))]
    )
    bins = both.group_by("voter_id", (p * 10).floor().clip(0, 9).alias("bin"))
    gaps = bins.agg(gap=(p.mean() - pl.col("hit").mean()).abs(), n=pl.len())
    error = gaps.group_by("voter_id").agg(calibration_error=(pl.col("gap") * pl.col("n")).sum() / pl.col("n").sum())
    share = votes.group_by("voter_id").agg(agreement=agrees.mean())
    kept = ["voter_id", "kind", "n_votes", "reliability", "low", "high", "agreement", "calibration_error"]
    joined = voters.join(share, on="voter_id", how="left").join(error, on="voter_id", how="left")
    return joined.with_columns(pl.col("n_votes").cast(pl.Int64)).select(kept)
