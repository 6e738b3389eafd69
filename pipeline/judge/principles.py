"""Principles (RLBFF): what a feedback judges a response by, as yes or no with the words that say so; and the test that
a judge reads its criterion at all.

RLBFF (arXiv 2509.21319, known to us second-hand): a model names principles with a quoted span; those whose span does
not occur in the feedback (rapidfuzz partial_ratio of 60 or less), "partially" and global helpfulness are dropped; the
reward is log p(Yes) - log p(No) of one token. Its consensus across annotators compares embeddings by a cosine above
0.8; `consensus` takes the similarity as a function, so that any embedding can be used.
"""

import asyncio
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz, utils

from pipeline.engine.base import Engine, Prompt, Sampling, Turn
from pipeline.judge.templates import conversation, render
from pipeline.judge.vote import Judge, shares

LEAST_SPAN = 60.0  # paper, second-hand: partial_ratio has to be above it
ALIKE = 0.8  # paper, second-hand: cosine has to be above it
WORDS = (" Yes", " No")
EDGE = 1e-12
_LINE = re.compile(r"^\s*(?:[-*\d.)]+\s+)?(?P<name>[^|]+)\|(?P<answer>[^|]+)\|(?P<span>.+)$")


@dataclass(frozen=True)
class Principle:
    """One principle that a feedback names."""

    name: str
    satisfied: bool
    span: str  # the words of the feedback that say so
    likeness: float  # how well the span occurs in the feedback, 0 to 100


@dataclass(frozen=True)
class Dropped:
    """A line that is no principle, and why."""

    line: str
    reason: str


def parse(answer: str, feedback: str) -> list[Principle | Dropped]:
    """Every non-empty line of a model's answer as a principle, or dropped with the reason."""
    return [_principle(line.strip(), feedback) for line in answer.splitlines() if line.strip()]


async def extract(
    engine: Engine, messages: Sequence[Turn], response: str, feedback: str, seed: int, max_tokens: int = 256
) -> list[Principle | Dropped]:
    """The principles that a feedback judges a response by, as `engine` reads it.

    Raises:
        RequestFailed: the prompt is too long.
    """
    prompt = render("principles", request=conversation(messages), response=response, feedback=feedback)
    (said,) = await engine.sample(prompt, Sampling(max_tokens, temperature=0.0), [seed])
    return parse(said.text, feedback)


def consensus(named: Sequence[Sequence[Principle]], alike: Callable[[str, str], float]) -> list[Principle]:
    """The first judge's principles that every other judge names too (likeness above 0.8) with the same yes or no."""
    first, *others = named
    return [
        one
        for one in first
        if all(any(alike(one.name, own.name) > ALIKE and own.satisfied == one.satisfied for own in o) for o in others)
    ]


async def log_odds(engine: Engine, messages: Sequence[Turn], response: str, principle: str) -> float:
    """log p(Yes) - log p(No) that a response satisfies a principle, in nats.

    Raises:
        RequestFailed: the prompt is too long, or a probability is no number.
    """
    prompt: Prompt = render("satisfies", request=conversation(messages), response=response, principle=principle)
    yes, no = await shares(engine, prompt, WORDS)
    return math.log(max(yes, EDGE)) - math.log(max(no, EDGE))


@dataclass(frozen=True)
class Reversal:
    """Two responses, and two criteria that prefer different ones."""

    messages: Sequence[Turn]
    a: str
    b: str
    prefers_a: str  # a question under which a is better
    prefers_b: str  # a question under which b is better


async def context_accuracy(judges: Callable[[str], Judge], cases: Sequence[Reversal]) -> float | None:
    """Share of (case, criterion) that a judge gets right, in both orders; null without cases.

    A judge that ignores the criterion gives both questions the same answer and scores exactly 0.5, ties being half
    (RPR, arXiv 2407.14916, second-hand). `judges` makes the judge of a question.
    """
    wanted = [(case, question, first) for case in cases for question, first in _questions(case)]
    found = await asyncio.gather(
        *(judges(question).both_orders(case.messages, case.a, case.b) for case, question, _ in wanted)
    )
    points = []
    for (_, _, a_is_better), (with_a, with_b) in zip(wanted, found, strict=True):
        p = (with_a + 1 - with_b) / 2
        points.append(0.5 if abs(p - 0.5) < EDGE else float((p > 0.5) == a_is_better))
    return sum(points) / len(points) if points else None


def _questions(case: Reversal) -> tuple[tuple[str, bool], tuple[str, bool]]:
    return (case.prefers_a, True), (case.prefers_b, False)


def _principle(line: str, feedback: str) -> Principle | Dropped:
    found = _LINE.match(line)
    if not found:
        return Dropped(line, 'not of the form: principle | yes or no | "quoted words"')
    name, answer, span = found["name"].strip(), found["answer"].strip().lower(), found["span"].strip().strip('"“”')
    if answer not in ("yes", "no"):
        return Dropped(line, f"answered {answer!r}, neither yes nor no")
    if utils.default_process(name) in ("", "helpfulness", "helpful"):
        return Dropped(line, "no principle of its own: helpfulness as a whole, or nothing")
    if not utils.default_process(span):
        return Dropped(line, "no quoted words")
    likeness = fuzz.partial_ratio(span, feedback, processor=utils.default_process)
    if likeness <= LEAST_SPAN or len(utils.default_process(span)) > len(utils.default_process(feedback)):
        return Dropped(line, f"its quoted words do not occur in the feedback ({likeness:.0f} of 100 alike)")
    return Principle(name, answer == "yes", span, likeness)
