"""What is asked of /v1/chat/completions and what is read from its answer.

Turns go as they are; the server puts them into its own template. Against a completion server this
is lost:

- token ids and log-probabilities belong to a template that is not seen here: a response is known as
  a text, and its ids are those of the text tokenised anew, if there is a tokenizer at all;
- the beginning of an answer can be gone on with by vLLM only (`continue_final_message`). Of a vote
  it is left out elsewhere, since the question says what to answer; any other such request is
  refused;
- stop strings are not sent, and cut here (see dialect.py);
- a vote is read from the twenty likeliest tokens at the place of the answer, or from the text
  (answers.py).

A thought that the server gives apart (`reasoning_content`, `reasoning`) is put before the response
between marks, and `answer_at` says where the response begins.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, Field

from pipeline.conversation import before_beginning, beginning_of, for_template
from pipeline.engine.answers import Place
from pipeline.engine.base import Completion, DrawFailed, Prompt, RequestFailed, Sampling, is_logprob
from pipeline.engine.client import TryFailed
from pipeline.engine.dialect import (
    NEUTRAL,
    Body,
    Counts,
    check_characters,
    check_retokenised,
    cut,
    read_as,
)
from pipeline.engine.rendering import Renderer
from pipeline.engine.thoughts import split_thought

TOP = 20  # likeliest tokens: the most that OpenAI's chat allows
ANSWER = 16  # tokens of an answer that is read as a text
LONGEST_TOKEN = 256  # characters, of a model whose tokenizer is not known; our choice
CHARACTERS_PER_TOKEN = 4  # where neither tokenizer nor server counts; our choice
OPENING, CLOSING = "<think>\n", "\n</think>\n\n"
QUOTED = 100  # characters of a refusal in a reason


class _Listed(BaseModel):
    token: str
    logprob: float


class _Token(_Listed):
    bytes: list[int] | None = None
    top_logprobs: list[_Listed] | None = None


class _Logprobs(BaseModel):
    content: list[_Token] | None = None


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class ChatReply(BaseModel):
    """An answer of /v1/chat/completions, as far as it is used."""

    choices: list[_Choice] = Field(min_length=1)
    usage: Counts | None = None

    @property
    def message(self) -> _Message:
        """The first choice's."""
        return self.choices[0].message

    @property
    def thought(self) -> str:
        """What the server gives as a thought; empty where it gives none."""
        return self.message.reasoning_content or self.message.reasoning or ""

    @property
    def text(self) -> str:
        """All that it says: its thought, and its response."""
        return self.thought + (self.message.content or "")

    def places(self) -> list[Place]:
        """Its tokens, where it lists them.

        Raises:
            TryFailed: numbers that are no log-probabilities.
        """
        for token in self._tokens():
            if not all(is_logprob(one.logprob) for one in (token, *(token.top_logprobs or ()))):
                raise TryFailed("it answers rubbish: logprobs that are no log-probabilities")
        return [_place(token) for token in self._tokens()]

    def logprobs(self) -> tuple[float, ...]:
        """Of its tokens, where it lists them."""
        found = [token.logprob for token in self._tokens()]
        if not all(is_logprob(logprob) and logprob > -math.inf for logprob in found):
            raise TryFailed("it answers rubbish: logprobs that are no log-probabilities")
        return tuple(found)

    def finished(self) -> str:
        """ "stop" or "length".

        Raises:
            DrawFailed: a filter or the model itself stopped the reply.
            TryFailed: it ended in a way that is not known.
        """
        said, refusal = self.choices[0].finish_reason, self.message.refusal
        if refusal:
            raise DrawFailed(f"the model refuses: {_short(refusal)}")
        if said == "content_filter":
            raise DrawFailed("the server's content filter stopped the reply")
        if said in ("tool_calls", "function_call"):
            raise DrawFailed("the model calls a tool instead of answering")
        if said not in ("stop", "length"):
            raise TryFailed(f"it answers rubbish: finish_reason {_short(str(said))!r}")
        return said

    def _tokens(self) -> list[_Token]:
        logprobs = self.choices[0].logprobs
        return [] if logprobs is None else logprobs.content or []


def read(answer: bytes) -> ChatReply:
    """Raises TryFailed for anything but a chat completion."""
    return read_as(ChatReply, answer)


