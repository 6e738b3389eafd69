"""The completion cache: no request is paid for twice, not even after a kill.

A completion is addressed by everything that determines it: the policy's id (a hash of weights, configuration,
tokenizer and chat template), the rendered text and the version of the tokenizers library (with the tokenizer they
determine the token ids; computing those was 0.7 of a hit's cost), the sampling parameters and the seed, the back end's
kind, version and number format, and the version of this key. Left out, because it only changes speed: batch size, block
size, memory limits, the number of devices. A template that asks for today's date is given a fixed one (rendering.py),
else nothing would be found on the next day. What the key cannot see: rounding that differs with the batch a request
happens to run in; the cache keeps the first result, so that a later run reads what the first one saw. What it cannot
see of a server stands in server.py.
"""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

from pipeline.engine.base import Completion, Engine, Prompt, Sampling
from pipeline.engine.cachefile import CacheFile
from pipeline.engine.rendering import Renderer

KEY_VERSION = 2


class Backend(Engine, Protocol):
    """An engine that the cache can stand in front of."""

    renderer: Renderer

    def identity(self) -> dict[str, str]:
        """What about the back end can change a completion."""
        ...


class CachedEngine:
    """An engine that remembers every completion."""

    def __init__(self, inner: Backend, path: Path) -> None:
        self.inner = inner
        self.policy_id = inner.policy_id
        self.usage = inner.usage
        parts = [KEY_VERSION, inner.policy_id, inner.identity(), metadata.version("tokenizers")]
        self._base = json.dumps(parts, sort_keys=True).encode()
        self._flying: dict[bytes, asyncio.Task[Any]] = {}
        self._file = CacheFile(path)

    async def sample(self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int]) -> list[Completion]:
        """See Engine.sample: known completions are read, the others sampled together."""
        head = self._key(["sample", self.inner.renderer.text(prompt), vars(sampling)])
        keys = [hashlib.blake2b(head + seed.to_bytes(8, "big"), digest_size=16).digest() for seed in seeds]
        found = [self._known(key) for key in keys]
        missing = [i for i, completion in enumerate(found) if completion is None]
        drawn = await asyncio.gather(*(self._draw(keys[i], prompt, sampling, seeds[i]) for i in missing))
        fresh = dict(zip(missing, drawn, strict=True))
        return [fresh[i] if completion is None else completion for i, completion in enumerate(found)]

    async def verdict(self, prompt: Prompt, words: Sequence[str]) -> list[float]:
        """See Engine.verdict."""
        key = self._key(["verdict", self.inner.renderer.text(prompt), list(words)])
        found = self._file.get(key)
        if found is None:
            found = await self.inner.verdict(prompt, words)
            self._file.put(key, found, self.policy_id)
        else:
            self.usage.cache_hits += 1
        return list(found)

    def check_words(self, words: Sequence[str]) -> None:
        """See Engine.check_words."""
        self.inner.check_words(words)

    def close(self) -> None:
        """Commits, and gives back the memory of the model; the cache stays usable."""
        self._file.commit()
        self.inner.close()

    def _known(self, key: bytes) -> Completion | None:
        found = self._file.get(key)
        if found is None:
            return None
        text, ids, logprobs, finish, stopped_by, prompt_tokens = found
        self.usage.cache_hits += 1
        self.usage.hit_tokens += len(ids)
        return Completion(text, tuple(ids), tuple(logprobs), finish, stopped_by, prompt_tokens)

    async def _draw(self, key: bytes, prompt: Prompt, sampling: Sampling, seed: int) -> Completion:
        if key not in self._flying:  # the same request twice at once is sampled once
            self._flying[key] = asyncio.create_task(self._sample(key, prompt, sampling, seed))
        return await self._flying[key]  # type: ignore[no-any-return]

    async def _sample(self, key: bytes, prompt: Prompt, sampling: Sampling, seed: int) -> Completion:
        try:
            (completion,) = await self.inner.sample(prompt, sampling, [seed])
        finally:
            del self._flying[key]
        self._file.put(key, list(vars(completion).values()), self.policy_id)
        return completion

    def _key(self, parts: list[Any]) -> bytes:
        return hashlib.blake2b(self._base + json.dumps(parts, sort_keys=True).encode(), digest_size=16).digest()
