"""The completion cache: no request is paid for twice, not even after a kill.

A completion is addressed by everything that determines it: the policy's id (a hash of weights,
configuration, tokenizer and chat template), the rendered text and the version of the tokenizers
library (with the tokenizer they determine the token ids; computing those was 0.7 of a hit's cost),
the sampling parameters and the seed, the back end's kind, version and number format, and the
version of this key. A content that spells a control token is in it with its cuts (rendering.py),
and so is what a model is sampled with beside the parameters: an end of turn other than its
eos_token, thoughts marked by special tokens. Left out, because it only changes speed: batch size,
block size, memory limits, the number of devices. A template that asks for today's date is given a
fixed one (rendering.py), else nothing would be found on the next day. What the key cannot see:
rounding that differs with the batch a request happens to run in; the cache keeps the first result,
so that a later run reads what the first one saw. What it cannot see of a server stands in
server.py.
"""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

from pipeline.engine.base import Completion, Engine, Prompt, Sampling, answer_tokens
from pipeline.engine.cachefile import CacheFile
from pipeline.engine.fitting import fitted

KEY_VERSION = 2


class Rendering(Protocol):
    """How a back end puts a prompt to its model, as far as the cache has to know."""

    @property
    def sampled_as(self) -> dict[str, Any]:
        """See Renderer.sampled_as."""
        ...

    def address(self, prompt: Prompt) -> Any:
        """What stands for a prompt in a completion's address."""
        ...

    def tokens(self, prompt: Prompt) -> list[int]:
        """The prompt's token ids, as far as they are known here."""
        ...

    def opens_thought(self, prompt: Prompt) -> bool:
        """See Renderer.opens_thought."""
        ...


class Backend(Engine, Protocol):
    """An engine that the cache can stand in front of."""

    @property
    def renderer(self) -> Rendering:
        """How prompts are put to the model."""
        ...

    max_model_len: int  # tokens of prompt and completion together

    def identity(self) -> dict[str, str]:
        """What about the back end can change a completion."""
        ...


class CachedEngine:
    """An engine that remembers every completion."""

    def __init__(self, inner: Backend, path: Path) -> None:
        self.inner = inner
        self.policy_id = inner.policy_id
        self.usage = inner.usage
        self.answer_tokens = answer_tokens(inner)
        parts = [KEY_VERSION, inner.policy_id, inner.identity(), metadata.version("tokenizers")]
        self._base = json.dumps(parts, sort_keys=True).encode()
        self._flying: dict[bytes, asyncio.Task[Any]] = {}
        self._file = CacheFile(path)

    async def sample(
        self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int]
    ) -> list[Completion]:
        """See Engine.sample: known completions are read, the others sampled together."""
        renderer = self.inner.renderer
        parts = ["sample", renderer.address(prompt), vars(sampling)]
        head = self._key([*parts, renderer.sampled_as] if renderer.sampled_as else parts)
        keys = [
            hashlib.blake2b(head + seed.to_bytes(8, "big"), digest_size=16).digest()
            for seed in seeds
        ]
        opened = renderer.opens_thought(prompt)
        found = [self._known(key, opened) for key in keys]
        missing = [i for i, completion in enumerate(found) if completion is None]
        if not missing:
            return [completion for completion in found if completion is not None]
        fit = fitted(renderer.tokens(prompt), sampling, self.inner.max_model_len)
        if fit != sampling:  # what the end of the context cuts off has an address of its own
            drawn = await self.sample(prompt, fit, [seeds[i] for i in missing])
        else:
            drawn = await asyncio.gather(
                *(self._draw(keys[i], prompt, sampling, seeds[i]) for i in missing)
            )
        fresh = dict(zip(missing, drawn, strict=True))
        return [
            fresh[i] if completion is None else completion for i, completion in enumerate(found)
        ]

    async def verdict(self, prompt: Prompt, words: Sequence[str]) -> list[float]:
        """See Engine.verdict."""
        key = self._key(["verdict", self.inner.renderer.address(prompt), list(words)])
        found = self._file.get(key)
        if found is None:
            found = await self.inner.verdict(prompt, words)
            self._file.put(key, found, self.policy_id)
        else:
            self.usage.cache_hits += 1
        return list(found)

    def reads_back(self, completion: Completion) -> bool:
        """See Engine.reads_back."""
        return self.inner.reads_back(completion)

    def check_words(self, words: Sequence[str]) -> None:
        """See Engine.check_words."""
        self.inner.check_words(words)

    def close(self) -> None:
        """Commits, and gives back the memory of the model; the cache stays usable."""
        self._file.commit()
        self.inner.close()

    def _known(self, key: bytes, opened: bool) -> Completion | None:
        found = self._file.get(key)
        if found is None:
            return None
        text, ids, logprobs, *rest = found
        finish, stopped_by, prompt_tokens, *of_chat = rest
        known = Completion(
            text, tuple(ids), tuple(logprobs), finish, stopped_by, prompt_tokens, opened, *of_chat
        )
        self.usage.cache_hits += 1
        self.usage.hit_tokens += known.tokens
        return known

    async def _draw(self, key: bytes, prompt: Prompt, sampling: Sampling, seed: int) -> Completion:
        if key not in self._flying:  # the same request twice at once is sampled once
            self._flying[key] = asyncio.create_task(self._sample(key, prompt, sampling, seed))
        return await self._flying[key]  # type: ignore[no-any-return]

    async def _sample(
        self, key: bytes, prompt: Prompt, sampling: Sampling, seed: int
    ) -> Completion:
        try:
            (completion,) = await self.inner.sample(prompt, sampling, [seed])
        finally:
            del self._flying[key]
        # Whether the template opened a thought is not kept: the renderer says it again.
        *kept, _, counted, answer_at = vars(completion).values()
        of_chat = [] if (counted, answer_at) == (0, None) else [counted, answer_at]
        self._file.put(key, [*kept, *of_chat], self.policy_id)
        return completion

    def _key(self, parts: list[Any]) -> bytes:
        return hashlib.blake2b(
            self._base + json.dumps(parts, sort_keys=True).encode(), digest_size=16
        ).digest()
