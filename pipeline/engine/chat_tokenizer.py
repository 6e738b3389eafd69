"""A tokenizer with its chat template: from turns to token ids, and where a response stands.

Structure (the marks of turns) becomes special tokens, contents always plain text: a content that
spells `<|im_end|>` closes no turn. For this a control token's text inside a content is cut in two
before the template sees it, and the cut is taken out again when the text is tokenised. A content
without control tokens is not touched: its ids are those of `apply_chat_template`.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property, partial
from typing import Any

from pipeline.conversation import before_beginning, beginning_of, for_template, uses_tools
from pipeline.engine.base import RequestFailed
from pipeline.engine.control import ControlTokens, control_tokens
from pipeline.engine.opening import CALLED, PROBE, TALK, Opening, Pieces, opening_of
from pipeline.engine.refusals import refusals
from pipeline.engine.structure import all_cut, check_nothing_dropped
from pipeline.engine.thoughts import mark_spans, opens_thought, split_thought, without_opening
from pipeline.errors import OrchardError

# What a template that asks for today's date is told: with the real one, the same prompt would be
# another text, and so another completion, every day. The date is our choice; it is what Llama 3's
# template says where it can ask for none.
TODAY = datetime(2024, 7, 26)

# The last private-use characters of Unicode: no text has them, and no tokenizer joins them to
# another character. The first one that a text does not hold marks its cuts.
GAPS = tuple(chr(0x10FFFD - number) for number in range(64))


class ChatTokenizer:
    """A tokenizer with its chat template."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self._last_opening: tuple[object, Opening] | None = None

    @cached_property
    def control(self) -> ControlTokens:
        """The tokens that are structure, those that the template writes beside special ones too."""
        written = self._first_text((TALK, None), (TALK[:1], None))  # it may take one turn only
        called = self._first_text(for_template(CALLED), for_template(CALLED[1:]))
        return control_tokens(self.tokenizer, written, called)

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

        That turn holds the beginning of the response where the turns end with one.

        Raises:
            RequestFailed: the template refuses these turns, and the reason has its own words; or it
                leaves out their tools, calls or results.
        """
        if not reply:
            return self._rendered(turns, reply=False)
        beginning = beginning_of(turns)
        if not beginning:
            return self._rendered(turns, reply=True)
        opening = self._opening(before_beginning(turns))
        if split_thought(beginning).thought is not None:
            return self.continued(opening.asked, _opened_once(opening.asked, beginning))
        return self.continued(opening.answered, opening.lead + beginning)

    def context(
        self, turns: Sequence[Mapping[str, Any]], said: str, *, ends: bool
    ) -> tuple[Pieces, str]:
        """What stands before a response in the whole rendered conversation, and the blank that the
        template puts at the start of every response ("" for most templates).

        Where the model thought first, that is where it was asked. Elsewhere a response stands where
        the template puts one: perhaps behind marks that it leaves out when it asks (an empty
        thought, a channel), or without those that it writes only then (an opened thought).

        Args:
            turns: of the prompt.
            said: all that is known to stand in the assistant's turn, thoughts included.
            ends: whether the turn ends behind it. What does not, and has no mark of a thought, may
                be a part of the thought that the template opened.

        Raises:
            RequestFailed: see `render`.
        """
        if beginning_of(turns):
            return self.render(turns), ""
        found = self._opening(turns)
        thinks = split_thought(said).thought is not None
        if thinks or (opens_thought(found.asked[-1]) and not ends):
            return found.asked, ""
        return found.answered, "" if said[:1].isspace() else found.lead

    def side(
        self,
        turns: Sequence[Mapping[str, Any]],
        before: str,
        text: str,
        *,
        ends: bool,
        sampled: Sequence[int] | None = None,
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Token ids of a context and of the text behind it, which together are those of the whole.

        Args:
            turns: of the prompt.
            before: what the assistant's turn holds before the text.
            text: with its thought, where that is part of it.
            ends: whether the turn ends behind it: its end is the last token then.
            sampled: ids of the text, where reading it again would give others.

        Raises:
            RequestFailed: the template refuses the turns, or the tokenizer the text.
        """
        if sampled is None:
            context, lead = self.context(turns, before + text, ends=ends)
        else:  # behind what stood there when it was sampled
            context, lead = self.render(turns), ""
        if sampled is None and before:
            before = _opened_once(context, before)
        elif sampled is None:
            text = _opened_once(context, text)
        if before:
            context, lead = self.continued(context, lead + before), ""
        ids = self.encode(context)
        known = self._behind(context, ids, lead + text) if sampled is None else sampled
        return tuple(ids), tuple(self.said_ids(lead + text, ends=ends, sampled=known))

    def continued(self, pieces: Pieces, said: str) -> Pieces:
        """Rendered turns, and behind them what the model itself said so far.

        The marks of its thought stay the tokens that they were when the model wrote them.
        """
        *before, last = pieces
        first, *rest = self._cut_said(said)
        if self.control.joins(last, first):  # what was begun ends in '<|im_', and this in 'end|>'
            return (*before, last, first, *rest)
        return (*before, last + first, *rest)

    def encode(self, pieces: Pieces) -> list[int]:
        """Token ids of a whole text, its control tokens parsed except where they are cut.

        Raises:
            RequestFailed: the text cannot be encoded (a lone surrogate), or the tokenizer reads a
                control token that it does not spell (in full-width letters).
        """
        ids = self._encode(pieces)
        if self.control.outnumber(ids, pieces):
            raise RequestFailed("the tokenizer reads a control token in plain text")
        return ids

    def encode_said(self, text: str) -> list[int]:
        """Token ids of what a model said, on its own: plain text, but for the marks of thoughts."""
        return self._encode(self._cut_said(text))

    def said_ids(self, text: str, *, ends: bool, sampled: Sequence[int] | None = None) -> list[int]:
        """Token ids of what a model said, with the turn's end where it ends.

        `sampled` are those that it sampled, where they are known.
        """
        ids = self.encode(self._cut_said(text)) if sampled is None else list(sampled)
        if not ends or not ids or ids[-1] in (self.end, self.tokenizer.eos_token_id):
            return ids
        return [*ids, self.end]

    def _behind(self, context: Pieces, ids: Sequence[int], text: str) -> list[int] | None:
        """Token ids of a text behind its context (`ids`); null where it has the same alone.

        Null, too, where the last token of the context would be another one.
        """
        if not self._starts_apart:
            return None
        whole = self.encode(self.continued(context, text))
        return whole[len(ids) :] if whole[: len(ids)] == list(ids) else None

    @cached_property
    def _starts_apart(self) -> bool:
        """True where a text alone gets a token more at its start, as in Llama 2's tokenizers."""
        alone = [*self.encode(("\n",)), *self.encode(("x",))]
        return self.encode(("\nx",)) != alone

    def _cut_said(self, text: str) -> Pieces:
        if not self.control.spells_any(text):
            return (text,)
        gap = _unused(text)
        own = self.control.has_marks_of
        spared = [span for span in mark_spans(text) if own(text[slice(*span)])]
        return tuple(self.control.cut(text, gap, spared=spared).split(gap))

    def _opening(self, turns: Sequence[Mapping[str, Any]]) -> Opening:
        """Where a response to these turns begins; the last one asked for is kept."""
        key = [(turn["role"], turn["content"]) for turn in turns]
        if self._last_opening is None or self._last_opening[0] != key:
            whole = self._rendered([*turns, {"role": "assistant", "content": PROBE}], reply=False)
            found = opening_of(self._rendered(turns, reply=True), whole)
            self._last_opening = key, found
        return self._last_opening[1]

    def _rendered(self, messages: Sequence[Mapping[str, Any]], *, reply: bool) -> Pieces:
        with refusals("these turns cannot be read"):
            turns, tools = for_template(messages)
        gap = _unused("".join(str(turn["content"]) for turn in messages))
        turns, tools = all_cut(self.control, gap, turns, tools)
        text = self._apply(turns, tools, reply=reply)
        if uses_tools(messages):
            check_nothing_dropped(partial(self._apply, reply=reply), turns, tools, text)
        for escape in _escapes(gap):
            text = text.replace(escape, gap)
        return tuple(text.split(gap))

    def _apply(
        self, turns: Sequence[Mapping[str, Any]], tools: Sequence[Any] | None, *, reply: bool
    ) -> str:
        with refusals("the chat template refuses these turns"):
            text: str = self.tokenizer.apply_chat_template(
                [dict(turn) for turn in turns],
                tools=tools,
                add_generation_prompt=reply,
                tokenize=False,
                strftime_now=TODAY.strftime,  # hides the function that templates get otherwise
            )
            return text

    def _first_text(self, *talks: tuple[Sequence[Mapping[str, Any]], Sequence[Any] | None]) -> str:
        """The first of these conversations that the template takes; empty where it takes none."""
        for turns, tools in talks:
            try:
                return self._apply(turns, tools, reply=True)
            except RequestFailed:
                continue
        return ""

    def _end_of(self, turns: Sequence[Mapping[str, Any]]) -> int | None:
        """The first control token behind the probe's second turn; null where there is none."""
        try:
            text = self._apply(turns, None, reply=False)
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

    def _encode(self, pieces: Pieces) -> list[int]:
        with refusals("the tokenizer refuses the text"):
            if len(pieces) == 1:
                ids: list[int] = self.tokenizer.encode(pieces[0], add_special_tokens=False)
                return ids
            return self._encode_cut(pieces)

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


def _opened_once(context: Pieces, said: str) -> str:
    """What is said behind a context, without an opening mark that ends the context already."""
    return without_opening(said) if opens_thought(context[-1]) else said


def _marked(pieces: Pieces) -> tuple[str, str]:
    """A character that the text does not hold, and the text with it at every cut."""
    gap = _unused("".join(pieces))
    return gap, gap.join(pieces)


def _escapes(gap: str) -> tuple[str, str]:
    """How templates write a gap that write Python's form of a value, or JSON in ASCII."""
    return ascii(gap)[1:-1], json.dumps(gap)[1:-1]


def _unused(text: str) -> str:
    """A character that the text does not hold, escaped or not."""
    free = (gap for gap in GAPS if not any(one in text for one in (gap, *_escapes(gap))))
    found = next(free, None)
    if found is None:
        raise RequestFailed("the text holds all private-use characters that could mark its cuts")
    return found
