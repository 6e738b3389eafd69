"""Reward models that vote on the pairs of one variant, and what their votes say."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from pipeline import tables
from pipeline.config import Settings
from pipeline.figures import curves, histogram
from pipeline.noise.families import declared
from pipeline.noise.features import sides
from pipeline.noise.figures import histograms, of_strength
from pipeline.noise.judgement import NOTHING_KNOWN, judge, warnings
from pipeline.noise.outside import checks, labelled_pairs, outside_margins
from pipeline.noise.scoring import readable, score_by_external, score_by_own, selected_voters
from pipeline.noise.selftest import SelfTest
from pipeline.noise.trial import self_test
from pipeline.noise.voting import from_elsewhere, pair_votes, recorded_votes
from pipeline.preferences.voted import source_of, voted_on
from pipeline.steps import Inputs, Reads, Rows, Step, StepResult

SETTINGS = ("seed", "noise", "engine")


def _source(settings: Settings, part: str | None) -> Reads:
    """The pairs that are voted on."""
    return Reads(tables=(Rows("preferences", "variant", source_of(settings)),))


def _source_and_samples(settings: Settings, part: str | None) -> Reads:
    """The same, and the samples that centre combined rewards."""
    samples = ("prompts", "responses") if settings.noise.combine == "log_sigmoid" else ()
    return _source(settings, part).plus(Reads(beside=samples))


def _pairs(inputs: Inputs) -> pl.DataFrame:
    return voted_on(inputs.lake, inputs.settings)


def _scores(inputs: Inputs) -> StepResult:
    inputs.rest()  # the engine's memory, before torch takes its own
    model, settings = inputs.model("policy"), inputs.settings
    pairs, texts, rejects = readable(_pairs(inputs), model, settings)
    own, losses = score_by_own(pairs, texts, model, settings, inputs.home)
    others, faults = score_by_external(inputs.lake, settings, pairs, inputs.home)
    plot = {"loss": curves(losses, "optimiser step of the first fold", "loss")} if losses else {}
    return StepResult(pl.concat([own, others]), [*rejects, *faults], plot)


SCORES = Step(
    name="scores",
    table="scores",
    make=_scores,
    reads=Reads(settings=SETTINGS, models=("policy",)),
    reads_of=_source_and_samples,
    group="noise",
    kinds=("torch",),
    description="Rewards of every text by reward models that never saw its prompt, and by others.",
)


def _pair_votes(inputs: Inputs) -> StepResult:
    settings = inputs.settings
    source, pairs = source_of(settings), _pairs(inputs)
    # Scores name texts by their tokens.
    fitting = sides(pairs, inputs.model("policy"), settings.noise.max_length)[0]
    imported, votes = inputs.table("recorded_votes"), inputs.table("votes")
    said, rejects = from_elsewhere(pairs, votes, imported, settings.noise.duplicates)
    scores = selected_voters(inputs.table("scores"), settings)
    families = declared(settings.noise, votes)
    rows = [
        pair_votes(fitting, scores, source, families),
        recorded_votes(pairs, said, source, families),
    ]
    return StepResult(pl.concat(rows), rejects)


def _margins_shown(inputs: Inputs, rows: pl.DataFrame) -> Mapping[str, Any]:
    return {"margins": histogram(rows["margin"].drop_nulls().to_list(), "margin", "votes")}


PAIR_VOTES = Step(
    name="pair_votes",
    table="pair_votes",
    make=_pair_votes,
    reads=Reads(
        tables=("scores",),
        beside=("votes", "recorded_votes"),
        settings=("noise",),
        models=("policy",),
    ),
    reads_of=_source,
    show=_margins_shown,
    group="noise",
    description="One row per pair and voter: its margin, and the probability of the labelled side.",
)


def _judged(
    inputs: Inputs, known: pl.DataFrame = NOTHING_KNOWN
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Strengths of the pairs, and the voters."""
    source = source_of(inputs.settings)
    votes = inputs.table("pair_votes").filter(pl.col("source") == source)
    return judge(_pairs(inputs), votes, source, inputs.settings.noise, known)


