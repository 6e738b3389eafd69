"""One policy under test: its answers, what a judge says of them, and what its weights say."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from pipeline.by_hash import first_by_hash
from pipeline.config import SamplingSettings, Settings
from pipeline.engine.base import Engine, Reject
from pipeline.engine.model import Model
from pipeline.engine.rendering import Renderer
from pipeline.progress import Advance
from pipeline.validation import evaluate, wins
from pipeline.validation.evaluate import Candidate, Drawn


@dataclass(frozen=True)
class Test:
    """What all policies are measured on, and by whom.

    prompts: the test prompts; those without a verifier are answered where judges compare answers.
    sets: prompt -> the evaluation set that it is of; the others are the profile's own.
    pairs: held-out pairs. reference: log-probabilities of their texts under the base model. judges:
    who compares answers, where that is asked. rest: gives the engines' memory back.
    """

    settings: Settings
    prompts: pl.DataFrame
    sets: Mapping[str, str]
    pairs: pl.DataFrame
    reference: pl.DataFrame
    base: Model
    base_engine: Engine
    judges: Sequence[Engine]
    rest: Callable[[], None]

    def by_set(self, prompts: pl.DataFrame) -> list[pl.DataFrame]:
        """Prompts of the profile's own, and those of each evaluation set, in this order."""
        own = [self.sets.get(one, "") for one in prompts["prompt_id"]]
        found = prompts.with_columns(_set=pl.Series(own, dtype=pl.String))
        names = sorted({*found["_set"], ""})
        return [found.filter(_set=name).drop("_set") for name in names]


def measure(
    test: Test, candidate: Candidate, model: Model, engine: Engine, advance: Advance
) -> tuple[pl.DataFrame, list[Reject]]:
    """All rows of `evaluations` of one policy, and what failed."""
    chosen, seed = test.settings.validation, test.settings.seed
    prompts = evaluate.checkable(test.prompts)
    drawn = evaluate.answers(engine, prompts, _sampling(test), seed, advance)
    frames = [
        evaluate.of_draws(candidate, drawn, chosen.pass_at),
        evaluate.instructed(candidate, drawn),
    ]
    failed = drawn.failed
    if chosen.greedy:
        single = _sampling(test).model_copy(update={"n": 1, "temperature": 0.0})
        greedy = evaluate.answers(engine, prompts, single, seed)
        frames.append(evaluate.accuracy(candidate, greedy, "greedy"))
        failed = failed + greedy.failed
    values, lost = _judged(test, candidate, engine, drawn)
    values |= _likely(test, candidate, model, engine, drawn.prompts)
    frames += [evaluate.units(candidate, metric, frame) for metric, frame in values.items()]
    step = f"evaluations {candidate.variant}"
    return pl.concat(frames), evaluate.as_rejects(candidate, [*failed, *lost], step)


def _sampling(test: Test) -> SamplingSettings:
    return test.settings.sampling.model_copy(update={"n": test.settings.validation.draws})


def _judged(
    test: Test, candidate: Candidate, engine: Engine, drawn: Drawn
) -> tuple[dict[str, pl.DataFrame], list[Reject]]:
    """How its first draws do against the base model's, where the profile asks for it: so many of
    its own prompts, and of each evaluation set.
    """
    limit = test.settings.validation.win_prompts
    if candidate.variant == "base" or not limit:
        return {}, []
    found: dict[str, list[pl.DataFrame]] = {}
    failed: list[Reject] = []
    for prompts in test.by_set(test.prompts):
        values, lost = _compared(test, engine, drawn, first_by_hash(prompts, "wins", limit))
        failed += lost
        for metric, frame in values.items():
            found.setdefault(metric, []).append(frame)
    return {metric: pl.concat(frames) for metric, frames in found.items()}, failed


def _compared(
    test: Test, engine: Engine, drawn: Drawn, asked: pl.DataFrame
) -> tuple[dict[str, pl.DataFrame], list[Reject]]:
    """Judged wins on some prompts of one set: at equal length, it is one regression a set."""
    own, failed = _first(test, engine, asked, drawn)
    base, _ = _first(test, test.base_engine, asked, None)
    found, lost = wins.win_rate(
        test.judges,
        asked,
        {prompt: text for prompt, (text, _) in own.items()},
        {prompt: text for prompt, (text, _) in base.items()},
        test.settings.judge,
    )
    return {**found, **wins.by_length(found["win_rate"], own, base)}, [*failed, *lost]


def _first(
    test: Test, engine: Engine, asked: pl.DataFrame, drawn: Drawn | None
) -> tuple[dict[str, tuple[str, int]], list[Reject]]:
    """Prompt id -> the first draw and its tokens, an empty text where all draws were empty; one
    draw suffices where no verifier checks it. Prompts with a failed request have none.
    """
    sampling, seed = _sampling(test), test.settings.seed
    known = drawn or evaluate.answers(engine, evaluate.checkable(asked), sampling, seed)
    unchecked = asked.filter(pl.col("verifier").is_null())
    single = sampling.model_copy(update={"n": 1})
    opened = evaluate.answers(engine, unchecked, single, seed)
    found = {**known.first, **opened.first}
    sound = {*known.prompts["prompt_id"], *opened.prompts["prompt_id"]}
    return {
        one: found.get(one, ("", 0)) for one in asked["prompt_id"] if one in sound
    }, opened.failed


def _likely(
    test: Test, candidate: Candidate, model: Model, engine: Engine, answered: pl.DataFrame
) -> dict[str, pl.DataFrame]:
    """What the weights say of held-out pairs, and of the policy's own answers."""
    from pipeline.validation import likelihood  # torch only where a step needs it

    settings, known = test.settings, (test.pairs, test.reference)
    if model.folder is None:  # only its server has the weights
        return {}
    if candidate.variant == "base":
        return likelihood.of_base(model.path, *known, settings.training)
    mine, *of_sets = test.by_set(answered)
    few = of_sets if mine.is_empty() else [mine]  # of sets only where there are no others
    asked = first_by_hash(pl.concat(few or [mine]), "divergence", settings.validation.kl_prompts)
    tokens = settings.sampling.max_tokens
    own = likelihood.own_answers(engine, Renderer(model.path), asked, tokens, settings.seed)
    test.rest()
    paths = (model.path, test.base.path)
    same = not candidate.elsewhere or likelihood.has_tokens_of(
        *paths, test.pairs, settings.training
    )
    if not same:
        return likelihood.of_foreign(model.path, test.pairs, settings.training)
    trained = settings.training.model_copy(update={"beta": candidate.beta})
    return likelihood.of_policy(model.path, test.base.path, *known, own, trained)
