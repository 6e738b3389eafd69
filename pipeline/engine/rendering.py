"""From chat turns to token ids, by the tokenizer's own template.

Structure (the marks of turns) becomes special tokens, contents always plain text: a content that
spells `<|im_end|>` closes no turn. For this a control token's text inside a content is cut in two
before the template sees it, and the cut is taken out again when the text is tokenised. A content
without control tokens is not touched: its ids are those of `apply_chat_template`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.engine.base import Completion, Prompt, RequestFailed, Sampling
from pipeline.engine.control import ControlTokens, control_tokens
from pipeline.engine.thoughts import mark_spans, opens_thought
from pipeline.errors import OrchardError

# What a template that asks for today's date is told: with the real one, the same prompt would be
# another text, and so another completion, every day. The date is our choice; it is what Llama 3's
# template says where it can ask for none.
TODAY = datetime(2024, 7, 26)

# The last private-use characters of Unicode: no text has them, and no tokenizer joins them to
# another character. The first one that a text does not hold marks its cuts.
GAPS = tuple(chr(0x10FFFD - number) for number in range(64))

# The content of turns that are rendered to see what the template puts around them.
PROBE = "Orchard's probe"
TALK = [{"role": role, "content": PROBE} for role in ("user", "assistant", "user")]

Pieces = tuple[str, ...]  # a text, cut inside the control tokens that are contents


class ChatTokenizer:
    """A tokenizer with its chat template."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    @cached_property
    def control(self) -> ControlTokens:
        """The tokens that are structure, those that the template writes beside special ones too."""
        for turns in (TALK, TALK[:1]):  # a template may take one turn only
            try:
                return control_tokens(self.tokenizer, self._apply(turns, reply=True))
            except RequestFailed:
                continue
        return control_tokens(self.tokenizer, "")

    @cached_property
    def end(self) -> int:
        """The token that ends an assistant's turn: the first that the template puts behind one.

        It is not `eos_token` for every model (Gemma, Phi); that is taken where the template puts
        none.

        Raises:
            OrchardError: neither the template nor the tokenizer has one.
        """
        for turns in (TALK[:2], TALK):  # some templates end a turn only where another follows
            found = self._end_of(turns)
            if found is not None:
                return found
        if self.tokenizer.eos_token_id is None:
            name = self.tokenizer.name_or_path
            raise OrchardError(f"tokenizer of {name}: has no end-of-turn token: set eos_token")
        return int(self.tokenizer.eos_token_id)

    def render(self, turns: Sequence[Mapping[str, Any]], *, reply: bool = True) -> Pieces:
        """Turns in the template, with the start of the assistant's turn where a reply follows.

        Raises:
            RequestFailed: the template refuses these turns; the reason has its own words.
        """
        gap = _unused("".join(str(turn["content"]) for turn in turns))
        cut = [
            {**turn, "content": self.control.cut(turn["content"], gap, turn["role"])}
            for turn in turns
        ]
        return tuple(self._apply(cut, reply=reply).split(gap))

    def continued(self, pieces: Pieces, said: str) -> Pieces:
        """Rendered turns, and behind them what the model itself said so far.

        The marks of its thought stay the tokens that they were when the model wrote them.
        """
        *before, last = pieces
        first, *rest = self._cut_said(said)
        return (*before, last + first, *rest)

    def encode(self, pieces: Pieces) -> list[int]:
        """Token ids of a whole text, its control tokens parsed except where they are cut.

        Raises:
            RequestFailed: the text cannot be encoded (a lone surrogate).
        """
        with refusals("the tokenizer refuses the text"):
            if len(pieces) == 1:
                ids: list[int] = self.tokenizer.encode(pieces[0], add_special_tokens=False)
                return ids
            return self._encode_cut(pieces)

    def encode_said(self, text: str) -> list[int]:
        """Token ids of what a model said, on its own: plain text, but for the marks of thoughts."""
        return self.encode(self._cut_said(text))

    def said_ids(self, text: str, *, ends: bool, sampled: Sequence[int] | None = None) -> list[int]:
        """Token ids of what a model said, with the turn's end where it ends.

        `sampled` are those that it sampled, where they are known.
        """
        ids = self.encode_said(text) if sampled is None else list(sampled)
        if not ends or not ids or ids[-1] in (self.end, self.tokenizer.eos_token_id):
            return ids
        return [*ids, self.end]

    def _cut_said(self, text: str) -> Pieces:
        if not self.control.spells_any(text):
            return (text,)
        gap = _unused(text)
        return tuple(self.control.cut(text, gap, spared=mark_spans(text)).split(gap))

    def _apply(self, turns: Sequence[Mapping[str, Any]], *, reply: bool) -> str:
        with refusals("the chat template refuses these turns"):
            text: str = self.tokenizer.apply_chat_template(
                [dict(turn) for turn in turns],
                add_generation_prompt=reply,
                tokenize=False,
                strftime_now=TODAY.strftime,  # hides the function that templates get otherwise
            )
            return text

    def _end_of(self, turns: Sequence[Mapping[str, Any]]) -> int | None:
        """The first control token behind the probe's second turn; null where there is none."""
        try:
            text = self._apply(turns, reply=False)
        except RequestFailed:
            return None
        *_, behind = text.split(PROBE, 2)
        ids = self.encode((behind.split(PROBE)[0],))
        return next((token for token in ids if token in self.control.ids), None)

    def places(self, pieces: Pieces) -> list[tuple[int, int]]:
        """Token ids of a whole text, each with the place of its first character in the text.

        It is one pass over the text, so that words next to a cut read as they would elsewhere.
        """
        gap, marked = _marked(pieces)
        coded = self.tokenizer(marked, add_special_tokens=False, return_offsets_mapping=True)
        found = zip(coded["input_ids"], coded["offset_mapping"], strict=True)
        return [
            (token, start - marked.count(gap, 0, start))
            for token, (start, end) in found
            if marked[start:end] != gap
        ]

    def _encode_cut(self, pieces: Pieces) -> list[int]:
        if not self.tokenizer.is_fast:  # knows no places
            return self._encode_apart(pieces)
        gap, marked = _marked(pieces)
        coded = self.tokenizer(marked, add_special_tokens=False, return_offsets_mapping=True)
        spans = [marked[start:end] for start, end in coded["offset_mapping"]]
        if any(gap in span and span != gap for span in spans):
            return self._encode_apart(pieces)  # this tokenizer joins the gap to its neighbours
        pairs = zip(coded["input_ids"], spans, strict=True)
        return [token for token, span in pairs if span != gap]

    def _encode_apart(self, pieces: Pieces) -> list[int]:
        encode = self.tokenizer.encode
        return [token for piece in pieces for token in encode(piece, add_special_tokens=False)]


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
        """True where the template itself opens a thought behind these turns."""
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
            found = self._contexts[key] = pieces, opens_thought(pieces[-1])
        return found


