"""What is asked of a completion server and what is read from its answer,
for vLLM and for any other.

vLLM takes token ids and gives token ids, log-probabilities, the stop string that ended a
completion, and the log-probabilities of chosen tokens. Of another server only OpenAI's own fields
are used, and this is lost:

- token ids are those of the returned text tokenised anew, so they may differ from the sampled ones;
- log-probabilities are kept only where there is one for each of those ids, else there are none;
- where a turn ends is the server's own business, and of thoughts that special tokens mark the
  marks are lost in the text;
- OpenAI's answer does not say whether a stop string ended it, so none is sent: the completion runs
  to its own end or to `max_tokens` and is cut here. The text is the same; the tokens behind the cut
  are paid for;
- verdicts see the five likeliest tokens: of words that are not among them only bounds are known
  (`shared_rest`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError

from pipeline.engine.answers import shared_rest
from pipeline.engine.base import Completion, RequestFailed, Sampling, is_logprob, shares
from pipeline.engine.client import TryFailed
from pipeline.engine.rendering import Renderer

Body = dict[str, Any]
M = TypeVar("M", bound=BaseModel)
TOP = 5  # likeliest tokens: the most that OpenAI's /v1/completions allows (20 is its chat's)


class _Logprobs(BaseModel):
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]] | None = None


class _Choice(BaseModel):
    text: str
    finish_reason: Literal["stop", "length"]
    stop_reason: int | str | None = None
    token_ids: list[int] | None = None
    logprobs: _Logprobs | None = None


class _Details(BaseModel):
    cached_tokens: int | None = None


class Counts(BaseModel):
    """What a server says that an answer cost."""

    prompt_tokens: Any = None
    completion_tokens: Any = None
    prompt_tokens_details: _Details | None = None

    def prompt(self, most: int) -> int:
        """Tokens of the prompt, at most so many; 0 where it says nothing that can be."""
        return _count(self.prompt_tokens, most) or 0

    def sampled(self, most: int) -> int | None:
        """Tokens that were sampled, at most so many; null where it says nothing that can be."""
        return _count(self.completion_tokens, most)

    @property
    def cached(self) -> int:
        """Tokens of the prompt that the server says it had cached; 0 where it says nothing."""
        details = self.prompt_tokens_details
        return max(0, (details.cached_tokens if details else None) or 0)


def _count(said: Any, most: int) -> int | None:
    return min(said, most) if type(said) is int and said > 0 else None


class Reply(BaseModel):
    """An answer of /v1/completions, as far as it is used.

    Of its usage only the tokens that the server read from its own cache: all others are counted
    here, since a server may say anything.
    """

    choices: list[_Choice] = Field(min_length=1)
    usage: Counts | None = None

    @property
    def cached_tokens(self) -> int:
        """Tokens of the prompt that the server says it had cached; 0 where it says nothing."""
        return self.usage.cached if self.usage else 0


def read(answer: bytes) -> Reply:
    """Raises TryFailed for anything but a completion."""
    return read_as(Reply, answer)


@dataclass(frozen=True)
class OpenAIDialect:
    """Any server of /v1/completions."""

    renderer: Renderer

    def sample_body(self, ids: list[int], sampling: Sampling, seed: int) -> Body:
        """A request for one completion."""
        return {
            "prompt": ids,
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": seed,
            "logprobs": 1,
        }

    def completion(self, reply: Reply, sampling: Sampling, prompt_tokens: int) -> Completion:
        """The completion of a reply, cut at the first stop string."""
        choice = reply.choices[0]
        self._check_characters(choice, sampling.max_tokens)
        all_ids = self.renderer.encode(choice.text)
        check_retokenised(len(all_ids), sampling.max_tokens)
        at, stopped_by = cut(choice.text, sampling.stop)
        ids = tuple(self.renderer.encode(choice.text[:at]) if stopped_by else all_ids)
        logprobs = () if stopped_by else tuple(_sampled(choice))
        finish = "stop" if stopped_by is not None else choice.finish_reason
        return Completion(
            choice.text[:at],
            ids,
            logprobs if len(logprobs) == len(ids) else (),
            finish,
            stopped_by,
            prompt_tokens,
        )

    def sampled(self, reply: Reply) -> int:
        """Tokens that a reply cost, counted here: those of its text, and the end of a turn."""
        choice = reply.choices[0]
        return len(self.renderer.encode(choice.text)) + (choice.finish_reason == "stop")

    def _check_characters(self, choice: _Choice, max_tokens: int) -> None:
        """Raises TryFailed for a text that is longer than so many tokens can be.

        Before it is tokenised: for megabytes that would stop all other requests for minutes.
        """
        check_characters(choice.text, max_tokens, self.renderer.longest_token)

    def verdict_body(self, ids: list[int], tokens: Sequence[int]) -> Body:
        """A request for the next token's probabilities."""
        return {"prompt": ids, "max_tokens": 1, "temperature": 0.0, "logprobs": TOP}

    def verdict(self, reply: Reply, words: Sequence[str], tokens: Sequence[int]) -> list[float]:
        """Probabilities of the words among themselves.

        Raises RequestFailed where the reply has none of them.
        """
        found = _top(reply)
        missing = [word for word in words if word not in found]
        if len(missing) == len(words):
            raise RequestFailed(
                f"no verdict word of {missing} is among the {len(found)} likeliest tokens: "
                "no answer"
            )
        bound = shared_rest([*found.values()], len(missing)) if missing else -math.inf
        return shares([found.get(word, bound) for word in words], words)


