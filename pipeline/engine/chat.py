"""Chat servers as a back end: turns go to /v1/chat/completions.

For judges, critics, writers of rationales, and for policies whose servers offer nothing else. A
model that only its servers have (`served:NAME`) has no tokenizer here: its tokens are counted by
the server, or by the characters. What the cache key cannot see of a server stands in server.py; of
`served:NAME` it cannot see the weights either, so that `revision` is to be changed with them.
"""

import asyncio
import json
import logging
from collections.abc import Sequence
from itertools import product
from typing import Any

import aiohttp

from pipeline.config import EngineSettings, ModelSettings
from pipeline.engine.answers import Answer, answer_of, begins_another
from pipeline.engine.base import Completion, Prompt, RequestFailed, Sampling
from pipeline.engine.budget import Meter
from pipeline.engine.chat_dialect import (
    ANSWER,
    ChatDialect,
    ChatReply,
    completion_of,
    placed,
    read,
    sampled_tokens,
)
from pipeline.engine.client import Description, Server
from pipeline.engine.control import check_sent, could_be_read
from pipeline.engine.fitting import fitted
from pipeline.engine.model import Model
from pipeline.engine.rendering import Renderer
from pipeline.engine.served import Paid, ServedEngine
from pipeline.errors import OrchardError

log = logging.getLogger(__name__)
TRIAL = Prompt(({"role": "user", "content": "What is 1 + 1? Answer with one number."},))


class Turns:
    """Prompts as they go to a chat server, with the tokenizer of the model's folder if it has one.

    Where it has none, a prompt counts no tokens here, and the server says whether it is too long.
    """

    sampled_as: dict[str, Any] = {}

    def __init__(self, model: Model) -> None:
        self.renderer = None if model.folder is None else Renderer(model.folder)

    def address(self, prompt: Prompt) -> list[Any]:
        """What stands for a prompt in a completion's address: its turns as they are sent."""
        return ["chat", [dict(turn) for turn in prompt.messages], prompt.prefix]

    def tokens(self, prompt: Prompt) -> list[int]:
        """The prompt's token ids in the folder's template; none where there is no folder.

        Raises:
            RequestFailed: a text spells what the server's template may read as structure.
        """
        if self.renderer is None:
            check_sent(prompt.messages, prompt.prefix)
            return []
        if len(self.renderer.pieces(prompt)) > 1:
            raise could_be_read("a control token")
        return self.renderer.tokens(prompt)

    def opens_thought(self, prompt: Prompt) -> bool:
        """True where the folder's template opens a thought behind these turns."""
        return self.renderer.opens_thought(prompt) if self.renderer else False


