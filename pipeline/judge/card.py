"""The judge's own report card: how often it is right, and what else than quality it rewards."""

import json
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import polars as pl
from scipy.stats import binomtest

from pipeline import tables
from pipeline.config import JudgeSettings
from pipeline.judge import calibration
from pipeline.judge.collect import POLICIES, SAMPLED
from pipeline.judge.strength import VOTER, combined, paired

Card = dict[str, Any]
CONFIDENCE = 0.95


def cards(
    votes: pl.DataFrame,
    items: pl.DataFrame,
    labels: pl.DataFrame,
    settings: JudgeSettings,
    contexts: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Rows of `judges`, one per judge, criterion, source and origin. No model is asked.

    Args:
        votes: rows of `votes`.
        items: what is known of the responses: response_id, chars (null: unknown), policy_id (null:
            unknown).
        labels: truth: prompt_id, a_id < b_id, label = share that finds a better (1, 0; 0.5 is a tie
            and is left out).
        settings: see JudgeSettings; `seat_correction` decides what accuracy and calibration are
            measured on.
        contexts: rows of `judge_contexts`; null: none were asked.
    """
    asked = tables.empty("judge_contexts") if contexts is None else contexts
    own = items.group_by("response_id").agg(pl.col("chars", "policy_id").drop_nulls().min())
    pair = ["prompt_id", "a_id", "b_id"]
    known = paired(votes, settings).join(
        labels.group_by(pair).agg(pl.col("label").mean()), on=pair, how="left"
    )
    for side in ("a", "b"):
        about = own.select(
            pl.col("response_id").alias(f"{side}_id"),
            pl.col("chars").alias(f"{side}_chars"),
            pl.col("policy_id").alias(f"{side}_policy"),
        )
        known = known.join(about, on=f"{side}_id", how="left")
    rows = []
    for key, mine in votes.sort(VOTER).group_by(VOTER, maintain_order=True):
        who = dict(zip(VOTER, map(str, key), strict=True))
        pairs = known.filter(*(pl.col(name) == value for name, value in who.items()))
        own_contexts = asked.filter(
            pl.col("judge_id") == who["judge_id"], pl.lit(who["source"] == "model")
        )
        rows.append(
            _card(who, mine, pairs.sort("prompt_id", "a_id", "b_id"), settings, own_contexts)
        )
    return pl.DataFrame(rows, schema=tables.empty("judges").schema)


def problems(card: Mapping[str, Any], settings: JudgeSettings) -> list[str]:
    """Why this judge is not to be trusted; empty where it may be.

    With `seat_correction` what is left of it counts.
    """
    after = "_corrected" if settings.seat_correction else ""
    flips, first = card[f"flip_rate{after}"], card[f"first_share{after}"]
    p_value = card[f"seat_p_value{after}"]
    found = []
    if flips is not None and flips > settings.max_flip_rate:
        found.append(
            f"{flips:.0%} of its pairs flip with the order "
            f"(judge.max_flip_rate is {settings.max_flip_rate})"
        )
    unfair = first is not None and not settings.seat_low <= first <= settings.seat_high
    if unfair and p_value is not None and p_value < settings.significance:
        seat = "first" if first > 0.5 else "second"
        found.append(
            f"it favours the {seat} seat (the first wins {first:.0%} of votes, p = {p_value:.2g})"
        )
    return found


def used(cards: pl.DataFrame, votes: pl.DataFrame, responses: pl.DataFrame) -> pl.DataFrame:
    """The cards of judges that were asked here,
    and of imported ones with votes on this lake's responses.

    Variants made from votes merge all votes on responses, whoever cast them.
    """
    ours = (
        votes.filter(pl.col("first_id").is_in(responses["response_id"].implode()))
        .select(VOTER)
        .unique()
    )
    asked, imported = (cards.filter(pl.col("source") == source) for source in ("model", "recorded"))
    return pl.concat([asked, imported.join(ours, on=VOTER, how="semi")])


def silent(cards: pl.DataFrame, rejects: pl.DataFrame) -> list[str]:
    """Judges that were asked here about sampled responses and of whose votes none is left,
    with the first reason.

    Args:
        cards: rows of `judges`.
        rejects: rows of `rejects`; those of `votes` and `policy_votes` that name a judge count.
            Where nothing was asked there is none.
    """
    told = {
        name: pl.col("row").str.json_path_match(f"$.{name}")
        for name in ("judge_id", "criterion", "origin")
    }
    voted = cards.filter(pl.col("source") == "model")
    asked = pl.col("table").is_in(["votes", "policy_votes"]) & (pl.col("table") == pl.col("step"))
    failed = rejects.filter(asked).select("reason", **told)
    lost = failed.filter(pl.col("origin").is_in([SAMPLED, POLICIES])).join(
        voted, on=list(told), how="anti"
    )
    counts = (
        lost.group_by("judge_id", "criterion")
        .agg(pl.len(), pl.col("reason").min())
        .sort("judge_id", "criterion")
    )
    return [
        f"no vote is left of {n} that were asked for, for example: {reason}"
        for *_, n, reason in counts.rows()
    ]


def advice(settings: JudgeSettings) -> str:
    """What to change where a judge is not to be trusted."""
    less = (
        ""
        if settings.seat_correction
        else "set judge.seat_correction: true to subtract what favours a seat, "
    )
    return (
        f"{less}take a stronger judge "
        "(judge.models; of an imported one, leave its rows out of the file and import it again), "
        "or go on all the same with judge.on_bias: warn"
    )


def _card(
    who: Card,
    votes: pl.DataFrame,
    pairs: pl.DataFrame,
    settings: JudgeSettings,
    contexts: pl.DataFrame,
) -> Card:
    corrected = _seat(pairs, settings, corrected=True)
    card: Card = {
        **who,
        "n_votes": votes.height,
        "n_pairs": pairs.height,
        **_seat(pairs, settings, corrected=False),
        **{
            f"{name}_corrected": corrected[name]
            for name in ("flip_rate", "first_share", "seat_p_value")
        },
        **_accuracy(pairs),
        **_length(pairs),
        **_self(pairs, who["judge_id"]),
        "n_contexts": contexts.select("a_id", "b_id", "kind").unique().height,
        "context_accuracy": contexts["points"].mean(),
        **_calibration(pairs, settings),
        "tokens": int(votes["tokens"].sum()),
    }
    return {**card, "verdict": in_words(card, settings)}


def _seat(pairs: pl.DataFrame, settings: JudgeSettings, *, corrected: bool) -> Card:
    """Flips, and what the first seat wins, of pairs that were compared (scores have no seat)."""
    pairs = pairs.filter(pl.col("method") == "pairwise")
    names = ("flip_rate", "first_share", "first_low", "first_high", "seat_p_value", "seat_bias")
    if pairs.is_empty():
        return dict.fromkeys(names)
    seen = combined(pairs, settings.combine, corrected=corrected)
    # in a flip both orders agree on it
    first = pl.col("with_a_first") - (pl.col("seat") if corrected else 0.0) > 0
    flipped = seen.filter("flipped")
    flips, won = flipped.height, flipped.filter(first).height
    consistent = seen.filter("consistent").height
    # a consistent pair gives each seat one vote
    n, wins = 2 * (flips + consistent), 2 * won + consistent
    low, high = _wilson(wins, wins, n)
    return {
        "flip_rate": flips / pairs.height,
        "first_share": wins / n if n else None,
        "first_low": low,
        "first_high": high,
        "seat_p_value": (float(binomtest(won, flips).pvalue) if flips else 1.0) if n else None,
        "seat_bias": float(pairs["seat"][0]),
    }


def _accuracy(pairs: pl.DataFrame) -> Card:
    labelled = _labelled(pairs)
    n = labelled.height
    right = float(labelled.select(_right("strength")).to_series().sum())
    low, high = _wilson(int(np.floor(right)), int(np.ceil(right)), n)
    return {
        "n_labelled": n,
        "accuracy": right / n if n else None,
        "accuracy_low": low,
        "accuracy_high": high,
    }


def _length(pairs: pl.DataFrame) -> Card:
    """Does it reward length? And how right would length alone be?"""
    uneven = pairs.filter(pl.col("a_chars") != pl.col("b_chars"))
    a_longer = pl.col("a_chars") > pl.col("b_chars")
    decided = uneven.filter(pl.col("strength") != 0.5)
    won = decided.select((pl.col("strength") > 0.5) == a_longer).to_series().mean()
    truth = _labelled(uneven).select((pl.col("label") > 0.5) == a_longer).to_series().mean()
    return {"longer_share": won, "longer_accuracy": truth}


def _self(pairs: pl.DataFrame, judge_id: str) -> Card:
    """Does it reward its own texts? Against what the labels say of the same pairs."""
    own_a, own_b = pl.col("a_policy") == judge_id, pl.col("b_policy") == judge_id
    mixed = pairs.filter(
        pl.col("a_policy").is_not_null() & pl.col("b_policy").is_not_null() & (own_a != own_b)
    )
    won = (
        mixed.filter(pl.col("strength") != 0.5)
        .select((pl.col("strength") > 0.5) == own_a)
        .to_series()
        .mean()
    )
    truth = _labelled(mixed).select((pl.col("label") > 0.5) == own_a).to_series().mean()
    return {"own_share": won, "own_truth": truth}


def _calibration(pairs: pl.DataFrame, settings: JudgeSettings) -> Card:
    labelled = _labelled(pairs)
    if labelled.is_empty():
        return dict.fromkeys(("ece", "ece_calibrated", "temperature", "curve"))
    p, label = labelled["strength"].to_numpy(), labelled["label"].round().to_numpy()
    kind: Literal["temperature", "isotonic"] = (
        "isotonic" if settings.calibration == "isotonic" else "temperature"
    )
    before = calibration.reliability(p, label)
    ids = [a + b for a, b in labelled.select("a_id", "b_id").iter_rows()]
    enough = labelled.height >= 2 * calibration.BINS  # fewer cannot be cut in halves and bins
    return {
        "ece": before.ece,
        "ece_calibrated": calibration.cross_fitted(kind, ids, p, label) if enough else None,
        "temperature": calibration.temperature(p, label),
        "curve": json.dumps(before.curve),
    }


def in_words(card: Mapping[str, Any], settings: JudgeSettings) -> str:
    """What the numbers say, in plain words."""
    said = []
    if card["accuracy"] is None:
        said.append("no pair with a known better side: its accuracy is unknown")
    else:
        doubt = "near chance: " if card["accuracy_high"] >= 0.5 else "below chance: "
        sure = "" if card["accuracy_low"] > 0.5 else doubt
        interval = f"[{card['accuracy_low']:.2f}, {card['accuracy_high']:.2f}]"
        said.append(
            f"{sure}right on {card['accuracy']:.2f} {interval} "
            f"of {card['n_labelled']} labelled pairs"
        )
        if card["longer_accuracy"] is not None and card["longer_accuracy"] >= card["accuracy"]:
            said.append(f"length alone is right on {card['longer_accuracy']:.2f}")
    if card["context_accuracy"] is not None:
        share, n = card["context_accuracy"], card["n_contexts"]
        said.append(
            f"right on {share:.2f} of {n} reversed contexts (0.50: it does not read the question)"
        )
    said += problems(card, settings)
    if card["flip_rate"] is not None and (settings.seat_correction or not problems(card, settings)):
        first = "–" if card["first_share"] is None else f"{card['first_share']:.0%}"
        when = "before the seat correction " if settings.seat_correction else ""
        said.append(
            f"{when}{card['flip_rate']:.0%} of its pairs flip "
            f"and the first seat wins {first} of decided votes"
        )
    return "; ".join(said)


def _labelled(pairs: pl.DataFrame) -> pl.DataFrame:
    return pairs.filter(pl.col("label").is_not_null() & (pl.col("label") != 0.5))


def _right(column: str) -> pl.Expr:
    tie = pl.col(column) == 0.5
    return (
        pl.when(tie)
        .then(0.5)
        .otherwise(((pl.col(column) > 0.5) == (pl.col("label") > 0.5)).cast(pl.Float64))
    )


def _wilson(least: int, most: int, n: int) -> tuple[float | None, float | None]:
    """95 % Wilson interval of a count out of n,
    between `least` and `most` (halves are rounded outwards).
    """
    if n == 0:
        return None, None
    ends = [binomtest(k, n).proportion_ci(CONFIDENCE, method="wilson") for k in (least, most)]
    return float(ends[0].low), float(ends[1].high)
