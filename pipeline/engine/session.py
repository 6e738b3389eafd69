"""One engine for a whole run: opened at first use, shared by every step, closed before training."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, TypeVar

from pipeline.config import EngineSettings, ModelSettings, Settings, section
from pipeline.config.engine import speak_chat
from pipeline.engine.base import Engine
from pipeline.engine.budget import Meter
from pipeline.engine.cache import Backend, CachedEngine
from pipeline.engine.chat import ChatEngine
from pipeline.engine.model import Model, resolve
from pipeline.engine.resident import Resident
from pipeline.engine.server import ServerEngine
from pipeline.engine.vllm import VllmEngine

T = TypeVar("T")


def cache_path(home: Path) -> Path:
    """The completion cache of a data folder."""
    return home / "cache" / "completions.sqlite"


def open_engine(
    model: Model, settings: Settings, home: Path, resident: Resident, meter: Meter
) -> Engine:
    """The engine of the settings for one model,
    with the completion cache in front of it unless that is off.
    """
    # The servers hold the policy of the settings; one that was trained here is sampled in this
    # process. Who is asked in the policy's place may have servers of its own.
    policy = (
        settings.engine.backend == "server"
        and model.policy_id == resolve(settings.model, home).policy_id
    )
    others = [
        one
        for one in (*settings.judge.models, settings.judge.rationales.model)
        if one and one.servers and resolve(one, home).policy_id == model.policy_id
    ]
    inner: Backend
    if policy:
        inner = _served(model, settings.engine, settings.model, meter)
    elif others:
        own = section(settings.engine, servers=others[0].servers)
        inner = _served(model, own, others[0], meter)
    else:
        inner = VllmEngine(model, resident, settings.model, meter)
    return CachedEngine(inner, cache_path(home)) if settings.engine.cache else inner


def _served(
    model: Model, settings: EngineSettings, model_settings: ModelSettings, meter: Meter
) -> Backend:
    kind = ChatEngine if speak_chat(settings.servers) else ServerEngine
    return kind(model, settings, model_settings, meter)


def run_all(
    coroutines: Iterable[Coroutine[Any, Any, T]], progress: Callable[[int, int], None] | None = None
) -> list[T]:
    """Runs one coroutine per prompt, all at once, and returns their results in order.

    The engine batches whatever they ask for. The first exception ends the run; results already
    sampled stay cached. `progress(done, all)` is called after each.
    """

    async def main() -> list[T]:
        tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
        try:
            for done, finished in enumerate(asyncio.as_completed(tasks), start=1):
                await finished
                if progress:
                    progress(done, len(tasks))
        except BaseException:
            for task in tasks:
                task.cancel()
            # Their errors are looked at, else asyncio prints a traceback for each of them.
            await asyncio.gather(*tasks, return_exceptions=True)
            raise
        return [task.result() for task in tasks]

    return asyncio.run(main())
