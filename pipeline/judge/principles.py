"""Principles (RLBFF): what a feedback judges a response by,
as yes or no with the words that say so.

RLBFF (arXiv 2509.21319, known to us second-hand): a model names principles with a quoted span;
those whose span does not occur in the feedback (rapidfuzz partial_ratio of 60 or less), "partially"
and global helpfulness are dropped; the reward is log p(Yes) - log p(No) of one token. A principle
is kept where every other annotator of the response has one whose embedding has a cosine above 0.8.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz, utils

from pipeline.conversation import shown, whole_response
from pipeline.engine.base import Engine, Prompt, Sampling, Turn
from pipeline.judge.likeness import Alike
from pipeline.judge.templates import render
from pipeline.judge.vote import shares

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
    """Every line of a model's answer as a principle, or dropped with the reason.

    A line that is repeated word for word (small models do it without end) counts once, and so does
    a name.
    """
    found: list[Principle | Dropped] = []
    for line in dict.fromkeys(line.strip() for line in answer.splitlines() if line.strip()):
        one = _principle(line, feedback)
        names = {utils.default_process(own.name) for own in found if isinstance(own, Principle)}
        again = isinstance(one, Principle) and utils.default_process(one.name) in names
        found.append(
            Dropped(line, "named twice by one annotator: the first one counts") if again else one
        )
    return found


async def extract(
    engine: Engine,
    messages: Sequence[Turn],
    response: str,
    feedback: str,
    seed: int,
    max_tokens: int = 160,
) -> tuple[list[Principle | Dropped], int]:
    """The principles that a feedback judges a response by, as `engine` reads it;
    and the tokens that it sampled.

    Raises:
        RequestFailed: the prompt is too long.
    """
    prompt = render(
        "principles",
        request=shown(messages),
        response=whole_response(messages, response),
        feedback=feedback,
    )
    (said,) = await engine.sample(prompt, Sampling(max_tokens, temperature=0.0), [seed])
    return parse(said.response, feedback), said.tokens


def consensus(
    named: Sequence[Sequence[Principle]], alike: Alike, least: float = ALIKE
) -> list[tuple[Principle, ...]]:
    """Of each annotator of one response, the principles that every other one names too,
    with the same yes or no.

    Alike is a cosine above `least`. One annotator alone agrees with nobody: nothing is kept.
    """

    def shared(one: Principle, others: Iterable[Sequence[Principle]]) -> bool:
        return all(
            any(own.satisfied == one.satisfied and alike(one.name, own.name) > least for own in o)
            for o in others
        )

    if len(named) < 2:
        return [() for _ in named]
    rest = [[*named[:i], *named[i + 1 :]] for i in range(len(named))]
    return [
        tuple(one for one in own if shared(one, others))
        for own, others in zip(named, rest, strict=True)
    ]


def groups(names: Sequence[str], alike: Alike, least: float = ALIKE) -> dict[str, str]:
    """Name -> the name that stands for its group:
    the commonest first, each joins the first one that it is alike to.
    """
    counts = Counter(names)
    heads: list[str] = []
    found: dict[str, str] = {}
    for name in sorted(counts, key=lambda one: (-counts[one], one)):
        head = next((one for one in heads if alike(one, name) > least), None)
        if head is None:
            heads.append(name)
        found[name] = head or name
    return found


async def log_odds(
    engine: Engine,
    messages: Sequence[Turn],
    response: str,
    principle: str,
    *,
    must_answer: bool = True,
) -> float:
    """log p(Yes) - log p(No) that a response satisfies a principle, in nats.

    `must_answer`: see `shares`.

    Raises:
        RequestFailed: the prompt is too long, it answers neither Yes nor No, or a probability is no
            number.
    """
    prompt: Prompt = render(
        "satisfies",
        request=shown(messages),
        response=whole_response(messages, response),
        principle=principle,
    )
    yes, no = await shares(engine, prompt, WORDS, must_answer=must_answer)
    return math.log(max(yes, EDGE)) - math.log(max(no, EDGE))


def _principle(line: str, feedback: str) -> Principle | Dropped:
    found = _LINE.match(line)
    if not found:
        return Dropped(line, 'not of the form: principle | yes or no | "quoted words"')
    name, answer, span = (
        found["name"].strip(),
        found["answer"].strip().lower(),
        found["span"].strip().strip('"“”'),
    )
    if answer not in ("yes", "no"):
        return Dropped(line, f"answered {answer!r}, neither yes nor no")
    if utils.default_process(name) in ("", "helpfulness", "helpful"):
        return Dropped(line, "no principle of its own: helpfulness as a whole, or nothing")
    if not utils.default_process(span):
        return Dropped(line, "no quoted words")
    likeness = fuzz.partial_ratio(span, feedback, processor=utils.default_process)
    if likeness <= LEAST_SPAN or len(utils.default_process(span)) > len(
        utils.default_process(feedback)
    ):
        return Dropped(line, "its quoted words do not occur in the feedback")
    return Principle(name, answer == "yes", span, likeness)
