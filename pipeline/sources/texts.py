"""The text of a response as files write it, without the token that ends a turn."""

from typing import Any

from pipeline import cells
from pipeline.cells import BadRow

# How templates end a turn, written out as text by who decoded it: ChatML and Qwen, Llama 2 and 3,
# GPT-2, Phi, Gemma, DeepSeek and GLM. In a text it is no token, and a side that has one beside
# another that has none could be told by it alone.
ENDS = (
    "<|im_end|>", "</s>", "<|eot_id|>", "<|end_of_text|>", "<|endoftext|>", "<|end|>",
    "<end_of_turn>", "<eos>", "<|EOT|>", "<|eom_id|>",
)  # fmt: skip


def response_text(value: Any, name: str) -> str | None:
    """A response, stripped, without end-of-turn tokens at its end; null where it is absent.

    Raises:
        BadRow: no text, or nothing in it.
    """
    found = cells.text(value, name)
    if found is None:
        return None
    while found.endswith(ENDS):
        end = next(end for end in ENDS if found.endswith(end))
        found = found.removesuffix(end).rstrip()
    if not found:
        raise BadRow(f"{name} is empty")
    return found