@contextmanager
def refusals(what: str) -> Iterator[None]:
    """Makes whatever a template or tokenizer raises about one row that row's own failure.

    A template is a program of the model's author, and may raise anything. Ours and a lack of memory
    pass: they are no fault of the row.

    Raises:
        RequestFailed: with the first line of the error's own words.
    """
    try:
        yield
    except (OrchardError, MemoryError):
        raise
    except Exception as error:
        words = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise RequestFailed(f"{what}: {words}") from error


def check_room(ids: Sequence[int], wanted: int, max_model_len: int) -> None:
    """Raises RequestFailed when prompt and completion together are longer than the model takes."""
    room = max_model_len - len(ids)
    if room < wanted:
        raise RequestFailed(
            f"prompt of {len(ids)} tokens leaves {max(room, 0)} of the {wanted} tokens asked for: "
            f"raise model.max_model_len (now {max_model_len}) or shorten the prompt"
        )


def fitted(ids: Sequence[int], sampling: Sampling, max_model_len: int) -> Sampling:
    """The sampling with its limit lowered to what a prompt leaves of the context, where that is
    enough: half of the limit or more (our choice).

    Raises:
        RequestFailed: it leaves less.
    """
    room = max_model_len - len(ids)
    if 2 * room < sampling.max_tokens:
        check_room(ids, sampling.max_tokens, max_model_len)
    return replace(sampling, max_tokens=min(room, sampling.max_tokens))


def _marked(pieces: Pieces) -> tuple[str, str]:
    """A character that the text does not hold, and the text with it at every cut."""
    gap = _unused("".join(pieces))
    return gap, gap.join(pieces)


def _unused(text: str) -> str:
    """A character that the text does not hold."""
    found = next((gap for gap in GAPS if gap not in text), None)
    if found is None:
        raise RequestFailed("the text holds all private-use characters that could mark its cuts")
    return found
