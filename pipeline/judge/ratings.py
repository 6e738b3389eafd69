"""How good and how hard prompts are, as judges rate them: what people mix preference data by.

UltraMix (second-hand) mixes sets by such labels, which a model gave in words. The questions, and a
rating as the mean over the probabilities of the numbers 1 to `judge.scale`, are our choice.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from pipeline import tables
from pipeline.conversation import shown
from pipeline.engine.base import Engine, Reject, RequestFailed, answer_tokens
from pipeline.engine.session import run_all
from pipeline.ids import content_id
from pipeline.judge.templates import render
from pipeline.judge.vote import check_words, expectation, score_words, shares

Row = dict[str, Any]
QUESTIONS = {
    "quality": "How clear and complete is the request?",
    "difficulty": "How much knowledge and skill does a right answer need?",
}


def rate(
    engine: Engine,
    prompts: pl.DataFrame,
    scale: int,
    *,
    must_answer: bool,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[pl.DataFrame, list[Reject]]:
    """Rows of `prompt_ratings` of one judge, one a prompt, and what failed.

    Args:
        engine: the judge.
        prompts: prompt_id and messages of what is rated.
        scale: the highest number; ratings are brought to [0, 1].
        must_answer: a judge whose own first token is no number gives no rating.
        progress: called with (done, all) after each prompt.

    Raises:
        OrchardError: a number is not one token for this judge.
    """
    check_words(engine, score_words(scale))
    asked = prompts.select("prompt_id", "messages").to_dicts()
    found = run_all([_rated(engine, row, scale, must_answer) for row in asked], progress)
    rows = [one for one in found if not isinstance(one, Reject)]
    rejects = [one for one in found if isinstance(one, Reject)]
    return pl.DataFrame(rows, schema=tables.empty("prompt_ratings").schema), rejects


async def _rated(engine: Engine, row: Row, scale: int, must_answer: bool) -> Row | Reject:
    about = {"prompt_id": row["prompt_id"], "judge_id": engine.policy_id}
    try:
        ratings = await asyncio.gather(
            *(_rating(engine, row, asked, scale, must_answer) for asked in QUESTIONS.values())
        )
    except RequestFailed as error:
        row_id = content_id(*about.values())
        return Reject("prompt_ratings", "prompt_ratings", row_id, error, dict(about))
    tokens = len(QUESTIONS) * (answer_tokens(engine) or 1 + must_answer)
    return {**about, **dict(zip(QUESTIONS, ratings, strict=True)), "tokens": tokens}


async def _rating(engine: Engine, row: Row, question: str, scale: int, must_answer: bool) -> float:
    """The expected number, brought from [1, scale] to [0, 1]."""
    prompt = render("rate", request=shown(row["messages"]), question=question, scale=scale)
    said: Sequence[float] = await shares(
        engine, prompt, score_words(scale), must_answer=must_answer
    )
    return (expectation(said) - 1) / (scale - 1)
