"""How instructions are put into a prompt, and what they must not give away."""

import re
from collections.abc import Sequence
from typing import Any

from pipeline.conversation import asked_last, with_asked_last
from pipeline.verify.instructions import Instruction
from pipeline.verify.instructions.text import words

# One of them before the instructions; the same on both sides of a pair.
OPENINGS = ("Follow these rules:", "In addition:", "Your response must also keep to this:")
_RUN = 4  # words in a row that an instruction may not share with the response; our choice


def added(
    messages: Sequence[dict[str, str]], instructions: Sequence[Instruction], style: int
) -> list[dict[str, Any]]:
    """The turns with the instructions after what the user asked last, one a line."""
    return with_lines(messages, [instruction.text(style) for instruction in instructions], style)


def with_lines(
    messages: Sequence[dict[str, str]], lines: Sequence[str], style: int
) -> list[dict[str, Any]]:
    """The turns with these lines after what the user asked last, under the style's opening."""
    return with_asked_last(messages, asked_last(messages) + _tail(lines, style))


def without_lines(
    messages: Sequence[dict[str, str]], lines: Sequence[str], style: int
) -> list[dict[str, Any]] | None:
    """The turns that `with_lines` put these lines behind; None where they do not end so."""
    content, tail = asked_last(messages), _tail(lines, style)
    if not content.endswith(tail):
        return None
    return with_asked_last(messages, content[: -len(tail)])


def _tail(lines: Sequence[str], style: int) -> str:
    return "\n".join(["\n", OPENINGS[style % len(OPENINGS)], *(f"- {line}" for line in lines)])


def leak(text: str, response: str, answer: str | None) -> str | None:
    """What an instruction's text gives away:
    the prompt's answer, or a run of words of the response; None: nothing.
    """
    if answer and re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", text, re.IGNORECASE):
        return "the answer"
    said, told = _runs(response), _runs(text)
    return "words of the response" if said & told else None


def _runs(text: str) -> set[tuple[str, ...]]:
    found = words(text.casefold())
    return set(zip(*(found[i:] for i in range(_RUN)), strict=False))