@dataclass(frozen=True)
class ChatDialect:
    """How a chat server is spoken to.

    limit: the field that limits a reply; some models know the newer name only.
    logprobs: whether it gives log-probabilities.
    is_vllm: whether it takes vLLM's own fields.
    """

    limit: str = "max_tokens"
    logprobs: bool = True
    is_vllm: bool = False

    def __str__(self) -> str:
        given = "with" if self.logprobs else "without"
        return f"{self.limit}, {given} log-probabilities"

    def sample_body(
        self, prompt: Prompt, sampling: Sampling, seed: int, template: dict[str, Any]
    ) -> Body:
        """A request for one reply.

        Raises:
            RequestFailed: the server cannot go on with the beginning of an answer.
        """
        if _begun(prompt) and not self.is_vllm:
            raise RequestFailed(
                "the prompt ends in the beginning of an answer, which no chat server but vLLM "
                "goes on with: leave it out, or use a server with api: completions"
            )
        body = {
            **self._turns(prompt, template),
            self.limit: sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": seed,
        }
        return {**body, "logprobs": True} if self.logprobs else body

    def vote_body(self, prompt: Prompt, max_tokens: int, template: dict[str, Any]) -> Body:
        """A request for an answer with one of a few words."""
        asked = {
            **self._turns(prompt, template),
            self.limit: max_tokens,
            "temperature": 0.0,
        }
        return {**asked, "logprobs": True, "top_logprobs": TOP} if self.logprobs else asked

    def answer_tokens(self, wanted: int | None) -> int:
        """Tokens of an answer that is a vote."""
        return wanted or (1 if self.logprobs else ANSWER)

    def _turns(self, prompt: Prompt, template: dict[str, Any]) -> Body:
        turns, tools = for_template(before_beginning(prompt.messages))
        body: Body = {"messages": turns, **({"tools": tools} if tools else {})}
        if not self.is_vllm:
            return body
        body |= NEUTRAL
        if template:
            body["chat_template_kwargs"] = template
        if begun := _begun(prompt):
            turns.append({"role": "assistant", "content": begun})
            body |= {"continue_final_message": True, "add_generation_prompt": False}
        return body


def _begun(prompt: Prompt) -> str:
    """What the reply is to go on with."""
    return beginning_of(prompt.messages) + prompt.prefix


def completion_of(
    reply: ChatReply, sampling: Sampling, renderer: Renderer | None, prompt_tokens: int
) -> Completion:
    """The completion of a reply: its thought, and its text up to the first stop string.

    Raises:
        DrawFailed: a filter or the model itself stopped it.
        TryFailed: it is longer than was asked for, or holds numbers that are none.
    """
    finish, content = reply.finished(), reply.message.content or ""
    longest = renderer.longest_token if renderer else LONGEST_TOKEN
    check_characters(reply.text, sampling.max_tokens, longest)
    at, stopped_by = cut(content, sampling.stop)
    thought = reply.thought and f"{OPENING}{reply.thought.strip()}"
    whole = bool(thought and content)
    thought += CLOSING if whole else ""
    text = thought + content[:at]
    ids = tuple(renderer.encode(text)) if renderer else ()
    check_retokenised(_counted(reply, renderer) if renderer else 0, sampling.max_tokens)
    return Completion(
        text,
        ids,
        () if stopped_by else reply.logprobs(),
        "stop" if stopped_by else finish,
        stopped_by,
        prompt_tokens,
        counted=sampled_tokens(reply, sampling.max_tokens, renderer),
        answer_at=len(thought) if whole else None,
    )


def placed(completion: Completion, *, opened: bool) -> Completion:
    """A completion behind a template that opens a thought, if `opened`.

    One without any mark is all response where it ended by itself: its server keeps thoughts apart,
    and there was none. One that was cut may be the thought's beginning (our choice).
    """
    if not opened or completion.answer_at is not None:
        return completion
    if completion.finish_reason == "stop" and split_thought(completion.text).thought is None:
        return replace(completion, answer_at=0)
    return replace(completion, opened=True)


def sampled_tokens(reply: ChatReply, max_tokens: int, renderer: Renderer | None) -> int:
    """Tokens that a reply cost, never more than were asked for.

    Counted here where there is a tokenizer; else the server's own count, or what its characters
    make.
    """
    if renderer is not None:
        ends = reply.choices[0].finish_reason == "stop"
        return min(_counted(reply, renderer) + ends, max_tokens)
    said = reply.usage.sampled(max_tokens) if reply.usage else None
    return said or min(-(-len(reply.text) // CHARACTERS_PER_TOKEN), max_tokens)


def _counted(reply: ChatReply, renderer: Renderer) -> int:
    return len(renderer.encode(reply.text))


def _place(token: _Token) -> Place:
    try:
        said = token.token.encode() if token.bytes is None else bytes(token.bytes)
    except ValueError:
        raise TryFailed("it answers rubbish: logprobs with bytes that are none") from None
    listed = [(one.token, one.logprob) for one in token.top_logprobs or ()]
    return Place(said, listed or [(token.token, token.logprob)])


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= QUOTED else line[: QUOTED - 1] + "…"
