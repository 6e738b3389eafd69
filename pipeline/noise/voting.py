"""From pairs and their features to the rows of `scores` and `pair_votes`."""

import polars as pl

from pipeline import tables
from pipeline.config import NoiseSettings
from pipeline.engine.base import Reject
from pipeline.errors import OrchardError
from pipeline.ids import content_id
from pipeline.noise.calibrate import calibrate
from pipeline.noise.combine import log_sigmoid_centred
from pipeline.noise.crossfit import Curve, Fit, out_of_fold
from pipeline.noise.families import Families, with_families
from pipeline.noise.features import Features
from pipeline.noise.selftest import folds, pair_targets
from pipeline.noise.votes import UNKNOWN, Duplicates, read_votes

KEYS = ["source", "chosen_id", "rejected_id"]
NO_FAMILIES: Families = {}
SHARES = ["pair_id", "voter_id", "p", "order"]


def own_scores(
    features: Features,
    pairs: pl.DataFrame,
    settings: NoiseSettings,
    seed: int,
    model: str,
    fit: Fit,
) -> tuple[pl.DataFrame, dict[str, Curve]]:
    """Rows of `scores` for both texts of every pair under M models of ours,
    and their training losses by step.

    Models learn from training pairs of other folds of prompts; validation pairs are only scored.

    Args:
        features: of the pairs' texts; the matrix is read by heads only.
        pairs: as `features.sides` gives them.
        model: policy_id of the model that the heads stand on, or that is fine-tuned: part of each
            voter's name.
        fit: trains M models.
    """
    rows = pairs.sort("pair_id")
    targets = pair_targets(features, rows, use_margin=settings.use_margin)
    fold = folds(rows["prompt_id"].to_list(), settings.folds)
    train = (rows["split"] == "train").to_numpy()
    scored = out_of_fold(targets, fold, train, settings, seed, fit)
    names = [voter_name(settings.method, model, m) for m in range(settings.models)]
    frames = [
        rows.select(
            "prompt_id",
            text_id=f"{side}_text_id",
            response_id=f"{side}_id",
            model_id=pl.lit(name),
            kind=pl.lit("reward head" if settings.method == "heads" else "fine-tuned"),
            aspect=pl.lit("preference"),
            raw=pl.Series(raw[m]),
            standardised=pl.Series(standard[m]),
        )
        for side, raw, standard in (
            ("chosen", scored.raw_chosen, scored.chosen),
            ("rejected", scored.raw_rejected, scored.rejected),
        )
        for m, name in enumerate(names)
    ]
    scores = pl.concat(frames).unique(["text_id", "model_id"]).sort("text_id", "model_id")
    ids = [content_id(*row) for row in scores.select("text_id", "model_id").iter_rows()]
    named = log_sigmoid_centred(scores, settings.centre).with_columns(
        pl.Series("score_id", ids, pl.String)
    )
    return named.select(tables.empty("scores").columns), dict(
        zip(names, scored.curves, strict=True)
    )


def voter_name(method: str, model: str, m: int) -> str:
    """The id of the m-th voter of ours on a model."""
    return f"{'head' if method == 'heads' else method} {m} on {model.split('@')[0]}"


def margins(pairs: pl.DataFrame, scores: pl.DataFrame) -> pl.DataFrame:
    """The pairs with `voter_id`, its `kind` and its `margin`:
    one row for every reward model that scored both sides.
    """
    known = scores.select("text_id", "kind", voter_id="model_id", score="standardised")
    chosen = known.rename({"text_id": "chosen_text_id", "score": "chosen_score"})
    rejected = known.rename({"text_id": "rejected_text_id", "score": "rejected_score"}).drop("kind")
    joined = (
        pairs.drop("margin", strict=False)
        .join(chosen, on="chosen_text_id")
        .join(rejected, on=["rejected_text_id", "voter_id"])
    )
    return joined.with_columns(margin=pl.col("chosen_score") - pl.col("rejected_score"))


def pair_votes(
    pairs: pl.DataFrame, scores: pl.DataFrame, source: str, families: Families = NO_FAMILIES
) -> pl.DataFrame:
    """Rows of `pair_votes`: every reward model's margin of every pair,
    and its probability, calibrated per model.
    """
    voted = margins(pairs, scores).with_columns(
        p=pl.lit(None, pl.Float64), source=pl.lit(source), number=pl.lit(0, pl.Int64)
    )
    voted = with_families(voted, families)
    return calibrate(voted).select(tables.empty("pair_votes").columns).sort(*KEYS, "voter_id")


