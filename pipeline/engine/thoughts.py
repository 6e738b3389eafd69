"""What a model thinks, taken off what it answers.

A reasoning model writes a thought first: `<think>...</think>`, or whatever marks its template has.
This is the one place that knows these marks. What stands before the last closing mark is not the
response, also where the template itself opened the thought and only the closing mark is seen. A
thought without its end has no response behind it.

Marks are those of the templates of these models, as generally known: `<think>` (DeepSeek-R1, Qwen3,
SmolLM3, GLM, Phi-4-reasoning), `<thought>` (EXAONE Deep), `<seed:think>` (Seed-OSS), `[THINK]`
(Magistral), `◁think▷` (Kimi), `<|begin_of_thought|>` (OpenThinker), `<|START_THINKING|>`
(Command A), and Harmony's channels (gpt-oss), where everything but the channel `final` is thought.
`<thinking>` and `<reasoning>` are asked for by many prompts.
Our choice: a mark between two equal quotation marks or backticks is spoken of, and is none.
"""

import re
from dataclasses import dataclass

QUOTES = "`'\""


@dataclass(frozen=True)
class Channel:
    """The marks of one family of templates, as patterns, and the text that ends a thought."""

    opening: str
    closing: str
    end: str


def _tags(opening: str, closing: str) -> Channel:
    return Channel(re.escape(opening), re.escape(closing), closing)


CHANNELS = (
    _tags("<think>", "</think>"),
    _tags("<thought>", "</thought>"),
    _tags("<thinking>", "</thinking>"),
    _tags("<reasoning>", "</reasoning>"),
    _tags("<|begin_of_thought|>", "<|end_of_thought|>"),
    _tags("<seed:think>", "</seed:think>"),
    _tags("[THINK]", "[/THINK]"),
    _tags("◁think▷", "◁/think▷"),
    Channel(
        opening=r"<\|START_THINKING\|>",
        closing=r"<\|END_THINKING\|>(?:\s*<\|START_RESPONSE\|>)?|<\|START_RESPONSE\|>",
        end="<|END_THINKING|>",
    ),
    Channel(
        opening=r"<\|channel\|>(?:analysis|commentary)[^<]*"
        r"(?:<\|constrain\|>[^<]*)?<\|message\|>",
        closing=r"(?:<\|end\|>)?(?:<\|start\|>assistant)?<\|channel\|>final[^<]*"
        r"(?:<\|constrain\|>[^<]*)?<\|message\|>",
        end="<|channel|>final<|message|>",
    ),
)

# What ends a thought, to stop a model there.
ENDS = tuple(channel.end for channel in CHANNELS)

# Tokens that marks are made of. Where a tokenizer has one as a special token, an engine must not
# leave special tokens out of a text, else the thought could not be told from the response.
TOKENS = (
    "<think>", "</think>", "<thought>", "</thought>", "<thinking>", "</thinking>",
    "<reasoning>", "</reasoning>", "<|begin_of_thought|>", "<|end_of_thought|>",
    "<seed:think>", "</seed:think>", "[THINK]", "[/THINK]", "◁think▷", "◁/think▷",
    "<|START_THINKING|>", "<|END_THINKING|>", "<|START_RESPONSE|>", "<|channel|>", "<|message|>",
)  # fmt: skip

_MARK = re.compile(
    "|".join(
        f"(?P<open{number}>{channel.opening})|(?P<close{number}>{channel.closing})"
        for number, channel in enumerate(CHANNELS)
    )
)
_OPENS_AT_END = re.compile(rf"(?:{'|'.join(channel.opening for channel in CHANNELS)})\s*\Z")
_OPENS_AT_START = re.compile(rf"\s*(?:{'|'.join(one.opening for one in CHANNELS)})\s*")
_AFTER_A_RESPONSE = re.compile(r"(?:<\|END_RESPONSE\|>|<\|return\|>|<\|end\|>)\s*\Z")


@dataclass(frozen=True)
class Parts:
    """A text of a model in two parts: `thought` + `response` is what was said.

    thought: all that stands before the response, marks included; null where there is none.
    response: what the model answers; null where it never came to an answer.
    """

    thought: str | None
    response: str | None


def split_thought(text: str, *, opened: bool = False) -> Parts:
    """The thought and the response of a text; `opened` where the template began the thought.

    A response loses the mark that ends it (Command A's, Harmony's), and nothing else.
    """
    marks = _marks(text)
    last_closing = {mark.lastgroup: mark for mark in marks if _closes(mark)}
    start = max((mark.end() for mark in last_closing.values()), default=0)
    if (opened and not last_closing) or any(_is_open(mark, last_closing) for mark in marks):
        return Parts(text, None)
    if not start:
        return Parts(None, text)
    start += _blank_lines(text[start:])
    return Parts(text[:start], _AFTER_A_RESPONSE.sub("", text[start:]))


def opens_thought(rendered: str) -> bool:
    """True where rendered turns end in an opening mark: what the model writes next is a thought."""
    return bool(_OPENS_AT_END.search(rendered[-200:]))


def without_opening(text: str) -> str:
    """A text without the opening mark that it begins with, for where that stands already."""
    return text[found.end() :] if (found := _OPENS_AT_START.match(text)) else text


def mark_spans(text: str) -> list[tuple[int, int]]:
    """(start, end) of every mark in a text of a model's own."""
    return [mark.span() for mark in _marks(text)]


def _marks(text: str) -> list[re.Match[str]]:
    # the pattern is slow, and every mark holds one of these
    if not any(token in text for token in TOKENS):
        return []
    return [mark for mark in _MARK.finditer(text) if not _is_quoted(text, mark)]


def _blank_lines(text: str) -> int:
    """Characters between a closing mark and the response.

    The indentation of a first line is its.
    """
    blank = text[: len(text) - len(text.lstrip())]
    return blank.rfind("\n") + 1 or len(blank)


def _closes(mark: re.Match[str]) -> bool:
    return str(mark.lastgroup).startswith("close")


def _is_open(mark: re.Match[str], last_closing: dict[str | None, re.Match[str]]) -> bool:
    """True for an opening mark that no closing mark of its own family follows."""
    if _closes(mark):
        return False
    closing = last_closing.get(str(mark.lastgroup).replace("open", "close"))
    return closing is None or closing.start() < mark.start()


def _is_quoted(text: str, mark: re.Match[str]) -> bool:
    before = text[max(0, mark.start() - 1) : mark.start()]
    after = text[mark.end() : mark.end() + 1]
    return before == after and before != "" and before in QUOTES
