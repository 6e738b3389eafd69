"""Pairs as TRL writes them: chosen and rejected, and a prompt or turns that both begin with.

The chosen side comes first and is labelled the better one.
"""

from typing import Any

from pipeline.cells import BadRow, Row, text
from pipeline.conversation import beginning_of
from pipeline.prompts.turns import Messages, read_prompt, read_turns
from pipeline.sources.layout import layout

SIDES = ("chosen", "rejected")


@layout("TRL, with a prompt", "prompt chosen rejected")
def explicit(row: Row) -> Row:
    """A row with a prompt. Sides are texts, an assistant's turn, or whole conversations.

    Raises:
        BadRow: sides of two kinds, or of another prompt.
    """
    prompt = read_prompt(row.get("prompt"), "prompt", begun=True)
    if prompt is None:
        raise BadRow("prompt is empty")
    if beginning_of(prompt):
        if any(isinstance(row.get(name), list) for name in SIDES):
            raise BadRow(
                "prompt ends with the assistant: give what goes on with that turn as texts"
            )
        return _pair(prompt, [row.get(name) for name in SIDES])
    sides = [side(row.get(name), name) for name in SIDES]
    for name, (before, _) in zip(SIDES, sides, strict=True):
        # A side may hold more turns than the prompt, of which this is the first or the last.
        longer = before[: len(prompt)] == prompt or before[-len(prompt) :] == prompt
        if before and not longer and before != prompt[-1:]:
            raise BadRow(f"{name} begins with other turns than the prompt's")
    longest = max((before for before, _ in sides), key=len)
    if any(before not in ([], longest) for before, _ in sides):
        raise BadRow("chosen and rejected begin with different turns")
    return _pair(longest if len(longest) > len(prompt) else prompt, [answer for _, answer in sides])


@layout("TRL, the prompt in both sides", "chosen rejected")
def implicit(row: Row) -> Row:
    """A row whose sides are conversations that differ in the last turn alone.

    Raises:
        BadRow: sides that are texts, or that differ before their last turn.
    """
    sides = [side(row.get(name), name) for name in SIDES]
    (prompt, chosen), (other, rejected) = sides
    if not prompt or not other:
        raise BadRow(
            "the row has no prompt: give it as prompt, or as turns that both sides begin with"
        )
    if prompt != other:
        raise BadRow(
            "chosen and rejected differ before their last turn: they answer different prompts"
        )
    read_prompt(prompt, "what both sides begin with")
    return _pair(prompt, [chosen, rejected])


def side(value: Any, name: str) -> tuple[Messages, str | None]:
    """The turns before a side's answer, and the answer."""
    if not isinstance(value, list):
        return [], text(value, name)
    turns = read_turns(value, name)
    if turns[-1]["role"] != "assistant":
        raise BadRow(f"{name} ends with a turn of the {turns[-1]['role']}, not of the assistant")
    return turns[:-1], turns[-1]["content"]


def _pair(prompt: Messages, answers: list[str | None]) -> Row:
    return {"prompt": prompt, "first": answers[0], "second": answers[1], "label": "first"}
