"""What needs the weights of a policy:
how it ranks held-out pairs, and how far it has moved from its reference.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.config import TrainingSettings
from pipeline.engine.base import Engine, Prompt, RequestFailed, Sampling
from pipeline.engine.rendering import Renderer
from pipeline.engine.session import run_all
from pipeline.ids import seed_for
from pipeline.training.example import Side
from pipeline.training.loading import load, load_tokenizer
from pipeline.training.losses.base import compared
from pipeline.training.policy import Policy
from pipeline.training.reference import all_logps, lookup
from pipeline.training.tokens import tokenize
from pipeline.validation.ranking import measured, of_reference, ranked_right

COLUMNS = ("chosen", "rejected", "ref_chosen", "ref_rejected")


def pair_logps(
    model_dir: Path,
    pairs: pl.DataFrame,
    reference: pl.DataFrame | None,
    settings: TrainingSettings,
    policy: Policy | None,
) -> pl.DataFrame:
    """Per pair: log-probabilities in nats of both texts under the policy and its reference,
    their tokens, strength.

    Without a policy the reference takes its place, and without a reference the policy its. A pair
    with a text that is too long is left out, as in training.
    """
    tokenizer = load_tokenizer(model_dir) if policy is None else policy.tokenizer
    read = tokenize(pairs, tokenizer, settings.max_length, settings.too_long, settings.thoughts)
    examples = [compared(example) for example in read.examples]
    base = [] if reference is None else lookup(examples, reference).tolist()
    own = base
    if policy is not None:
        logps = all_logps(
            policy, [side for example in examples for side in example.texts], settings.micro_tokens
        )
        own = [logps[i : i + 2] for i in range(0, len(logps), 2)]
        base = base or own
    rows = [
        {
            "pair_id": example.row_id,
            **dict(zip(COLUMNS, (*mine, *theirs), strict=True)),
            "chosen_tokens": len(example.texts[0][1]),
            "rejected_tokens": len(example.texts[1][1]),
            "strength": example.strength,
        }
        for example, mine, theirs in zip(examples, own, base, strict=True)
    ]
    schema: dict[str, Any] = {
        "pair_id": pl.String,
        **dict.fromkeys((*COLUMNS, "strength"), pl.Float64),
    }
    return pl.DataFrame(
        rows, schema=schema | dict.fromkeys(("chosen_tokens", "rejected_tokens"), pl.Int64)
    )


def own_answers(
    engine: Engine, renderer: Renderer, prompts: pl.DataFrame, max_tokens: int, run_seed: int
) -> dict[str, Side]:
    """Prompt id -> its token ids and those of one answer at temperature 1:
    a draw from the policy itself.

    A prompt whose request failed, or whose answer is empty, is left out.
    """

    async def one(row: dict[str, object]) -> tuple[str, Side] | None:
        prompt = Prompt(tuple(row["messages"]))  # type: ignore[arg-type]
        seeds = [seed_for(run_seed, row["prompt_id"], "divergence", 0)]
        try:
            (found,) = await engine.sample(prompt, Sampling(max_tokens), seeds)
        except RequestFailed:
            return None  # the same request fails in the accuracy's draws, which count it
        return (
            (str(row["prompt_id"]), (tuple(renderer.tokens(prompt)), found.token_ids))
            if found.token_ids
            else None
        )

    return dict(
        pair for pair in run_all([one(row) for row in prompts.iter_rows(named=True)]) if pair
    )


def of_policy(
    model_dir: Path,
    base_dir: Path,
    pairs: pl.DataFrame,
    reference: pl.DataFrame,
    answers: Mapping[str, Side],
    settings: TrainingSettings,
) -> dict[str, pl.DataFrame]:
    """Metric -> (unit_id, value) of a trained policy, on held-out pairs and on its own answers;
    one model at a time.
    """
    sides = list(answers.values())
    found: dict[str, pl.DataFrame] = {}
    policy = load(model_dir)
    if pairs.height:
        found = measured(pair_logps(model_dir, pairs, reference, settings, policy), settings.beta)
    if not sides:
        return found
    own = all_logps(policy, sides, settings.micro_tokens)
    del policy
    return {
        **found,
        **divergence(answers, own, all_logps(load(base_dir), sides, settings.micro_tokens)),
    }


def of_foreign(
    model_dir: Path, pairs: pl.DataFrame, settings: TrainingSettings
) -> dict[str, pl.DataFrame]:
    """Metric -> (unit_id, value) of a policy whose tokens are not those of the base model: how it
    ranks held-out pairs. Rewards and KL, which compare the same tokens under both, have no value.
    """
    if pairs.is_empty():
        return {}
    return ranked_right(pair_logps(model_dir, pairs, None, settings, load(model_dir)))


def has_tokens_of(
    model_dir: Path, base_dir: Path, pairs: pl.DataFrame, settings: TrainingSettings
) -> bool:
    """Whether a policy reads texts as the same tokens as another model: by its vocabulary, its chat
    template, and the pairs themselves.
    """
    own, base = load_tokenizer(model_dir), load_tokenizer(base_dir)
    if own.get_vocab() != base.get_vocab() or own.chat_template != base.chat_template:
        return False
    if pairs.is_empty():
        return True
    options = (settings.max_length, settings.too_long, settings.thoughts)
    return tokenize(pairs, own, *options).examples == tokenize(pairs, base, *options).examples


def of_base(
    model_dir: Path, pairs: pl.DataFrame, reference: pl.DataFrame, settings: TrainingSettings
) -> dict[str, pl.DataFrame]:
    """Metric -> (unit_id, value) of the base model on held-out pairs,
    from the table of its log-probabilities.
    """
    if pairs.is_empty():
        return {}
    return of_reference(pair_logps(model_dir, pairs, reference, settings, None), settings.beta)


def divergence(
    answers: Mapping[str, Side], own: Sequence[float], base: Sequence[float]
) -> dict[str, pl.DataFrame]:
    """Metrics kl and kl_per_token -> (unit_id, value) per answer:
    log pi(answer) - log pi_ref(answer), nats.

    Its mean over answers of the policy is the plain Monte-Carlo estimate of KL(pi, pi_ref),
    unbiased and below 0 now and then; an answer that was cut off counts up to its cut. Both
    log-probabilities are computed the same way.
    """
    moved = [one - other for one, other in zip(own, base, strict=True)]
    lengths = [len(text) for _, text in answers.values()]
    units = pl.DataFrame(
        {"unit_id": list(answers), "value": moved},
        schema={"unit_id": pl.String, "value": pl.Float64},
    )
    return {
        "kl": units,
        "kl_per_token": units.with_columns(value=pl.col("value") / pl.Series(lengths)),
    }
