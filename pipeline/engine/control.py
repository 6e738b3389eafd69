"""Which tokens of a tokenizer are structure, and how a content is kept from spelling one."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pipeline.engine.base import RequestFailed, Turn
from pipeline.engine.thoughts import TOKENS

# An added token that is not marked as special counts as structure where the template writes it and
# it looks like a mark: Gemma has line breaks among its added tokens. Our choice.
_LOOKS_LIKE_A_MARK = re.compile(r"[<\[|◁].*[>\]|▷]", re.DOTALL)
# Marks of turns as generally known, for models of whose tokenizer nothing is here. Our choice.
_KNOWN = re.compile(
    r"<[|｜][^|｜<>\s]{1,40}[|｜]>|<(?:start|end)_of_turn>|</?s>|<(?:bos|eos)>|<</?SYS>>"
    r"|\[/?(?:INST|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|SYSTEM_PROMPT)\]"
)


def check_sent(turns: Iterable[Turn], prefix: str = "") -> None:
    """Refuse turns of which a server that renders them itself could read a text as marks.

    Raises:
        RequestFailed: which mark a text spells.
    """
    for text in (*(turn["content"] for turn in turns), prefix):
        if found := _KNOWN.search(text):
            raise could_be_read(found[0])


def could_be_read(mark: str) -> RequestFailed:
    """Why a text is not sent to a server that renders turns itself."""
    return RequestFailed(
        f"a text spells {mark}, which a server that renders turns itself may read as the end of "
        "one: only `api: completions` keeps it plain text"
    )


@dataclass(frozen=True)
class ControlTokens:
    """The texts of structure's tokens, with their ids.

    texts: what no content may spell as a token.
    marks: the added tokens that mark a thought or a call; only an assistant's own turn may spell
        them, since a template looks for them there.
    ids: of `texts`.
    unknown: the token of what the vocabulary lacks, which any text may have.
    marks_thoughts: true where a thought's marks are special tokens.
    """

    texts: frozenset[str]
    marks: frozenset[str]
    ids: frozenset[int]
    unknown: int | None = None
    marks_thoughts: bool = field(default=False)

    def cut(
        self,
        text: Any,
        gap: str,
        role: str = "assistant",
        spared: Sequence[tuple[int, int]] = (),
    ) -> Any:
        """A content with `gap` behind the first character of every control token that it spells.

        `spared` are spans in which it may spell them. What is no text is left to the template.
        """
        if not isinstance(text, str):
            return text
        pattern = self._of_assistants if role == "assistant" else self._of_others
        starts = [] if pattern is None else [found.start() for found in pattern.finditer(text)]
        cuts = [at + 1 for at in starts if not any(low <= at < high for low, high in spared)]
        if not cuts:
            return text
        edges = [0, *cuts, len(text)]
        return gap.join(text[low:high] for low, high in zip(edges, edges[1:], strict=False))

    def has_marks_of(self, mark: str) -> bool:
        """True where the tokens that make a mark of thoughts are all this tokenizer's.

        Else it is another family's: Phi has Harmony's `<|end|>`, and none of its channels.
        """
        return all(token in self.texts | self.marks for token in TOKENS if token in mark)

    def joins(self, before: str, after: str) -> bool:
        """True where a control token begins in one text and ends in the other."""
        if self._of_assistants is None:
            return False
        longest = max(map(len, self.texts))
        start = before[-longest:]
        found = self._of_assistants.finditer(start + after[:longest])
        return any(one.start() < len(start) < one.end(1) for one in found)

    def outnumber(self, ids: Sequence[int], pieces: Sequence[str]) -> bool:
        """True where more of the ids are structure than the pieces of their text spell."""
        structure = self.ids - {self.unknown}
        found = sum(map(structure.__contains__, ids))
        spelled = sum(map(len, map(self._any.findall, pieces))) if self._any else 0
        return found > spelled

    def spells_any(self, text: str) -> bool:
        """True where a text spells a control token; fast, since nearly none does."""
        return self._any is not None and self._any.search(text) is not None

    @cached_property
    def _any(self) -> re.Pattern[str] | None:
        known = sorted(self.texts, key=len, reverse=True)
        return re.compile("|".join(map(re.escape, known))) if known else None

    @cached_property
    def _of_assistants(self) -> re.Pattern[str] | None:
        return _pattern(self.texts)

    @cached_property
    def _of_others(self) -> re.Pattern[str] | None:
        return _pattern(self.texts | self.marks)


def control_tokens(tokenizer: Any, rendered: str, called: str = "") -> ControlTokens:
    """The control tokens of a tokenizer, by their flags and by what its template writes.

    Args:
        tokenizer: whose tokens.
        rendered: a conversation in its template.
        called: one with tools, calls and results; empty where the template takes none.
    """
    added = {token.content: token for token in tokenizer.added_tokens_decoder.values()}
    special = {text for text, token in added.items() if token.special}
    special |= set(tokenizer.all_special_tokens)
    written = {
        text
        for text in added
        if text in rendered and text not in TOKENS and _LOOKS_LIKE_A_MARK.search(text)
    }
    calling = {text for text in added if text in called and _LOOKS_LIKE_A_MARK.search(text)}
    texts = frozenset(special | written)
    return ControlTokens(
        texts=texts,
        marks=frozenset(text for text in added if text in TOKENS) | (calling - texts),
        ids=frozenset(tokenizer.convert_tokens_to_ids(sorted(texts))),
        unknown=tokenizer.unk_token_id,
        marks_thoughts=any(text in special for text in TOKENS),
    )


def _pattern(texts: frozenset[str]) -> re.Pattern[str] | None:
    """Finds every place where one of the texts begins, overlapping ones too; group 1 is the text.

    A token of one character cannot be cut, and is left out.
    """
    known = sorted((text for text in texts if len(text) > 1), key=len, reverse=True)
    return re.compile(f"(?=({'|'.join(map(re.escape, known))}))") if known else None