def _voters(inputs: Inputs) -> StepResult:
    pairs = _pairs(inputs).select("pair_id", "chosen_id", "rejected_id")
    known = inputs.query("known_labels", frames={"pairs": pairs})
    return StepResult(_judged(inputs, known)[1])


def _voters_shown(inputs: Inputs, rows: pl.DataFrame) -> Mapping[str, Any]:
    said = warnings(rows)
    return {**({"WARNING": said} if said else {}), "voters": rows}


def _strengths_shown(inputs: Inputs, rows: pl.DataFrame) -> Mapping[str, Any]:
    known = rows.drop_nulls("mean")
    truth = inputs.query("label_truth", frames={"pair_strengths": rows})
    return {
        "agreement by strength": of_strength(known, truth),
        "strengths and noise scores": histograms(rows),
        "share_below_0": known.select((pl.col("mean") < 0).mean()).item(),
        "pairs_without_a_mean": rows.height - known.height,
    }


JUDGEMENT = Reads(tables=("pair_votes",), settings=("noise.source", "noise.inject", "noise.start"))
PAIR_STRENGTHS = Step(
    name="pair_strengths",
    table="pair_strengths",
    make=lambda inputs: StepResult(_judged(inputs)[0]),
    reads=JUDGEMENT.plus(Reads(code=(_judged,))),
    reads_of=_source,
    show=_strengths_shown,
    show_reads=Reads(queries=("label_truth",)),
    group="noise",
    description="Strength of every pair's label, its decile, and the probability that it is wrong.",
)
VOTERS = Step(
    name="voters",
    table="voters",
    make=_voters,
    reads=JUDGEMENT.plus(
        Reads(queries=("known_labels",), beside=("responses", "recorded_pairs"), code=(_judged,))
    ),
    reads_of=_source,
    made_beside=("pair_strengths",),
    show=_voters_shown,
    group="noise",
    description="How reliable each voter and each source of labels is, with its interval.",
)


def _noise_test(inputs: Inputs) -> SelfTest:
    inputs.rest()
    model, pairs = inputs.model("policy"), inputs.table("preferences")
    return self_test(inputs.lake, pairs, inputs.settings, model, inputs.home)


def _noise_tests(inputs: Inputs) -> StepResult:
    found = _noise_test(inputs)
    plot = curves(found.accuracy_by_decile, "decile", "share right")
    return StepResult(found.rows, (), {"right_labels": plot})


NOISE_TESTS = Step(
    name="noise_tests",
    table="noise_tests",
    make=_noise_tests,
    reads=Reads(
        beside=("votes", "recorded_votes"),
        settings=SETTINGS,
        models=("policy",),
    ),
    reads_of=_source_and_samples,
    made_beside=("pair_strengths",),
    group="noise",
    kinds=("torch",),
    description="Labels flipped on purpose: which score finds them, and which treatment helps.",
)


def _voter_checks(inputs: Inputs) -> StepResult:
    pairs = _pairs(inputs)
    recorded = labelled_pairs(
        inputs.table("recorded_pairs"), pairs.filter(pl.col("split") == "train")
    )
    model, settings = inputs.model("policy"), inputs.settings
    if recorded.is_empty():
        return StepResult(tables.empty("voter_checks"))
    inputs.rest()  # the engine's memory, before torch takes its own
    said = outside_margins(pairs, recorded, settings, model, inputs.home)
    return StepResult(checks(said, source_of(settings)))


VOTER_CHECKS = Step(
    name="voter_checks",
    table="voter_checks",
    make=_voter_checks,
    reads=Reads(beside=("recorded_pairs",), settings=SETTINGS, models=("policy",)),
    reads_of=_source,
    made_beside=("pair_strengths",),
    show=lambda inputs, rows: {"checks": rows},
    group="noise",
    kinds=("torch",),
    description="How often reward models are right on recorded pairs, by set, beside length alone.",
)

STEPS = (SCORES, PAIR_VOTES, PAIR_STRENGTHS, VOTERS, VOTER_CHECKS, NOISE_TESTS)
