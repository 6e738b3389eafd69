"""What the back ends share that ask OpenAI-compatible servers: one or many, here or elsewhere.

Several processes, data-parallel copies and other machines come in by this door: name one address
per copy, or start `vllm serve --data-parallel-size N` behind one. (vLLM's engine inside this
process cannot hold several copies.) The servers are checked at first use, and have to be alike.
"""

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

import aiohttp

from pipeline.config import BudgetSettings, EngineSettings, ModelSettings
from pipeline.engine.base import RequestFailed, Usage
from pipeline.engine.budget import Meter
from pipeline.engine.client import Busy, Description, Server, TryFailed, Unreachable
from pipeline.engine.dialect import Body
from pipeline.engine.model import Model
from pipeline.engine.pool import ServerPool, opened
from pipeline.errors import OrchardError

T = TypeVar("T")
D = TypeVar("D")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Paid:
    """Tokens of one request: of its prompt, sampled, and of the prompt read from a cache."""

    prompt: int
    sampled: int
    cached: int


class ServedEngine(ABC, Generic[D]):
    """The part of a back end that asks its servers; D is how they are spoken to."""

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
        self.max_model_len = model_settings.max_model_len
        self._settings = settings
        self._model_settings = model_settings
        self._servers = [
            Server(one, model_settings.served_name, settings.request_seconds)
            for one in settings.servers
        ]
        self._found: tuple[Description, D] | None = None
        self._absent: dict[Server, str] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opened: AsyncGenerator[ServerPool, None] | None = None
        self._pool: ServerPool | None = None
        self._in_flight = 0
        self._marked = 0.0

    @abstractmethod
    async def _dialect_of(
        self, session: aiohttp.ClientSession, server: Server, found: Description
    ) -> D:
        """How a server is spoken to, once it has shown that it does what is needed.

        Raises:
            OrchardError, RequestFailed, TryFailed: it does not.
            Unreachable, Busy: it does not answer now.
        """

    def identity(self) -> dict[str, str]:
        """What about the back end can change a completion, as far as the servers tell.

        Checks them at first use.

        Raises:
            OrchardError: no server answers, or one is not what the settings say.
        """
        found, _ = self._described()
        return {
            "kind": f"server of {found.owner or 'unknown software'}",
            "version": found.version or "unknown",
            "model": ", ".join(sorted({server.model for server in self._servers})),
            "dtype": self._model_settings.dtype,
        }

    def close(self) -> None:
        """Nothing to give back: connections end with the event loop,
        and servers are not ours to stop.
        """

    async def _ask(
        self, body: Body, understood: Callable[[bytes], tuple[T, Paid]], *ids: object
    ) -> T:
        """What `understood` makes of an answer; what it says was paid is counted."""
        pool = await self._open()
        self._tick(1)
        try:
            made, paid = await pool.ask(body, understood, *ids)
        finally:
            self._tick(-1)
        self._count(paid)
        return made

    def _dialect(self) -> D:
        """How the servers are spoken to."""
        return self._described()[1]

    def _count(self, paid: Paid) -> None:
        """Adds an answer's tokens to the usage, of a prompt no more cached ones than it has.

        The occupancy is the share of the servers' places taken, mean over answers.
        """
        places = sum(server.limit for server in self._servers)
        self.usage.running += min(self._in_flight + 1, places)
        self.usage.slots += places
        self.usage.requests += 1
        self.usage.prompt_tokens += paid.prompt
        self.usage.sampled_tokens += paid.sampled
        self.usage.cached_prompt_tokens += min(paid.cached, paid.prompt)

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

    def _described(self) -> tuple[Description, D]:
        """What the servers are and how they are spoken to, all alike.

        Those that do not answer now are left to the pool's checks.
        """
        if self._found is None:
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
            self._found = next(iter(found.values()))
            for server, one in found.items():
                self._compare(server, one)
        return self._found

    def _compare(self, server: Server, found: tuple[Description, D]) -> None:
        """Raises OrchardError unless a completion could come
        from this server as well as from the others.
        """
        assert self._found is not None
        (own, dialect), (other, others) = found, self._found
        if (own.owner, own.version) != (other.owner, other.version):
            raise OrchardError(
                f"server {server.url}: is {own}, another is {other}: run the same on all"
            )
        if dialect != others:
            raise OrchardError(
                f"server {server.url}: takes {dialect}, another {others}: run the same on all"
            )

    async def _examine_all(self) -> dict[Server, tuple[Description, D]]:
        found: dict[Server, tuple[Description, D]] = {}
        async with aiohttp.ClientSession() as session:
            tried = await asyncio.gather(
                *(self._examine(session, s) for s in self._servers), return_exceptions=True
            )
        for server, result in zip(self._servers, tried, strict=True):
            if isinstance(result, tuple):
                found[server] = result
            elif isinstance(result, Unreachable | Busy):
                self._absent[server] = str(result)
                log.warning("server %s does not answer: %s", server.url, result)
            else:
                raise result
        return found

    async def _examine(
        self, session: aiohttp.ClientSession, server: Server
    ) -> tuple[Description, D]:
        """What a server says of itself, once it has shown that it does what is needed.

        Raises:
            OrchardError: it is another protocol or model, or does not do what is needed.
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
            return found, await self._dialect_of(session, server, found)
        except (RequestFailed, TryFailed) as error:
            raise OrchardError(f"server {server.url}: cannot be used: {error}") from None
