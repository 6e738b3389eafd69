"""One judgement: a judge sees two responses under a criterion and answers with one token."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.conversation import shown, whole_response
from pipeline.engine.base import (
    Engine,
    Prompt,
    RequestFailed,
    Sampling,
    Turn,
    answer_tokens,
)
from pipeline.errors import OrchardError
from pipeline.judge.templates import render


class NoVerdict(RequestFailed):
    """The judge gave no usable verdict: its vote is rejected."""


@dataclass(frozen=True)
class Judge:
    """A model, a question that it answers about responses, and how the question is put."""

    engine: Engine
    criterion: str  # name of the question
    question: str
    template: str = "pair"
    # the answers for the first and the second seat, one token each
    words: tuple[str, str] = (" A", " B")
    must_answer: bool = True  # the judge's own first token has to be one of the words

    async def first_wins(self, messages: Sequence[Turn], first: str, second: str) -> float:
        """P(the first response is better), from one token.

        Raises:
            NoVerdict: another answer than the two words, or a probability that is no number.
            RequestFailed: the prompt is too long.
        """
        sides = {
            name: whole_response(messages, text)
            for name, text in (("first", first), ("second", second))
        }
        prompt = render(self.template, request=shown(messages), question=self.question, **sides)
        return (await shares(self.engine, prompt, self.words, must_answer=self.must_answer))[0]

    async def both_orders(self, messages: Sequence[Turn], a: str, b: str) -> tuple[float, float]:
        """P(first is better) with a first, and with b first; asked together."""
        return await asyncio.gather(
            self.first_wins(messages, a, b), self.first_wins(messages, b, a)
        )

    @property
    def tokens(self) -> int:
        """Tokens sampled for one answer, at most."""
        return answer_tokens(self.engine) or 1 + self.must_answer


async def shares(
    engine: Engine, prompt: Prompt, words: Sequence[str], *, must_answer: bool
) -> list[float]:
    """Probabilities of the words among themselves, checked.

    Of a model that would say something else they are what is left over of its answer: with
    `must_answer` its own first token has to be one of the words, whatever is asked (our choice).
    An engine that reads its own answer (`answer_tokens`) sees to that by itself, always.

    Raises:
        NoVerdict: another answer than the words, or a probability that is not a number in [0, 1].
        RequestFailed: the prompt is too long.
    """
    if must_answer and answer_tokens(engine) is None:
        (said,) = await engine.sample(prompt, Sampling(1, temperature=0.0), [0])
        if said.text.strip() not in [word.strip() for word in words]:
            expected = " or ".join(word.strip() for word in words)
            raise NoVerdict(f"the judge answered {said.text!r} instead of {expected}")
    found = await engine.verdict(prompt, words)
    if not all(math.isfinite(share) and 0 <= share <= 1 for share in found):
        raise NoVerdict(f"the judge's probabilities are no numbers in [0, 1]: {found}")
    return found


def check_words(engine: Engine, words: Sequence[str]) -> None:
    """Makes words of several tokens an error at the start and not a wrong number.

    Raises:
        OrchardError: a word is not one token for this judge.
    """
    try:
        engine.check_words(words)
    except RequestFailed as error:
        raise OrchardError(
            f"judge {engine.policy_id}: {error}: set judge.words or judge.scale"
        ) from error


def score_words(scale: int) -> list[str]:
    """The answers of an absolute score:
    "1" to "9" by default, because "10" is two tokens for most tokenizers.
    """
    return [str(number) for number in range(1, scale + 1)]


async def score(judge: Judge, messages: Sequence[Turn], response: str, scale: int) -> list[float]:
    """Probabilities of the scores 1 to `scale`.

    Raises:
        NoVerdict: another answer than a score, or a probability that is no number.
        RequestFailed: the prompt is too long.
    """
    values: Mapping[str, Any] = {
        "request": shown(messages),
        "response": whole_response(messages, response),
        "question": judge.question,
    }
    prompt = render("score", scale=scale, **values)
    return await shares(judge.engine, prompt, score_words(scale), must_answer=judge.must_answer)


def expectation(probabilities: Sequence[float]) -> float:
    """Mean score, in [1, scale]."""
    return sum(number * share for number, share in enumerate(probabilities, start=1))


def above(one: Sequence[float], other: Sequence[float]) -> float:
    """P(one's score is higher) with equal scores counted half, the two scores taken as independent:
    our choice.
    """
    pairs = [(i, j, p * q) for i, p in enumerate(one) for j, q in enumerate(other)]
    return min(
        1.0, sum(share * (1.0 if i > j else 0.5 if i == j else 0.0) for i, j, share in pairs)
    )
