"""When a pass does not fit into memory: halve the tokens per pass and try again."""

import resource
from collections.abc import Callable
from typing import TypeVar

import torch

from pipeline.errors import OrchardError

Result = TypeVar("Result")

MIN_TOKENS = 16  # below this a pass holds one row anyway


def retry(work: Callable[[int], Result], micro_tokens: int) -> tuple[Result, int]:
    """Calls `work(tokens per pass)` with ever fewer tokens until it fits.

    Returns its result and the tokens that did.

    Raises:
        OrchardError: even single rows do not fit.
    """
    while True:
        try:
            return work(micro_tokens), micro_tokens
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            if micro_tokens <= MIN_TOKENS:
                raise OrchardError(
                    "out of memory with one row per pass: lower max_length, or use lora"
                ) from error
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        micro_tokens //= 2


def is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def peak_bytes() -> int:
    """The most memory held so far: of the GPU where there is one, else of this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
