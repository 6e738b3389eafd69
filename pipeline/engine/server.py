"""OpenAI-compatible servers as a back end: one or many, on this machine or others.

Several processes, data-parallel copies and other machines come in by this door: name one address
per copy, or start `vllm serve --data-parallel-size N` behind one. (vLLM's engine inside this
process cannot hold several copies.)

The cache key holds what the servers say of themselves: software, version and the served name, with
the number format of the settings; the policy's id is the hash of the local folder that the
tokenizer comes from. A check at the start compares the server's tokenizer with that folder's where
the server is vLLM. What the key cannot see is how a server was
started: other weights under the same name, its number format, quantisation, adapters, or a
generation_config.json with other end tokens (start vLLM with `--generation-config vllm`).
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

import aiohttp

from pipeline.config import BudgetSettings, EngineSettings, ModelSettings
from pipeline.engine.base import Completion, Prompt, RequestFailed, Sampling, Usage
from pipeline.engine.budget import Meter
from pipeline.engine.client import Busy, Description, Server, TryFailed, Unreachable
from pipeline.engine.dialect import Body, OpenAIDialect, Reply, VllmDialect, read
from pipeline.engine.fitting import check_room, fitted
from pipeline.engine.model import Model
from pipeline.engine.pool import ServerPool, opened
from pipeline.engine.rendering import Renderer
from pipeline.errors import OrchardError

T = TypeVar("T")
log = logging.getLogger(__name__)
TRIAL = "Orchard: 1 + 1 = 2,\n\tnaïve 你好"  # tokenizers that differ at all differ on some of this


class ServerEngine:
    """The server back end. The servers are checked at first use."""

    def __init__(
        self,
        model: Model,
        settings: EngineSettings,
        model_settings: ModelSettings,
        meter: Meter | None = None,
    ) -> None:
        self.policy_id = model.policy_id
        self.usage = Usage()
        self._meter = meter or Meter(BudgetSettings())
        self._meter.watch(self.usage)
        self.renderer = Renderer(model.path)
        self.max_model_len = model_settings.max_model_len
        self._settings = settings
        self._model_settings = model_settings
        self._servers = [
            Server(one, model_settings.name, settings.request_seconds) for one in settings.servers
        ]
        self._description: Description | None = None
        self._absent: dict[Server, str] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opened: AsyncGenerator[ServerPool, None] | None = None
        self._pool: ServerPool | None = None
        self._in_flight = 0
        self._marked = 0.0

    def identity(self) -> dict[str, str]:
        """What about the back end can change a completion, as far as the servers tell.

        Checks them at first use.

        Raises:
            OrchardError: no server answers, or one is not what the settings say.
        """
        found = self._described()
        return {
            "kind": f"server of {found.owner or 'unknown software'}",
            "version": found.version or "unknown",
            "model": ", ".join(sorted({server.model for server in self._servers})),
            "dtype": self._model_settings.dtype,
        }

    async def sample(
        self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int]
    ) -> list[Completion]:
        """See Engine.sample."""
        ids = self.renderer.tokens(prompt)
        fit = fitted(ids, sampling, self.max_model_len)
        dialect = self._dialect()

        async def one(seed: int) -> Completion:
            body = dialect.sample_body(ids, fit, seed)
            return await self._ask(
                body,
                lambda reply: (
                    dialect.completion(reply, fit, len(ids)),
                    dialect.sampled(reply),
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
        dialect = self._dialect()
        body = dialect.verdict_body(ids, tokens)
        return await self._ask(
            body, lambda reply: (dialect.verdict(reply, words, tokens), 1), *ids[-8:], len(ids)
        )

    def reads_back(self, completion: Completion) -> bool:
        """See Engine.reads_back."""
        return self.renderer.reads_back(completion)

    def check_words(self, words: Sequence[str]) -> None:
        """See Engine.check_words."""
        self.renderer.single_tokens(words)

    def close(self) -> None:
        """Nothing to give back: connections end with the event loop,
        and servers are not ours to stop.
        """

    async def _ask(self, body: Body, make: Callable[[Reply], tuple[T, int]], *ids: object) -> T:
        """What `make` makes of a reply, with the tokens that it cost; those are counted."""
        pool = await self._open()

        def understood(answer: bytes) -> tuple[T, int, int]:
            reply = read(answer)
            return *make(reply), reply.cached_tokens

        self._tick(1)
        try:
            made, sampled, cached = await pool.ask(body, understood, *ids)
        finally:
            self._tick(-1)
        self._count(len(body["prompt"]), sampled, cached)
        return made

    def _count(self, prompt: int, sampled: int, cached: int) -> None:
        """Adds an answer's tokens to the usage, of a prompt no more cached ones than it has.

        The occupancy is the share of the servers' places taken, mean over answers.
        """
        places = sum(server.limit for server in self._servers)
        self.usage.running += min(self._in_flight + 1, places)
        self.usage.slots += places
        self.usage.requests += 1
        self.usage.prompt_tokens += prompt
        self.usage.sampled_tokens += sampled
        self.usage.cached_prompt_tokens += min(cached, prompt)

    def _tick(self, change: int) -> None:
        """Counts the seconds in which at least one request is on its way."""
        now = time.perf_counter()
        if self._in_flight:
            self.usage.seconds += now - self._marked
        self._marked = now
        self._in_flight += change

    async def _open(self) -> ServerPool:
        """The pool of the running event loop: connections cannot outlive theirs."""
        loop = asyncio.get_running_loop()
        if self._pool is None or self._loop is not loop:
            self._described()
            self._loop, self._opened, self._in_flight = loop, opened(self._make_pool), 0
            self._pool = await anext(self._opened)
        return self._pool

    def _make_pool(self, session: aiohttp.ClientSession) -> ServerPool:
        async def check(server: Server) -> None:
            self._compare(server, await self._examine(session, server))
            self._absent.pop(server, None)

        pool = ServerPool(session, self._servers, self._settings, check, self._meter.check)
        for member in pool.members:
            if member.server in self._absent:
                pool.take_out(member, self._absent[member.server])
        return pool

    def _dialect(self, found: Description | None = None) -> OpenAIDialect:
        found = found or self._described()
        return VllmDialect(self.renderer) if found.is_vllm else OpenAIDialect(self.renderer)

    def _described(self) -> Description:
        """What the servers are, all alike.

        Those that do not answer now are left to the pool's checks.
        """
        if self._description is None:
            # an event loop of its own: this may be called inside another
            with ThreadPoolExecutor(1) as thread:
                found = thread.submit(asyncio.run, self._examine_all()).result()
            if not found:
                reasons = "; ".join(
                    f"{server.url}: {reason}" for server, reason in self._absent.items()
                )
                raise OrchardError(
                    f"no server answers ({reasons}): start one, or set engine.backend: vllm"
                )
            self._description = next(iter(found.values()))
            for server, description in found.items():
                self._compare(server, description)
        return self._description

    def _compare(self, server: Server, found: Description) -> None:
        """Raises OrchardError unless a completion could come
        from this server as well as from the others.
        """
        assert self._description is not None
        if (found.owner, found.version) != (self._description.owner, self._description.version):
            raise OrchardError(
                f"server {server.url}: is {found}, another is {self._description}: "
                "run the same on all"
            )

    async def _examine_all(self) -> dict[Server, Description]:
        found: dict[Server, Description] = {}
        async with aiohttp.ClientSession() as session:
            tried = await asyncio.gather(
                *(self._examine(session, s) for s in self._servers), return_exceptions=True
            )
        for server, result in zip(self._servers, tried, strict=True):
            if isinstance(result, Description):
                found[server] = result
            elif isinstance(result, Unreachable | Busy):
                self._absent[server] = str(result)
                log.warning("server %s does not answer: %s", server.url, result)
            else:
                raise result
        return found

    async def _examine(self, session: aiohttp.ClientSession, server: Server) -> Description:
        """What a server says of itself, once it has shown that it does what is needed.

        Raises:
            OrchardError: it is another protocol or model, or does not complete token ids.
            Unreachable, Busy: it does not answer now.
        """
        try:
            found = await server.describe(session)
            longest = self._model_settings.max_model_len
            if found.max_model_len is not None and found.max_model_len < longest:
                mend = f"lower model.max_model_len (now {longest}) or restart it with a longer one"
                raise OrchardError(
                    f"server {server.url}: takes at most {found.max_model_len} tokens: {mend}"
                )
            ids = self.renderer.encode(TRIAL)
            if found.is_vllm and await server.tokens(session, TRIAL) not in (ids, None):
                path = self.renderer.path
                raise OrchardError(
                    f"server {server.url}: its tokenizer is not that of {path}: "
                    "it has another model"
                )
            dialect, sampling = self._dialect(found), Sampling(1, temperature=0.0)
            dialect.completion(
                read(await server.complete(session, dialect.sample_body(ids, sampling, 0))),
                sampling,
                0,
            )
        except (RequestFailed, TryFailed) as error:
            raise OrchardError(f"server {server.url}: cannot be used: {error}") from None
        return found
