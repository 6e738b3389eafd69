"""The tokenizer of a model folder, as an engine needs it: prompts to token ids and addresses."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.conversation import beginning_of
from pipeline.engine.base import Completion, Prompt, RequestFailed
from pipeline.engine.chat_tokenizer import ChatTokenizer
from pipeline.engine.opening import Pieces
from pipeline.engine.thoughts import opens_thought, split_thought
from pipeline.errors import OrchardError


class Renderer:
    """The tokenizer of a model folder, loaded at first use."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._contexts: dict[tuple[tuple[str, str], ...], tuple[Pieces, bool]] = {}

    @cached_property
    def tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(self.path, trust_remote_code=False)
        if tokenizer.chat_template is None:
            raise OrchardError(
                f"model folder {self.path}: its tokenizer has no chat template: use a chat model"
            )
        return tokenizer

    @cached_property
    def chat(self) -> ChatTokenizer:
        """The tokenizer with its template."""
        return ChatTokenizer(self.tokenizer)

    def text(self, prompt: Prompt) -> str:
        """The rendered turns and the prefix, as people read them."""
        return "".join(self.pieces(prompt))

    def pieces(self, prompt: Prompt) -> Pieces:
        """The rendered turns and the prefix, cut where a content spells a control token."""
        context, _ = self._context(prompt)
        return self.chat.continued(context, prompt.prefix) if prompt.prefix else context

    def address(self, prompt: Prompt) -> str | Pieces:
        """What stands for a prompt in a completion's address: its text, with its cuts if any."""
        pieces = self.pieces(prompt)
        return pieces[0] if len(pieces) == 1 else pieces

    def opens_thought(self, prompt: Prompt) -> bool:
        """True where a thought is open behind these turns: the template or a beginning opens it."""
        return self._context(prompt)[1]

    @cached_property
    def stop_tokens(self) -> list[int]:
        """Tokens that end a turn besides `eos_token`, at which a server stops by itself."""
        end = self.chat.end
        return [] if end == self.tokenizer.eos_token_id else [end]

    @cached_property
    def longest_token(self) -> int:
        """Characters of the vocabulary's longest token."""
        return max(map(len, self.tokenizer.get_vocab()))

    @property
    def keeps_marks(self) -> bool:
        """True where a thought is marked by special tokens, which belong in a completion's text."""
        return self.chat.control.marks_thoughts

    @cached_property
    def sampled_as(self) -> dict[str, Any]:
        """How this model is sampled, where it is not as most are; empty for most models."""
        ends = {"stop_tokens": self.stop_tokens} if self.stop_tokens else {}
        return {**ends, "keeps_marks": True} if self.keeps_marks else ends

    def tokens(self, prompt: Prompt) -> list[int]:
        """Token ids of the rendered turns and the prefix.

        The whole text is tokenised at once, as it would be had the model written the prefix itself.
        """
        return self.chat.encode(self.pieces(prompt))

    def encode(self, text: str) -> list[int]:
        """Token ids of what a model said, on its own."""
        return self.chat.encode_said(text)

    def reads_back(self, completion: Completion) -> bool:
        """True where a completion's text, tokenised again, gives the ids that were sampled."""
        sampled, ids = list(completion.token_ids), self.encode(completion.text)
        return ids == (sampled[:-1] if completion.finish_reason == "stop" else sampled)

    def length(self, text: str) -> int:
        """Tokens of a text on its own."""
        return len(self.encode(text))

    def single_tokens(self, words: Sequence[str]) -> list[int]:
        """The one token of each word; raises RequestFailed when a word has several."""
        found = [self.tokenizer.encode(word, add_special_tokens=False) for word in words]
        for word, ids in zip(words, found, strict=True):
            if len(ids) != 1:
                raise RequestFailed(
                    f"verdict word {word!r} is {len(ids)} tokens: choose words of one token"
                )
        return [ids[0] for ids in found]

    def _context(self, prompt: Prompt) -> tuple[Pieces, bool]:
        """The rendered turns, and whether they end in an opened thought."""
        key = tuple((turn["role"], turn["content"]) for turn in prompt.messages)
        found = self._contexts.get(key)
        if found is None:
            pieces = self.chat.render(prompt.messages)
            # a beginning may open a thought and go on with it
            begun = split_thought(beginning_of(prompt.messages)).response is None
            found = self._contexts[key] = pieces, begun or opens_thought(pieces[-1])
        return found
