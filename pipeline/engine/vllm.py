"""vLLM in this process: many coroutines, one continuous batch."""

import asyncio
import gc
import logging
import os
import time
import warnings
from collections.abc import Sequence
from importlib import metadata
from typing import Any

from pipeline.config import EngineSettings, ModelSettings
from pipeline.engine.base import Completion, Prompt, Sampling, Usage, shares
from pipeline.engine.model import Model
from pipeline.engine.rendering import Renderer, check_room
from pipeline.errors import OrchardError

YIELDS = 4  # turns of the event loop between two steps: enough for a woken coroutine to hand in its next requests


class VllmEngine:
    """The vLLM back end, on a GPU or a CPU. The model is loaded at the first request."""

    def __init__(self, model: Model, settings: EngineSettings, model_settings: ModelSettings) -> None:
        self.policy_id = model.policy_id
        self.usage = Usage()
        self.renderer = Renderer(model.path)
        self._model = model
        self._settings = settings
        self._model_settings = model_settings
        self._engine: Any = None
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._pump: asyncio.Task[None] | None = None
        self._count = 0

    def identity(self) -> dict[str, str]:
        """What about the back end can change a completion: its kind, version and number format."""
        return {"kind": "vllm", "version": _version(), "dtype": self._model_settings.dtype}

    async def sample(self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int]) -> list[Completion]:
        """See Engine.sample."""
        ids = self.renderer.tokens(prompt)
        check_room(ids, sampling.max_tokens, self._model_settings.max_model_len)
        return list(await asyncio.gather(*(self._complete(ids, sampling, seed) for seed in seeds)))

    async def verdict(self, prompt: Prompt, words: Sequence[str]) -> list[float]:
        """See Engine.verdict."""
        from vllm import SamplingParams

        tokens = self.renderer.single_tokens(words)
        ids = self.renderer.tokens(prompt)
        check_room(ids, 1, self._model_settings.max_model_len)
        params = SamplingParams(max_tokens=1, temperature=0.0, logprob_token_ids=tokens)
        output = await self._request(ids, params)
        found = output.outputs[0].logprobs[0]
        return shares([found[token].logprob for token in tokens], words)

    def close(self) -> None:
        """Gives back the memory of weights and key-value cache."""
        if self._engine is None:
            return
        from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

        self._engine.engine_core.shutdown()
        self._engine = None
        cleanup_dist_env_and_memory()
        gc.collect()
        _trim()

    async def _complete(self, ids: list[int], sampling: Sampling, seed: int) -> Completion:
        from vllm import SamplingParams

        params = SamplingParams(
            max_tokens=sampling.max_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            stop=list(sampling.stop),
            seed=seed,
            logprobs=0,
        )
        result = (await self._request(ids, params)).outputs[0]
        logprobs = tuple(
            step[token].logprob for token, step in zip(result.token_ids, result.logprobs or (), strict=True)
        )
        stopped_by = result.stop_reason if isinstance(result.stop_reason, str) else None
        return Completion(
            result.text, tuple(result.token_ids), logprobs, str(result.finish_reason), stopped_by, len(ids)
        )

    async def _request(self, ids: list[int], params: Any) -> Any:
        engine = self._load()
        self._count += 1
        key = str(self._count)
        future = asyncio.get_running_loop().create_future()
        self._waiting[key] = future
        engine.add_request(key, {"prompt_token_ids": ids}, params)
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._run())
        output = await future
        self.usage.requests += 1
        self.usage.prompt_tokens += len(ids)
        self.usage.cached_prompt_tokens += output.num_cached_tokens or 0
        self.usage.sampled_tokens += len(output.outputs[0].token_ids)
        return output

    async def _run(self) -> None:
        """Steps the engine while anyone waits; a failure reaches everyone who does."""
        try:
            while self._waiting:
                start = time.perf_counter()
                for output in self._engine.step():
                    if output.finished:
                        self._settle(self._waiting.pop(output.request_id, None), output)
                self.usage.seconds += time.perf_counter() - start
                for _ in range(YIELDS):
                    await asyncio.sleep(0)
        except BaseException as error:  # an interrupt too: else everyone would wait for ever
            self._fail(error)
            raise

    def _fail(self, error: BaseException) -> None:
        """Tells everyone who waits; with requests unfinished the engine's state is unknown, so it is dropped."""
        if not self._waiting:
            return  # the event loop ended between two batches
        reason = OrchardError(f"vLLM failed while sampling: {error}") if isinstance(error, Exception) else error
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(reason)
        self._waiting.clear()
        self._engine = None

    @staticmethod
    def _settle(future: "asyncio.Future[Any] | None", output: Any) -> None:
        if future is not None and not future.done():
            future.set_result(output)

    def _load(self) -> Any:
        if self._engine is None:
            start = time.perf_counter()
            _environment(self._settings)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # of vLLM's own imports
                from vllm import EngineArgs, LLMEngine

                self._engine = LLMEngine.from_engine_args(EngineArgs(**self._arguments()))
            self.usage.load_seconds += time.perf_counter() - start
        return self._engine

    def _arguments(self) -> dict[str, Any]:
        settings, model = self._settings, self._model_settings
        return {
            "model": str(self._model.path),
            "dtype": model.dtype,
            "max_model_len": model.max_model_len,
            "max_num_seqs": settings.max_num_seqs,
            "block_size": settings.block_size,
            "enable_prefix_caching": True,
            "enable_chunked_prefill": False,
            "enforce_eager": settings.enforce_eager,
            "tensor_parallel_size": settings.tensor_parallel_size,
            "gpu_memory_utilization": settings.gpu_memory_utilization,
            "generation_config": "vllm",  # never sampling defaults that our parameters do not name
            "disable_log_stats": True,
            "use_tqdm_on_load": False,
        }


def _environment(settings: EngineSettings) -> None:
    """Settings that vLLM reads from the environment when it is imported."""
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    logging.getLogger("vllm").setLevel(logging.ERROR)
    os.environ["VLLM_CPU_KVCACHE_SPACE"] = str(max(1, round(settings.kv_cache_gib)))
    if settings.tensor_parallel_size == 1:
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # one process: loads in seconds instead of a minute


def _version() -> str:
    for package in ("vllm", "vllm-cpu"):
        try:
            return f"{package} {metadata.version(package)}"
        except metadata.PackageNotFoundError:
            continue
    raise OrchardError("vLLM is not installed: run `make setup`")


def _trim() -> None:
    """Hands freed memory back to the system (glibc keeps it otherwise)."""
    import ctypes

    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