@dataclass(frozen=True)
class VllmDialect(OpenAIDialect):
    """vLLM's own fields on top: nothing is lost against vLLM in the process."""

    def sample_body(self, ids: list[int], sampling: Sampling, seed: int) -> Body:
        """See OpenAIDialect."""
        return {
            **super().sample_body(ids, sampling, seed),
            **NEUTRAL,
            "stop": list(sampling.stop),
            "logprobs": 0,
            "return_token_ids": True,
            **self._of_the_model(),
        }

    def _of_the_model(self) -> Body:
        """What the model's template asks for:
        its own end of turn, marks of thoughts in the text.
        """
        ends = self.renderer.stop_tokens
        body: Body = {"stop_token_ids": ends} if ends else {}
        return {**body, "skip_special_tokens": False} if self.renderer.keeps_marks else body

    def completion(self, reply: Reply, sampling: Sampling, prompt_tokens: int) -> Completion:
        """See OpenAIDialect.

        Raises TryFailed where token ids and log-probabilities do not belong together.
        """
        choice = reply.choices[0]
        ids = choice.token_ids or []
        logprobs = _sampled(choice)
        if not ids or len(logprobs) != len(ids):
            raise TryFailed(
                f"it answers rubbish: {len(ids)} token ids with {len(logprobs)} log-probabilities"
            )
        if len(ids) > sampling.max_tokens:
            raise _ignores(f"{len(ids)} tokens", sampling.max_tokens)
        self._check_characters(choice, len(ids))
        stopped_by = choice.stop_reason if isinstance(choice.stop_reason, str) else None
        return Completion(
            choice.text,
            tuple(ids),
            tuple(logprobs),
            choice.finish_reason,
            stopped_by,
            prompt_tokens,
        )

    def sampled(self, reply: Reply) -> int:
        """See OpenAIDialect: its token ids."""
        return len(reply.choices[0].token_ids or [])

    def verdict_body(self, ids: list[int], tokens: Sequence[int]) -> Body:
        """See OpenAIDialect."""
        wanted = {
            "logprobs": 0,
            "logprob_token_ids": list(tokens),
            "return_tokens_as_token_ids": True,
        }
        return {**super().verdict_body(ids, tokens), **NEUTRAL, **wanted}

    def verdict(self, reply: Reply, words: Sequence[str], tokens: Sequence[int]) -> list[float]:
        """See OpenAIDialect. Raises TryFailed where a token that was asked for is missing."""
        found = _top(reply)
        names = [f"token_id:{token}" for token in tokens]
        if not all(name in found for name in names):
            raise TryFailed(
                "it answers rubbish: log-probabilities of other tokens than those asked for"
            )
        return shares([found[name] for name in names], words)


# vLLM reads defaults for these from the model's generation_config.json: a completion must not
# depend on that file.
NEUTRAL: Body = {
    "top_k": 0,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}


def cut(text: str, stops: Sequence[str]) -> tuple[int, str | None]:
    """Where the first stop string stands (of two in one place the longer), and which it is;
    the text's end and null where there is none.
    """
    found = [(text.index(stop), -len(stop), stop) for stop in stops if stop in text]
    at, _, stopped_by = min(found, default=(len(text), 0, None))
    return at, stopped_by


def check_characters(text: str, max_tokens: int, longest_token: int) -> None:
    """Raises TryFailed for a text that is longer than so many tokens can be."""
    if len(text) > max_tokens * longest_token:
        raise _ignores(f"{len(text)} characters", max_tokens)


def check_retokenised(tokens: int, max_tokens: int) -> None:
    """Raises TryFailed for a text of more tokens than were asked for.

    Tokenised anew a text may count a few more tokens than were sampled (our choice).
    """
    if tokens > max_tokens + max_tokens // 4 + 8:
        raise _ignores(f"{tokens} tokens", max_tokens)


def read_as(kind: type[M], answer: bytes) -> M:
    """An answer as what it should be.

    Raises:
        TryFailed: it is something else.
    """
    try:
        return kind.model_validate_json(answer)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise TryFailed(
            f"it answers rubbish: {'.'.join(map(str, first['loc'])) or 'body'}: {first['msg']}"
        ) from None


def _ignores(got: str, max_tokens: int) -> TryFailed:
    return TryFailed(f"it ignores max_tokens: {got} where {max_tokens} tokens were asked for")


def _sampled(choice: _Choice) -> list[float]:
    """Log-probabilities of the sampled tokens, which were possible: none is minus infinity."""
    found = choice.logprobs.token_logprobs if choice.logprobs else []
    if not all(is_logprob(logprob) and logprob > -math.inf for logprob in found):
        raise TryFailed("it answers rubbish: token_logprobs that are no log-probabilities")
    return found


def _top(reply: Reply) -> dict[str, float]:
    """Log-probabilities of the first token's candidates."""
    logprobs = reply.choices[0].logprobs
    if logprobs is None or not logprobs.top_logprobs:
        raise TryFailed("it answers rubbish: no top_logprobs")
    found = logprobs.top_logprobs[0]
    if not all(map(is_logprob, found.values())):
        raise TryFailed("it answers rubbish: top_logprobs that are no log-probabilities")
    return found