class ChatEngine(ServedEngine[ChatDialect]):
    """The back end of chat servers. They are checked at first use."""

    def __init__(
        self,
        model: Model,
        settings: EngineSettings,
        model_settings: ModelSettings,
        meter: Meter | None = None,
    ) -> None:
        super().__init__(model, settings, model_settings, meter)
        self.renderer = Turns(model)
        self._template = dict(model_settings.template)
        self._votes: list[Answer] = []

    @property
    def answer_tokens(self) -> int:
        """See `base.answer_tokens`."""
        return self._dialect().answer_tokens(self._settings.servers[0].answer_tokens)

    def identity(self) -> dict[str, str]:
        """See ServedEngine: and how answers are read."""
        known = super().identity()
        read_by = "log-probability" if self._dialect().logprobs else "text"
        votes = f"{self.answer_tokens} tokens by {read_by}"
        return {**known, "kind": f"chat {known['kind']}", "votes": votes}

    async def sample(
        self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int]
    ) -> list[Completion]:
        """See Engine.sample. One request a draw: not every server gives several at once.

        Raises:
            DrawFailed: a filter or the model itself stopped a draw.
            RequestFailed: also where the server cannot go on with the beginning of an answer.
        """
        ids = self.renderer.tokens(prompt)
        fit, dialect = fitted(ids, sampling, self.max_model_len), self._dialect()
        opened = self.renderer.opens_thought(prompt)

        async def one(seed: int) -> Completion:
            def understood(answer: bytes) -> tuple[Completion | RequestFailed, Paid]:
                reply = read(answer)
                paid = self._paid(reply, fit.max_tokens, len(ids))
                try:
                    made = completion_of(reply, fit, self.renderer.renderer, paid.prompt)
                    return placed(made, opened=opened), paid
                except RequestFailed as error:  # it is paid for all the same
                    return error, paid

            body = dialect.sample_body(prompt, fit, seed, self._template)
            found = await self._ask(body, understood, seed, json.dumps(body["messages"]))
            if isinstance(found, RequestFailed):
                raise found
            return found

        return list(await asyncio.gather(*(one(seed) for seed in seeds)))

    async def verdict(self, prompt: Prompt, words: Sequence[str]) -> list[float]:
        """See Engine.verdict; the model's own answer has to be one of the words.

        Raises:
            RequestFailed: it is none of them, or a filter stopped it.
        """
        self.check_words(words)
        dialect, most = self._dialect(), self.answer_tokens
        ids = self.renderer.tokens(prompt)

        def understood(answer: bytes) -> tuple[Answer | RequestFailed, Paid]:
            reply = read(answer)
            paid = self._paid(reply, most, len(ids))
            places = reply.places()
            try:
                reply.finished()
                return answer_of(reply.message.content or "", places, words), paid
            except RequestFailed as error:
                return error, paid

        body = dialect.vote_body(prompt, most, self._template)
        found = await self._ask(body, understood, json.dumps(body["messages"]))
        if isinstance(found, RequestFailed):
            raise found
        self._votes.append(found)
        return found.shares

    def reads_back(self, completion: Completion) -> bool:
        """True: of a reply only the text is known."""
        return True

    def check_words(self, words: Sequence[str]) -> None:
        """Raises RequestFailed where two words are one to a reader, or where one token does not
        tell them apart.
        """
        bare = [word.strip() for word in words]
        if len({word.casefold() for word in bare}) < len(bare):
            raise RequestFailed(f"verdict words {list(words)} are alike: choose different ones")
        other = begins_another(bare)
        if other is not None and self.answer_tokens == 1:
            raise RequestFailed(
                f"verdict word {other!r} begins another one: set answer_tokens of the judge's "
                f"servers to {ANSWER}, say"
            )

    def close(self) -> None:
        """Says how the votes since the last time were read."""
        votes, self._votes = self._votes, []
        known = [one.mass for one in votes if one.mass is not None]
        if not votes:
            return
        mean = f"; they had {sum(known) / len(known):.1%} of the probability" if known else ""
        log.warning(
            "%s: %d votes, %d by the words' log-probabilities%s, %d by the text",
            self.policy_id, len(votes), len(known), mean, len(votes) - len(known),
        )  # fmt: skip

    def _paid(self, reply: ChatReply, max_tokens: int, prompt_tokens: int) -> Paid:
        """What a reply cost, counted here as far as there is a tokenizer."""
        said = reply.usage
        prompt = prompt_tokens or (said.prompt(self.max_model_len) if said else 0)
        sampled = sampled_tokens(reply, max_tokens, self.renderer.renderer)
        return Paid(prompt, sampled, said.cached if said else 0)

    async def _dialect_of(
        self, session: aiohttp.ClientSession, server: Server, found: Description
    ) -> ChatDialect:
        """See ServedEngine: the first way to ask that it does not refuse."""
        if self._template and not found.is_vllm:
            raise OrchardError(
                f"server {server.url}: takes no arguments of a chat template, "
                "which only vLLM does: leave out the model's template"
            )
        refused: RequestFailed | None = None
        for limit, logprobs in product(("max_tokens", "max_completion_tokens"), (True, False)):
            dialect = ChatDialect(limit, logprobs, found.is_vllm)
            try:
                return await self._tried(session, server, dialect)
            except RequestFailed as error:
                refused = refused or error
        assert refused is not None
        raise refused

    async def _tried(
        self, session: aiohttp.ClientSession, server: Server, dialect: ChatDialect
    ) -> ChatDialect:
        """The dialect, without log-probabilities where the answer has none."""
        body = dialect.sample_body(TRIAL, Sampling(ANSWER, temperature=0.0), 0, self._template)
        body |= dialect.vote_body(TRIAL, ANSWER, self._template)
        reply = read(await server.complete(session, body))
        given = any(len(place.likeliest) > 1 for place in reply.places())
        return ChatDialect(dialect.limit, given, dialect.is_vllm)