def recorded_votes(
    pairs: pl.DataFrame, votes: pl.DataFrame, source: str, families: Families = NO_FAMILIES
) -> pl.DataFrame:
    """Rows of `pair_votes` from votes that `read_votes` has checked.

    Their margins are calibrated per voter.

    Margins on a voter's own scale get a root mean square of sqrt 2, that of the margins between two
    independent rewards of standard deviation 1, so that they can be averaged with the others: our
    choice.
    """
    keys = pairs.select("pair_id", "chosen_id", "rejected_id", "prompt_id", "split")
    size = pl.col("margin").pow(2).mean().sqrt().over("voter_id")
    scaled = votes.with_columns(
        margin=pl.when(size > 0).then(pl.col("margin") / size * 2**0.5).otherwise("margin")
    )
    joined = calibrate(scaled).join(keys, on="pair_id")
    number = pl.int_range(pl.len(), dtype=pl.Int64).over("pair_id", "voter_id").alias("number")
    named = joined.sort("pair_id", "voter_id", "p").with_columns(
        number, source=pl.lit(source), kind=pl.lit("recorded")
    )
    named = with_families(named, families)
    return named.select(tables.empty("pair_votes").columns).sort(*KEYS, "voter_id", "number")


def imported(pairs: pl.DataFrame, votes: pl.DataFrame) -> pl.DataFrame:
    """Rows of `recorded_votes` on these pairs as a frame for `read_votes`:
    pair_id, voter_id, order, p, margin.

    A vote belongs to the two sides and not to the label: where chosen and rejected have been
    exchanged since the import, or the same two sides are a pair of another variant, it is turned
    round, or taken over. What a voter said of the same two sides as pairs of several variants is
    one vote, the mean; what it said twice of one pair stays two.
    """
    sides = pairs.select("pair_id", "chosen_id", "rejected_id")
    known = votes.rename({"pair_id": "of"})
    same = sides.join(known, on=["chosen_id", "rejected_id"])
    turned = sides.join(
        known, left_on=["chosen_id", "rejected_id"], right_on=["rejected_id", "chosen_id"]
    ).with_columns(p=1 - pl.col("p"), margin=-pl.col("margin"))
    keys, columns = (
        ["pair_id", "voter_id", "order"],
        ["pair_id", "voter_id", "order", "p", "margin"],
    )
    every = pl.concat([same.select(*columns, "of"), turned.select(*columns, "of")]).sort(
        *columns, "of"
    )
    named = every.filter(pl.col("voter_id") != UNKNOWN).with_columns(
        time=pl.int_range(pl.len()).over(*keys, "of")
    )
    merged = named.group_by(*keys, "time").agg(pl.col("p", "margin").mean())
    nobody = every.filter(pl.col("voter_id") == UNKNOWN)
    return pl.concat([merged.select(columns), nobody.select(columns)]).sort(columns)


def judged(pairs: pl.DataFrame, votes: pl.DataFrame) -> pl.DataFrame:
    """Judgements of ordered pairs of responses as a frame for `read_votes`:
    pair_id, voter_id, p, order.

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


def from_elsewhere(
    pairs: pl.DataFrame, votes: pl.DataFrame, recorded: pl.DataFrame, duplicates: Duplicates
) -> tuple[pl.DataFrame, list[Reject]]:
    """Judges' votes on ordered pairs and imported ones, checked:
    (pair_id, voter_id, p, margin), and the rejects.

    Args:
        votes: rows of `votes`.
        recorded: rows of `recorded_votes`.

    Raises:
        OrchardError: duplicates that should be an error; a voter with probabilities and margins on
            one pair.
    """
    brought = imported(pairs, recorded)
    shares = pl.concat(
        [
            judged(pairs, votes),
            brought.filter(pl.col("p").is_not_null()).drop("margin").select(SHARES),
        ]
    )
    margins = brought.filter(pl.col("margin").is_not_null()).drop("p")
    read = [read_votes(frame, duplicates=duplicates) for frame in (shares, margins)]
    both = (
        read[0][0]
        .join(read[1][0], on=["pair_id", "voter_id"])
        .filter(pl.col("voter_id") != UNKNOWN)
    )
    if both.height:
        pair, voter = both.select("pair_id", "voter_id").row(0)
        raise OrchardError(
            f"votes: voter {voter!r} has a probability and a margin for pair {pair!r}: "
            "import only one"
        )
    return pl.concat([found for found, _ in read]), [
        reject for _, rejects in read for reject in rejects
    ]
