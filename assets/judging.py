"""Judges: votes on sampled responses, report cards, principles, and rationales."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from assets.sampling import learnable
from pipeline import tables
from pipeline.config import Settings
from pipeline.engine.base import Engine
from pipeline.errors import OrchardError
from pipeline.figures import curves, histogram
from pipeline.judge import card, collect, contexts, likeness, ratings, rationales
from pipeline.judge.annotate import annotate, annotated_prompts
from pipeline.judge.kind import Known, abilities, kinds_of, reads_of_kinds
from pipeline.preferences.principles import found as principle_pairs
from pipeline.preferences.registry import reads_of, registry, wanted
from pipeline.steps import Inputs, PerPrompt, Reads, Rows, Step, StepResult
from pipeline.steps.declared import table_of

ASKED = (
    "judge.models",
    "judge.criteria",
    "judge.method",
    "judge.pairing",
    "judge.template",
    "judge.words",
    "judge.scale",
    "judge.must_answer",
    "judge.max_prompts",
    "judge.max_responses",
    "judge.max_recorded",
)
JUDGED = ("judge.combine", "judge.clip", "judge.seat_correction", "judge.calibration")
FAIR = ("judge.max_flip_rate", "judge.seat_low", "judge.seat_high", "judge.significance")


def _judged_prompts(inputs: Inputs) -> pl.DataFrame:
    """The prompts that have something to judge: of sampled responses, and of imported pairs."""
    settings = inputs.settings.judge
    sampled = collect.judged_prompts(learnable(inputs), settings).select("prompt_id")
    recorded = collect.judged_recorded(inputs.table("recorded_pairs"), settings)
    nothing = pl.lit(None, dtype=pl.String)
    return pl.concat(
        [
            sampled.with_columns(pair_id=nothing),
            recorded.select("prompt_id", "pair_id"),
        ]
    )


def _votes(inputs: Inputs) -> StepResult:
    chosen = inputs.units["pair_id"].drop_nulls().to_list()
    sampled = inputs.units.filter(pl.col("pair_id").is_null())["prompt_id"].to_list()
    prompts = learnable(inputs).filter(pl.col("prompt_id").is_in(sampled))
    recorded = inputs.table("recorded_pairs").filter(pl.col("pair_id").is_in(chosen))
    return votes_on((prompts, inputs.table("responses"), recorded), inputs)


def votes_on(known: Known, inputs: Inputs) -> StepResult:
    """The votes of every judge on all that is known."""
    kinds = kinds_of(inputs.settings.judge)
    found = [kind.votes(inputs, number, known) for number, kind in enumerate(kinds)]
    rejects = [one for _, dropped in found for one in dropped]
    return StepResult(pl.concat([rows for rows, _ in found]), rejects)


def votes_shown(inputs: Inputs, rows: pl.DataFrame) -> Mapping[str, Any]:
    return {"p_first": histogram(rows["p_first"].to_list(), "P(first wins)", "votes")}


VOTES = Step(
    name="votes",
    table="votes",
    partition=Rows("votes", "source", "model"),
    make=_votes,
    reads=Reads(
        tables=("prompts", "responses"),
        beside=("recorded_pairs",),
        settings=ASKED,
        models=("judges",),
    ),
    reads_of=reads_of_kinds,
    per=PerPrompt(_judged_prompts),
    paid="origin = 'responses'",
    show=votes_shown,
    makes_pairs=True,
    group="judge",
    kinds=("vllm",),
    description="Judgements of pairs of responses by every judge and criterion, in both orders.",
)


def _answering(inputs: Inputs) -> list[Engine]:
    """The judges that answer questions in words."""
    kinds = kinds_of(inputs.settings.judge)
    numbers = [number for number, kind in enumerate(kinds) if kind.answers_questions]
    return [inputs.engines("judges")[number] for number in numbers]


def _principles(inputs: Inputs) -> StepResult:
    settings = inputs.settings
    chosen = settings.judge.principles
    engines = _answering(inputs)
    embed: likeness.Embed = likeness.characters
    if chosen.embedding is not None:
        embed = likeness.mean_pooled(inputs.resolve(chosen.embedding).path)
    with inputs.bar("principles", engines[0] if engines else None) as advance:
        rows, rejects = annotate(
            engines,
            inputs.units,
            inputs.table("responses"),
            chosen,
            settings.seed,
            embed,
            advance,
            must_answer=settings.judge.must_answer,
        )
    return StepResult(rows, rejects)


def _principles_shown(inputs: Inputs, rows: pl.DataFrame) -> Mapping[str, Any]:
    return {
        "principles": rows.height,
        "in_a_consensus": rows.height - rows["group_id"].null_count(),
        "groups": rows["group_id"].drop_nulls().n_unique(),
        "spans": histogram(rows["likeness"].to_list(), "likeness", "spans"),
    }


PRINCIPLES = Step(
    name="principles",
    table="principles",
    make=_principles,
    reads=Reads(
        tables=("prompts", "responses"),
        settings=("seed", "judge.models", "judge.principles", "judge.must_answer"),
        engines=("judges",),
    ),
    reads_of=abilities,
    per=PerPrompt(
        lambda inputs: annotated_prompts(learnable(inputs), inputs.settings.judge.principles)
    ),
    show=_principles_shown,
    makes_pairs=True,
    group="judge",
    kinds=("vllm",),
    description="Yes/no principles that feedback judges responses by, and the consensus on them.",
)


def _contexts(inputs: Inputs) -> StepResult:
    asked, drawn = learnable(inputs), inputs.table("responses")
    by_principle = contexts.by_principle(asked, principle_pairs(inputs.lake, inputs.settings))
    cases = [*contexts.by_length(asked, drawn), *by_principle]
    rows, rejects = [tables.empty("judge_contexts")], []
    for engine in _answering(inputs):
        with inputs.bar("reversed contexts", engine) as advance:
            own, dropped = contexts.ask(engine, cases, inputs.settings.judge, advance)
        rows.append(own)
        rejects += dropped
    return StepResult(pl.concat(rows), rejects)


def _contexts_shown(inputs: Inputs, rows: pl.DataFrame) -> Mapping[str, Any]:
    means = rows.group_by("judge_id", "kind").agg(pl.col("points").mean())
    ordered = means.sort("judge_id", "kind").iter_rows()
    return {f"{judge}, {kind}": round(mean, 3) for judge, kind, mean in ordered}


JUDGE_CONTEXTS = Step(
    name="judge_contexts",
    table="judge_contexts",
    make=_contexts,
    reads=Reads(
        tables=("prompts", "responses"),
        beside=("principles",),
        queries=("pairs_principles",),
        settings=(
            "judge.models",
            "judge.template",
            "judge.words",
            "judge.must_answer",
            "judge.contexts",
            "preferences.max_pairs_per_prompt",
        ),
        engines=("judges",),
    ),
    reads_of=abilities,
    made_beside=("votes", "principles"),
    show=_contexts_shown,
    makes_pairs=True,
    group="judge",
    kinds=("vllm",),
    description=(
        "Two questions about one pair that prefer different sides: whether a judge reads them."
    ),
)


def _cards(inputs: Inputs) -> StepResult:
    items, labels = inputs.query("judge_items"), inputs.query("judge_labels")
    votes = pl.concat([inputs.table("votes"), inputs.table("policy_votes")])
    asked = inputs.table("judge_contexts")
    return StepResult(card.cards(votes, items, labels, inputs.settings.judge, asked))


def _cards_shown(inputs: Inputs, rows: pl.DataFrame) -> Mapping[str, Any]:
    cards = rows.to_dicts()
    known = {
        f"{c['judge_id']}, {c['criterion']}": json.loads(c["curve"]) for c in cards if c["curve"]
    }
    lines = {name: [(sure, share) for sure, share, _ in points] for name, points in known.items()}
    said = [f"**{c['judge_id']}**, {c['criterion']}, {c['origin']}: {c['verdict']}" for c in cards]
    return {
        "in_words": said or ["no votes"],
        "report_card": rows,
        "calibration": curves(lines, "mean confidence", "share right"),
    }


JUDGES = Step(
    name="judges",
    table="judges",
    make=_cards,
    reads=Reads(
        tables=("votes", "judge_contexts"),
        beside=("responses", "recorded_pairs", "policy_responses", "policy_votes"),
        queries=("judge_items", "judge_labels"),
        settings=(*JUDGED, *FAIR),
    ),
    made_beside=("votes",),
    show=_cards_shown,
    group="judge",
    description="Every judge's report card: accuracy, flips, position bias, length, cost.",
)


def _rated_prompts(inputs: Inputs) -> pl.DataFrame:
    """The prompts to learn from, of pools and of sources, each once."""
    sent = inputs.table("source_prompts", where="split <> 'test'")
    both = [rows.select("prompt_id", "messages") for rows in (learnable(inputs), sent)]
    return pl.concat(both).unique("prompt_id", keep="first", maintain_order=True)


def _ratings(inputs: Inputs) -> StepResult:
    settings, found, engines = inputs.settings.judge, [], _answering(inputs)
    if not engines:
        raise OrchardError(
            "prompt_ratings: no judge of the profile answers questions: name one that does in "
            "judge.models, or leave out the query that reads this table"
        )
    for engine in engines:
        with inputs.bar("prompt ratings", engine) as advance:
            rated = ratings.rate(
                engine,
                inputs.units,
                settings.scale,
                must_answer=settings.must_answer,
                progress=advance,
            )
        found.append(rated)
    rows = pl.concat([rows for rows, _ in found])
    return StepResult(rows, [one for _, dropped in found for one in dropped])


def _ratings_shown(inputs: Inputs, rows: pl.DataFrame) -> Mapping[str, Any]:
    return {
        name: histogram(rows[name].to_list(), f"{name}, 0 to 1", "prompts")
        for name in ratings.QUESTIONS
    }


PROMPT_RATINGS = Step(
    name="prompt_ratings",
    table="prompt_ratings",
    make=_ratings,
    reads=Reads(
        tables=("prompts",),
        beside=("source_prompts",),
        settings=("judge.models", "judge.scale", "judge.must_answer"),
        engines=("judges",),
    ),
    reads_of=abilities,
    per=PerPrompt(_rated_prompts),
    show=_ratings_shown,
    group="judge",
    kinds=("vllm",),
    description="How good and how hard prompts are, as judges rate them: what data are mixed by.",
)


def _sources_explained(names: Sequence[str], settings: Settings) -> list[str]:
    """Of some variants, those whose pairs are explained for them."""
    needs = [reads_of(name, settings).tables for name in names]
    explained = [own for own in needs if any(table_of(need) == "rationales" for need in own)]
    sources = [need for own in explained for need in own if table_of(need) == "preferences"]
    return list(dict.fromkeys(need.value for need in sources if isinstance(need, Rows)))


def _all_explained(settings: Settings) -> list[str]:
    """The variants whose pairs any profile could want explained."""
    return _sources_explained([*registry(settings)], settings)


def _explained_pairs(settings: Settings, part: str | None) -> Reads:
    names = _sources_explained(wanted(settings), settings) if part is None else [part]
    return Reads(tables=tuple(Rows("preferences", "variant", name) for name in names))


def _pairs_to_explain(inputs: Inputs) -> pl.DataFrame:
    pairs = inputs.table("preferences").sort("chosen_id", "rejected_id")
    return rationales.explained_pairs(pairs, inputs.settings.judge.rationales)


def _rationales(inputs: Inputs) -> StepResult:
    engine, settings = inputs.engine("rationale_writer"), inputs.settings
    with inputs.bar("rationales", engine) as advance:
        found = rationales.write(
            engine,
            inputs.units,
            settings.judge.rationales,
            settings.seed,
            advance,
            must_answer=settings.judge.must_answer,
        )
    return StepResult(*found)


def _rationales_shown(inputs: Inputs, rows: pl.DataFrame) -> Mapping[str, Any]:
    first = rows["chosen_first"].mean()
    share = round(first, 3) if isinstance(first, float) else None
    return {"share_with_the_chosen_side_first": share}


RATIONALES = Step(
    name="rationales",
    table="rationales",
    partition=Rows("rationales", "permuted", "false"),
    make=_rationales,
    reads=Reads(
        settings=("seed", "judge.rationales", "judge.must_answer"),
        engines=("rationale_writer",),
    ),
    reads_of=_explained_pairs,
    all_parts=_all_explained,
    per=PerPrompt(_pairs_to_explain),
    show=_rationales_shown,
    group="judge",
    kinds=("vllm",),
    description="Why a pair's chosen side is better: checked for polarity and copies.",
)


def _permuted(inputs: Inputs) -> StepResult:
    splits = dict(inputs.query("prompt_splits").iter_rows())
    return StepResult(rationales.permuted_rows(inputs.table("rationales"), splits))


PERMUTED_RATIONALES = Step(
    name="permuted_rationales",
    table="rationales",
    partition=Rows("rationales", "permuted", "true"),
    make=_permuted,
    reads=Reads(
        tables=(Rows("rationales", "permuted", "false"), "prompts"),
        beside=("code_pairs", "source_prompts"),
        queries=("prompt_splits",),
    ),
    group="judge",
    description="The control of rationales: each pair with the reason of another prompt's pair.",
)

STEPS = (
    VOTES,
    PRINCIPLES,
    JUDGE_CONTEXTS,
    JUDGES,
    PROMPT_RATINGS,
    RATIONALES,
    PERMUTED_RATIONALES,
)
