"""The engine's protocol: what a method may ask of a language model."""

import math
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Protocol, Self, TypedDict

from pipeline.engine.thoughts import Parts, split_thought
from pipeline.errors import OrchardError


class Turn(TypedDict):
    """One chat turn."""

    role: str
    content: str


class RequestFailed(OrchardError):
    """One request cannot be answered (its prompt is too long, say): its row is rejected."""

    def named(self, who: str) -> Self:
        """The same error, its message about `who`."""
        error = copy(self)
        error.args = (f"{who}: {self}",)
        return error


AGAIN = "the next run asks again"


class Unanswered(RequestFailed):
    """Every try of a request failed, for reasons that may pass:
    its row is rejected until the next run asks again.

    A commit with such a reject is not up to date (`Reject.passing`); its reason says so to people,
    too.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}: {AGAIN}")


class DrawFailed(RequestFailed):
    """One draw gave no text (a filter stopped it, say): others of the same prompt may."""


Reason = str | RequestFailed


@dataclass(frozen=True)
class Prompt:
    """Chat turns, and the start of the assistant's turn that the model is to continue."""

    messages: tuple[Turn, ...]
    prefix: str = ""


@dataclass(frozen=True)
class Sampling:
    """Sampling parameters. `stop` strings end a completion and are not part of its text."""

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Completion:
    """One sampled continuation."""

    text: str
    token_ids: tuple[int, ...]  # empty where only the model's server knows them
    logprobs: tuple[float, ...]  # of the sampled tokens, nats; empty where a server gives none
    finish_reason: str  # stop: ended by itself or by a stop string; length: cut off
    stopped_by: str | None  # the stop string; null when the model ended its turn
    prompt_tokens: int
    opened: bool = False  # true where the template began a thought, which the text goes on with
    counted: int = 0  # tokens that were sampled, where `token_ids` does not hold them all
    answer_at: int | None = None  # where the response begins in the text, if a server says so

    @property
    def parts(self) -> Parts:
        """Its thought and its response."""
        if self.answer_at is None:
            return split_thought(self.text, opened=self.opened)
        return Parts(self.text[: self.answer_at] or None, self.text[self.answer_at :])

    @property
    def response(self) -> str:
        """What the model answers: its text without its thought; empty where it never answers."""
        return self.parts.response or ""

    @property
    def tokens(self) -> int:
        """How many tokens were sampled."""
        return self.counted or len(self.token_ids)


@dataclass
class Usage:
    """What was asked and what it cost; `sampled_tokens` counts what the model really computed."""

    requests: int = 0
    cache_hits: int = 0
    prompt_tokens: int = 0
    cached_prompt_tokens: int = 0  # read from the prefix cache
    sampled_tokens: int = 0
    hit_tokens: int = 0  # tokens that the completion cache saved
    seconds: float = 0.0  # spent in the model, loading left out
    load_seconds: float = 0.0
    steps: int = 0  # of the continuous batch
    running: int = 0  # requests in those steps, summed
    slots: int = 0  # requests that those steps had room for, summed

    @property
    def occupancy(self) -> float | None:
        """Share of the batch that was filled, mean over steps; null before the first step."""
        return self.running / self.slots if self.slots else None

    def plus(self, other: "Usage") -> "Usage":
        """The sum of two readings."""
        return Usage(**{name: value + getattr(other, name) for name, value in vars(self).items()})

    def since(self, start: "Usage") -> "Usage":
        """The difference to an earlier reading."""
        return Usage(**{name: value - getattr(start, name) for name, value in vars(self).items()})


class Engine(Protocol):
    """A language model behind an asynchronous interface; any number of coroutines may share it."""

    policy_id: str
    usage: Usage

    async def sample(
        self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int]
    ) -> list[Completion]:
        """One continuation per seed, in the seeds' order.

        Where the prompt leaves half of `max_tokens` or more, but not all, that is the limit.

        Raises:
            RequestFailed: the prompt leaves no room for half of `max_tokens` more tokens.
            Unanswered: no server has answered it.
        """
        ...

    async def verdict(self, prompt: Prompt, words: Sequence[str]) -> list[float]:
        """Probabilities of single-token words as the next token, scaled to sum to 1.

        Raises:
            RequestFailed: a word is not one token, or the prompt is too long.
        """
        ...

    def reads_back(self, completion: Completion) -> bool:
        """True where the completion's text, tokenised again, gives the ids that were sampled."""
        ...

    def check_words(self, words: Sequence[str]) -> None:
        """Raises RequestFailed unless each word is one token, for `verdict`.

        Asks the model nothing.
        """
        ...

    def close(self) -> None:
        """Gives back the memory. The engine loads again when it is next asked."""
        ...


def answer_tokens(engine: Engine) -> int | None:
    """The most tokens of the answer that `verdict` itself samples and reads, in one request;
    null for an engine whose `verdict` reads one position and samples nothing.
    """
    found: int | None = getattr(engine, "answer_tokens", None)
    return found


def is_logprob(value: float) -> bool:
    """Whether a number can be a log-probability, up to rounding;
    that of a probability of 0 is minus infinity.
    """
    return value <= 1e-3  # false for what is no number


def shares(logprobs: Sequence[float], words: Sequence[str]) -> list[float]:
    """Probabilities of the words among themselves, from their log-probabilities in nats.

    They sum to 1.

    Raises:
        RequestFailed: none of them has a probability above 0, or one is no log-probability.
    """
    if not all(map(is_logprob, logprobs)):
        raise RequestFailed(
            f"the verdict words {list(words)} have numbers "
            f"that are no log-probabilities: {list(logprobs)}"
        )
    found = [math.exp(logprob) for logprob in logprobs]
    total = sum(found)
    if not total > 0:
        raise RequestFailed(f"none of the verdict words {list(words)} has a probability above 0")
    return [share / total for share in found]


@dataclass(init=False)
class Reject:
    """A row that failed, on its way to the `rejects` table.

    passing: the fault may pass, and the next run asks for that row again.
    """

    table: str
    step: str
    row_id: str | None
    reason: str
    row: dict[str, object]
    passing: bool

    def __init__(
        self,
        table: str,
        step: str,
        row_id: str | None,
        reason: Reason,
        row: dict[str, object] | None = None,
        passing: bool = False,
    ) -> None:
        """The reason may be the error that says so: an `Unanswered` makes the reject `passing`."""
        self.table, self.step, self.row_id = table, step, row_id
        self.reason = str(reason)
        self.row = row or {}
        self.passing = passing or isinstance(reason, Unanswered)
