"""Several servers as one: who gets a request, who gets a rest, and who is taken out.

A request goes to the server with the smallest share of its places taken. A try that failed is tried
again, on another server where there is one (else a broken server, which fails at once and so has
the most places, would use up all tries). A server that cannot be reached is out until it passes a
check, and so is one that refuses us or has lost its model while others are left; one that is busy
rests for at least as long as it asks. When no server has worked for `patience` seconds the run
stops: what is done is in the cache.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import TypeVar

import aiohttp

from pipeline.config import EngineSettings
from pipeline.engine.base import RequestFailed, Unanswered
from pipeline.engine.budget import BudgetReached
from pipeline.engine.client import Busy, Server, TryFailed, Unreachable
from pipeline.errors import OrchardError
from pipeline.ids import unit_for

T = TypeVar("T")
FIRST_WAIT = 0.5  # seconds; doubles with every try
LONGEST_WAIT = 30.0
EPSILON = 0.01  # seconds: timers may fire that much early

log = logging.getLogger(__name__)


def backoff(tries: int, *ids: object) -> float:
    """Seconds to wait after so many failed tries:
    exponential, times a factor in [0.5, 1.5) that the ids determine.
    """
    return float(
        min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(tries, 16))
        * (0.5 + unit_for("backoff", tries, *ids))
    )


class Member:
    """A server's state in a pool. Times are the event loop's, in seconds."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.in_flight = 0
        self.out = False  # gets no requests until it passes a check
        self.rests_until = 0.0
        self.failures = 0  # rests and failed checks in a row
        self.troubled_since: float | None = None  # its first trouble after something worked
        self.trouble = ""  # the last one

    def worked(self) -> None:
        """Something came back that only a sound server sends."""
        self.troubled_since, self.failures = None, 0


