"""Dialogues written as one text, with a name before every turn, as chat turns."""

import re
from collections.abc import Callable
from typing import Any

from pipeline import cells
from pipeline.cells import BadRow, Row, Rows
from pipeline.prompts.turns import Messages, read_prompt

ROLES = {"Human": "user", "Assistant": "assistant"}
# Anthropic's way to write turns; a blank line before the name makes it one.
_TURN = re.compile(r"(?:\A\s*|\n\n)(Human|Assistant):")


def is_dialogue(value: object) -> bool:
    """Whether a text begins with a turn's name."""
    return isinstance(value, str) and bool(re.match(r"\s*(Human|Assistant):", value))


def read_dialogue(value: object, name: str) -> Messages:
    """The turns of a text, the last of which may be empty.

    Raises:
        BadRow: no text, one that begins otherwise, or an empty turn before the last.
    """
    text = cells.text(value, name)
    if text is None or not is_dialogue(text):
        raise BadRow(f"{name} does not begin with a turn of Human: or Assistant:")
    _, *parts = _TURN.split(text)
    turns = [
        {"role": ROLES[role], "content": content.strip()}
        for role, content in zip(parts[::2], parts[1::2], strict=True)
    ]
    for number, turn in enumerate(turns[:-1], start=1):
        if not turn["content"]:
            raise BadRow(f"turn {number} of {name} has no content")
    return turns


def read_asked(value: object, name: str) -> Messages | None:
    """A prompt as text, as a dialogue (perhaps with the empty turn to be written), or as turns."""
    if not is_dialogue(value):
        return read_prompt(value, name)
    turns = read_dialogue(value, name)
    if turns[-1] == {"role": "assistant", "content": ""}:
        turns = turns[:-1]
    return read_prompt(turns, name)


def most_rows(rows: Rows, names: tuple[str, ...], holds: Callable[[Any], bool]) -> bool:
    """Whether most rows that have these columns hold in all of them what `holds` looks for."""
    have = [row for _, row in rows if not any(cells.is_blank(row.get(name)) for name in names)]
    fitting = sum(all(holds(row[name]) for name in names) for row in have)
    return 2 * fitting > len(have)


def last_turns(sides: dict[str, Messages]) -> Row:
    """A prompt and two answers of conversations that differ in the last turn alone.

    Args:
        sides: name -> turns of two conversations.

    Raises:
        BadRow: they differ before, or do not end with the assistant.
    """
    for name, turns in sides.items():
        if turns[-1]["role"] != "assistant":
            raise BadRow(f"{name} ends with a turn of the {turns[-1]['role']}, not the assistant")
    (one, first), (other, second) = sides.items()
    if first[:-1] != second[:-1]:
        raise BadRow(
            f"{one} and {other} differ before their last turn: they answer different prompts"
        )
    if len(first) == 1:
        raise BadRow(f"{one} and {other} have no prompt before the assistant's turn")
    read_prompt(first[:-1], "what both sides begin with")
    return {
        "prompt": first[:-1],
        "first": first[-1]["content"],
        "second": second[-1]["content"],
    }
