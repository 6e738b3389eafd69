"""The completion cache: no request is paid for twice, not even after a kill.

A completion is addressed by everything that determines it: the policy's id (a hash of weights, configuration,
tokenizer and chat template), the token ids, the sampling parameters and the seed, the back end's kind, version and
number format, and the version of this key. Left out, because it only changes speed: batch size, block size, memory
limits, the number of devices. What the key cannot see: rounding that differs with the batch a request happens to
run in; the cache keeps the first result, so that a later run reads what the first one saw.
"""

import asyncio
import hashlib
import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from pipeline.engine.base import Completion, Engine, Prompt, Sampling
from pipeline.engine.rendering import Renderer
from pipeline.errors import OrchardError

KEY_VERSION = 1
COMMIT_SECONDS = 0.5  # at most this much sampling is lost at a kill


class Backend(Engine, Protocol):
    """An engine that the cache can stand in front of."""

    renderer: Renderer

    def identity(self) -> dict[str, str]:
        """What about the back end can change a completion."""
        ...


class CachedEngine:
    """An engine that remembers every completion in one SQLite file, shared by all processes of this machine."""

    def __init__(self, inner: Backend, path: Path) -> None:
        self.inner = inner
        self.policy_id = inner.policy_id
        self.usage = inner.usage
        self._path = path
        self._base = json.dumps([KEY_VERSION, inner.policy_id, inner.identity()], sort_keys=True).encode()
        self._flying: dict[bytes, asyncio.Task[Any]] = {}
        self._committed = time.monotonic()
        self._db = _open(path)

    async def sample(self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int]) -> list[Completion]:
        """See Engine.sample: known completions are read, the others sampled together."""
        head = self._key(["sample", self.inner.renderer.tokens(prompt), vars(sampling)])
        return list(await asyncio.gather(*(self._draw(head, prompt, sampling, seed) for seed in seeds)))

    async def verdict(self, prompt: Prompt, words: Sequence[str]) -> list[float]:
        """See Engine.verdict."""
        key = self._key(["verdict", self.inner.renderer.tokens(prompt), list(words)])
        found = self._get(key)
        if found is None:
            found = await self.inner.verdict(prompt, words)
            self._put(key, found)
        return list(found)

    def close(self) -> None:
        """Commits, and gives back the memory of the model; the cache stays usable."""
        self._commit()
        self.inner.close()

    async def _draw(self, head: bytes, prompt: Prompt, sampling: Sampling, seed: int) -> Completion:
        key = hashlib.blake2b(head + seed.to_bytes(8, "big"), digest_size=16).digest()
        found = self._get(key)
        if found is not None:
            text, ids, logprobs, finish, stopped_by, prompt_tokens = found
            self.usage.cache_hits += 1
            self.usage.hit_tokens += len(ids)
            return Completion(text, tuple(ids), tuple(logprobs), finish, stopped_by, prompt_tokens)
        if key not in self._flying:  # the same request twice at once is sampled once
            self._flying[key] = asyncio.create_task(self._sample(key, prompt, sampling, seed))
        return await self._flying[key]  # type: ignore[no-any-return]

    async def _sample(self, key: bytes, prompt: Prompt, sampling: Sampling, seed: int) -> Completion:
        try:
            (completion,) = await self.inner.sample(prompt, sampling, [seed])
        finally:
            del self._flying[key]
        self._put(key, list(vars(completion).values()))
        return completion

    def _key(self, parts: list[Any]) -> bytes:
        return hashlib.blake2b(self._base + json.dumps(parts, sort_keys=True).encode(), digest_size=16).digest()

    def _get(self, key: bytes) -> Any:
        row = self._db.execute("SELECT value FROM completions WHERE key = ?", (key,)).fetchone()
        return None if row is None else json.loads(row[0])

    def _put(self, key: bytes, value: Any) -> None:
        with self._plain_errors():
            self._db.execute("INSERT OR IGNORE INTO completions VALUES (?, ?)", (key, json.dumps(value)))
        if time.monotonic() - self._committed > COMMIT_SECONDS:
            self._commit()

    def _commit(self) -> None:
        with self._plain_errors():
            self._db.commit()
        self._committed = time.monotonic()

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise OrchardError(f"completion cache {self._path}: {error}: free space, then start again") from error


def _open(path: Path) -> sqlite3.Connection:
    """Opens or makes the cache file; WAL lets other processes read and write beside this one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(path, timeout=30)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("CREATE TABLE IF NOT EXISTS completions (key BLOB PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")
    except (sqlite3.Error, OSError) as error:
        raise OrchardError(f"completion cache {path}: {error}: delete the file, or set engine.cache: false") from error
    return db
