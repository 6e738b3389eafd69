"""From chat turns to token ids, by the tokenizer's own template."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.engine.base import Prompt, RequestFailed
from pipeline.errors import OrchardError

# What a template that asks for today's date is told: with the real one, the same prompt would be another text, and so
# another completion, every day. The date is our choice; it is what Llama 3's template says where it can ask for none.
TODAY = datetime(2024, 7, 26)


def render(tokenizer: Any, turns: Sequence[Mapping[str, Any]], *, reply: bool = True) -> str:
    """Chat turns in the tokenizer's template, with the start of the assistant's turn where a `reply` is to follow."""
    text: str = tokenizer.apply_chat_template(
        [dict(turn) for turn in turns],
        add_generation_prompt=reply,
        tokenize=False,
        strftime_now=TODAY.strftime,  # hides the function that transformers gives to templates
    )
    return text


class Renderer:
    """The tokenizer of a model folder, loaded at first use."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._contexts: dict[tuple[tuple[str, str], ...], str] = {}

    @cached_property
    def tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(self.path)
        if tokenizer.chat_template is None:
            raise OrchardError(f"model folder {self.path}: its tokenizer has no chat template: use a chat model")
        return tokenizer

    def text(self, prompt: Prompt) -> str:
        """The rendered turns and the prefix."""
        key = tuple((turn["role"], turn["content"]) for turn in prompt.messages)
        if key not in self._contexts:
            self._contexts[key] = render(self.tokenizer, prompt.messages)
        return self._contexts[key] + prompt.prefix

    def tokens(self, prompt: Prompt) -> list[int]:
        """Token ids of the rendered turns and the prefix.

        The whole text is tokenised at once, as it would be had the model written the prefix itself.
        """
        return self.encode(self.text(prompt))

    def encode(self, text: str) -> list[int]:
        """Token ids of a text as it stands, without a template or special tokens."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids

    def length(self, text: str) -> int:
        """Tokens of a text on its own, without special tokens."""
        return len(self.encode(text))

    def single_tokens(self, words: Sequence[str]) -> list[int]:
        """The one token of each word; raises RequestFailed when a word has several."""
        found = [self.tokenizer.encode(word, add_special_tokens=False) for word in words]
        for word, ids in zip(words, found, strict=True):
            if len(ids) != 1:
                raise RequestFailed(f"verdict word {word!r} is {len(ids)} tokens: choose words of one token")
        return [ids[0] for ids in found]


def check_room(ids: Sequence[int], wanted: int, max_model_len: int) -> None:
    """Raises RequestFailed when prompt and completion together would be longer than the model takes."""
    room = max_model_len - len(ids)
    if room < wanted:
        raise RequestFailed(
            f"prompt of {len(ids)} tokens leaves {max(room, 0)} of the {wanted} tokens asked for: "
            f"raise model.max_model_len (now {max_model_len}) or shorten the prompt"
        )