class ServerPool:
    """The servers of one event loop.

    `check` raises unless a server is fit to be taken in again; `before` is called before each try
    and may raise too.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        servers: Sequence[Server],
        settings: EngineSettings,
        check: Callable[[Server], Awaitable[None]],
        before: Callable[[], None],
    ) -> None:
        self.members = [Member(server) for server in servers]
        self._session = session
        self._tries = settings.tries
        self._patience = settings.patience_seconds
        self._check = check
        self._before = before
        self._waiting: deque[tuple[asyncio.Future[Member], frozenset[Member]]] = deque()
        self._checks: set[asyncio.Task[None]] = set()
        self._over: OrchardError | None = None

    async def ask(self, body: dict[str, object], read: Callable[[bytes], T], *ids: object) -> T:
        """What `read` makes of the answer to a completion request.

        The waits between tries derive from the ids.

        Raises:
            RequestFailed: the request is refused.
            Unanswered: every try failed.
            OrchardError: no server works, or the last one's configuration is wrong.
        """
        tried: frozenset[Member] = frozenset()
        failed = 0
        while True:
            member = await self._place(tried)
            server = member.server
            try:
                self._before()
                found = read(await server.complete(self._session, body))
                member.worked()
                return found
            except RequestFailed:
                member.worked()
                raise
            except Busy as error:  # not this request's fault: it waits, without losing a try
                self._rest(member, error)
                continue
            except Unreachable as error:
                self.take_out(member, str(error))
                reason = f"server {server.url}: {error}"
            except TryFailed as error:
                reason = f"server {server.url}: {error}"
            except BudgetReached:
                raise
            except OrchardError as error:
                self._refused(member, error)
                reason = str(error)
            finally:
                member.in_flight -= 1
                self._hand_out()
            failed += 1
            if failed == self._tries:
                raise Unanswered(f"{failed} tries failed, the last at {reason}")
            tried |= {member}
            await asyncio.sleep(backoff(failed, *ids))

    async def _place(self, tried: frozenset[Member]) -> Member:
        """A place at a server, first come first served."""
        if self._over:
            raise self._over
        future: asyncio.Future[Member] = asyncio.get_running_loop().create_future()
        self._waiting.append((future, tried))
        self._hand_out()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and not future.exception():
                future.result().in_flight -= 1  # a place that was given and will not be used
                self._hand_out()
            raise

    def _hand_out(self) -> None:
        while self._waiting:
            future, tried = self._waiting[0]
            member = self._free(tried)
            if member is None:
                return
            self._waiting.popleft()
            if not future.done():
                member.in_flight += 1
                future.set_result(member)

    def _free(self, tried: frozenset[Member]) -> Member | None:
        now = asyncio.get_running_loop().time()
        sound = [m for m in self.members if not m.out]
        chosen = [m for m in sound if m not in tried] or sound
        free = [m for m in chosen if m.rests_until <= now and m.in_flight < m.server.limit]
        return min(free, key=lambda m: m.in_flight / m.server.limit, default=None)

    def _rest(self, member: Member, error: Busy) -> None:
        """Leaves a busy server alone for as long as it asks,
        and longer each time even if it asks for nothing.
        """
        loop = asyncio.get_running_loop()
        seconds = error.seconds or 0.0
        if member.rests_until <= loop.time():  # else the other requests that it had say the same
            member.failures += 1
            seconds = max(seconds, backoff(member.failures, member.server.url))
        member.rests_until = max(member.rests_until, loop.time() + seconds)
        loop.call_later(seconds + EPSILON, self._hand_out)
        self._trouble(member, str(error))

    def _refused(self, member: Member, error: OrchardError) -> None:
        """Takes out a server that refuses us or has lost its model.

        Raises the error where no other is left.
        """
        if all(other.out for other in self.members if other is not member):
            raise error
        if not member.out:
            # it may pass its check all the same: not at once, or it would come and go
            member.failures += 1
        self.take_out(member, str(error).removeprefix(f"server {member.server.url}: "))

    def take_out(self, member: Member, reason: str) -> None:
        """Gives a server no more requests until it passes a check."""
        if member.out:
            return  # the other requests that it had say the same
        log.warning("server %s is out: %s", member.server.url, reason)
        member.out = True
        self._trouble(member, reason)
        task = asyncio.create_task(self._take_in(member))
        self._checks.add(task)  # the event loop itself holds tasks by weak references only
        task.add_done_callback(self._checks.discard)

    async def _take_in(self, member: Member) -> None:
        """Checks a server until it is fit again, less often each time."""
        if member.failures:
            await asyncio.sleep(backoff(member.failures, member.server.url))
        while member.out:
            try:
                await self._check(member.server)
            except (OrchardError, Unreachable, Busy, TryFailed) as error:
                member.failures += 1
                self._trouble(member, str(error))
                await asyncio.sleep(backoff(member.failures, member.server.url))
            else:
                log.warning("server %s is back", member.server.url)
                member.out = False
                member.worked()
                self._hand_out()

    def _trouble(self, member: Member, reason: str) -> None:
        """Notes what is wrong with a server, and looks again when patience has run out."""
        loop = asyncio.get_running_loop()
        member.trouble = reason
        if member.troubled_since is None:
            member.troubled_since = loop.time()
            loop.call_later(self._patience + EPSILON, self._give_up)
        self._give_up()

    def _give_up(self) -> None:
        """Ends every wait once all servers have been in trouble for longer than patience."""
        now = asyncio.get_running_loop().time()
        since = [member.troubled_since for member in self.members]
        if any(at is None or now - at < self._patience for at in since):
            return
        reasons = "; ".join(f"{member.server.url}: {member.trouble}" for member in self.members)
        self._over = OrchardError(
            f"no server has worked for {self._patience:g} s ({reasons}): mend one, then run again"
        )
        while self._waiting:
            future, _ = self._waiting.popleft()
            if not future.done():
                future.set_exception(self._over)


async def opened(make: Callable[[aiohttp.ClientSession], T]) -> AsyncGenerator[T, None]:
    """Yields what `make` makes of a new session, which is closed when the event loop ends.

    asyncio.run closes every asynchronous generator that is still open, and offers no other hook at
    a loop's end.
    """
    # Shorter than the 5 s after which common servers drop an idle connection: a request must not
    # meet a closing one.
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=3)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield make(session)
