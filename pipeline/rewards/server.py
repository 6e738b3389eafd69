"""A pooling server as a voter: vLLM's /classify and /pooling (read in the source of vLLM 0.32).

Each request holds one conversation as `messages`; the server applies its own chat template.
`use_activation: false` asks for logits; where a server gives probabilities all the same, two or
more classes still have the same log-odds.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import aiohttp
from pydantic import BaseModel, ValidationError

from pipeline.config import EngineSettings, VoterSettings
from pipeline.conversation import for_template
from pipeline.engine.base import RequestFailed, Turn
from pipeline.engine.client import Busy, Server, TryFailed, Unreachable
from pipeline.engine.control import check_sent
from pipeline.engine.pool import ServerPool, opened
from pipeline.errors import OrchardError
from pipeline.rewards.texts import Conversations, Said, reward

Progress = Callable[[int, int], None]


class PoolingServer(Server):
    """A server that is asked for one conversation's numbers at a time."""

    section = "noise.external"

    def __init__(self, voter: VoterSettings, seconds: float) -> None:
        assert voter.server is not None
        super().__init__(voter.server, voter.name, seconds)
        self.path = f"/{voter.api}"


class _Item(BaseModel):
    probs: list[float] | None = None  # /classify
    data: list[list[float]] | list[float] | None = None  # /pooling: of each token, or of the text


class _Answer(BaseModel):
    data: list[_Item]


def ask(
    voter: VoterSettings,
    texts: Conversations,
    settings: EngineSettings,
    progress: Progress | None = None,
) -> Said:
    """The server's reward of every conversation; one that it refuses has a fault.

    Raises:
        OrchardError: no server there, another protocol or model, or none that works for
            `patience_seconds`.
    """
    return asyncio.run(_ask_all(voter, texts, settings, progress))


async def _ask_all(
    voter: VoterSettings, texts: Conversations, settings: EngineSettings, progress: Progress | None
) -> Said:
    server = PoolingServer(voter, settings.request_seconds)
    async with aiohttp.ClientSession() as session:

        async def check(again: Server) -> None:
            await again.describe(session)

        try:
            found = await server.describe(session)
        except (Unreachable, Busy, TryFailed, RequestFailed) as error:
            raise OrchardError(
                f"voter {voter.name!r}: server {server.url}: {error}: start it, then run again"
            ) from None
        said = Said(f"{voter.name}@{found.owner or 'server'}-{server.model}", {}, {})
        pools = opened(lambda own: ServerPool(own, [server], settings, check, lambda: None))
        pool = await anext(pools)

        async def one(key: str) -> None:
            try:
                said.rewards[key] = await pool.ask(
                    _body(texts[key]), lambda answer: read(answer, voter), key
                )
            except RequestFailed as error:
                said.faults[key] = error.named(f"voter {voter.name}")
            if progress:
                progress(len(said.rewards) + len(said.faults), len(texts))

        try:
            await asyncio.gather(*(one(key) for key in sorted(texts)))
        finally:
            await pools.aclose()
    return said


def _body(turns: Sequence[Turn]) -> dict[str, Any]:
    check_sent(turns)
    messages, tools = for_template(turns)
    if tools is not None:
        raise RequestFailed("a pooling server takes no tools")
    return {"messages": messages, "use_activation": False}


def read(answer: bytes, voter: VoterSettings) -> float:
    """The reward in an answer; of one number a token, the last token's counts.

    Raises:
        TryFailed: the answer is not of this kind.
        RequestFailed: its numbers are no reward.
    """
    try:
        (item,) = _Answer.model_validate_json(answer).data
    except (ValidationError, ValueError):
        raise TryFailed(f"its answer to {voter.api} is of another kind: {answer[:80]!r}") from None
    values = item.probs if item.probs is not None else item.data
    if values and isinstance(values[-1], list):
        values = values[-1]
    return reward([v for v in values or [] if isinstance(v, float)], voter.positive, voter.name)
