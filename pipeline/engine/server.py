"""Completion servers as a back end: token ids go to /v1/completions.

The cache key holds what the servers say of themselves: software, version and the served name, with
the number format of the settings; the policy's id is the hash of the local folder that the
tokenizer comes from. A check at the start compares the server's tokenizer with that folder's where
the server is vLLM. What the key cannot see is how a server was
started: other weights under the same name, its number format, quantisation, adapters, or a
generation_config.json with other end tokens (start vLLM with `--generation-config vllm`).
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import aiohttp

from pipeline.config import EngineSettings, ModelSettings
from pipeline.engine.base import Completion, Prompt, Sampling
from pipeline.engine.budget import Meter
from pipeline.engine.client import Description, Server
from pipeline.engine.dialect import OpenAIDialect, Reply, VllmDialect, read
from pipeline.engine.fitting import check_room, fitted
from pipeline.engine.model import Model
from pipeline.engine.rendering import Renderer
from pipeline.engine.served import Paid, ServedEngine
from pipeline.errors import OrchardError

T = TypeVar("T")
TRIAL = "Orchard: 1 + 1 = 2,\n\tnaïve 你好"  # tokenizers that differ at all differ on some of this


class ServerEngine(ServedEngine[type[OpenAIDialect]]):
    """The back end of completion servers. They are checked at first use."""

    def __init__(
        self,
        model: Model,
        settings: EngineSettings,
        model_settings: ModelSettings,
        meter: Meter | None = None,
    ) -> None:
        super().__init__(model, settings, model_settings, meter)
        self.renderer = Renderer(model.path)

    async def sample(
        self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int]
    ) -> list[Completion]:
        """See Engine.sample."""
        ids = self.renderer.tokens(prompt)
        fit = fitted(ids, sampling, self.max_model_len)
        dialect = self._dialect()(self.renderer)

        async def one(seed: int) -> Completion:
            body = dialect.sample_body(ids, fit, seed)
            return await self._ask(
                body,
                _counted(
                    lambda reply: (
                        dialect.completion(reply, fit, len(ids)),
                        dialect.sampled(reply),
                    ),
                    len(ids),
                ),
                seed,
                len(ids),
            )

        drawn = await asyncio.gather(*(one(seed) for seed in seeds))
        opened = self.renderer.opens_thought(prompt)
        return [replace(completion, opened=opened) for completion in drawn]

    async def verdict(self, prompt: Prompt, words: Sequence[str]) -> list[float]:
        """See Engine.verdict."""
        tokens = self.renderer.single_tokens(words)
        ids = self.renderer.tokens(prompt)
        check_room(ids, 1, self.max_model_len)
        dialect = self._dialect()(self.renderer)
        body = dialect.verdict_body(ids, tokens)
        understood = _counted(lambda reply: (dialect.verdict(reply, words, tokens), 1), len(ids))
        return await self._ask(body, understood, *ids[-8:], len(ids))

    def reads_back(self, completion: Completion) -> bool:
        """See Engine.reads_back."""
        return self.renderer.reads_back(completion)

    def check_words(self, words: Sequence[str]) -> None:
        """See Engine.check_words."""
        self.renderer.single_tokens(words)

    async def _dialect_of(
        self, session: aiohttp.ClientSession, server: Server, found: Description
    ) -> type[OpenAIDialect]:
        """See ServedEngine: it completes token ids, and its tokenizer is the folder's."""
        ids = self.renderer.encode(TRIAL)
        if found.is_vllm and await server.tokens(session, TRIAL) not in (ids, None):
            path = self.renderer.path
            raise OrchardError(
                f"server {server.url}: its tokenizer is not that of {path}: it has another model"
            )
        kind = VllmDialect if found.is_vllm else OpenAIDialect
        dialect, sampling = kind(self.renderer), Sampling(1, temperature=0.0)
        body = dialect.sample_body(ids, sampling, 0)
        dialect.completion(read(await server.complete(session, body)), sampling, 0)
        return kind


def _counted(
    make: Callable[[Reply], tuple[T, int]], prompt_tokens: int
) -> Callable[[bytes], tuple[T, Paid]]:
    """Reads an answer by `make`, which gives what it holds and the tokens that were sampled."""

    def understood(answer: bytes) -> tuple[T, Paid]:
        reply = read(answer)
        made, sampled = make(reply)
        return made, Paid(prompt_tokens, sampled, reply.cached_tokens)

    return understood
