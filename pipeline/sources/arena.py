"""Chatbot Arena (Chiang et al. 2024): people's votes on two models' conversations."""

from typing import Any

from pipeline import cells
from pipeline.cells import BadRow, Row
from pipeline.prompts.turns import Messages, read_turns
from pipeline.sources.besides import BESIDES, Besides
from pipeline.sources.dialogue import last_turns
from pipeline.sources.labels import one_of
from pipeline.sources.layout import layout
from pipeline.strict import json_value

VOTERS = "arena voters"  # where the file does not say who voted
BAD = ("tie (bothbad)", "both_bad", "bothbad")  # a tie of two bad answers
WINNERS = {"model_a": 1.0, "model_b": 0.0, "tie": 0.5, **dict.fromkeys(BAD, 0.5)}
FLAGS = {"1": 1.0, "true": 1.0, "0": 0.0, "false": 0.0}
COLUMNS = {"winner_model_a": 1.0, "winner_model_b": 0.0, "winner_tie": 0.5}


@layout(
    "Chatbot Arena, turns as lists (55k)",
    "prompt response_a response_b winner_model_a winner_model_b winner_tie",
    knows="model_a model_b",
)
def lists(row: Row) -> Row:
    """The user's turns and each model's answers as lists, perhaps in JSON."""
    asked = _texts(row.get("prompt"), "prompt")
    names = ("response_a", "response_b")
    turns = {name: _woven(asked, _texts(row.get(name), name), name) for name in names}
    flags = {name: one_of(row.get(name), name, FLAGS) for name in COLUMNS}
    won = [name for name, flag in flags.items() if flag]
    if len(won) != 1:
        raise BadRow(f"{len(won)} of {', '.join(COLUMNS)} are 1: exactly one says who won")
    return {**last_turns(turns), **_voted(row, COLUMNS[won[0]], {})}


@layout(
    "Chatbot Arena conversations (33k, 140k)",
    "conversation_a conversation_b winner",
    knows="model_a model_b judge full_conversation",
)
def conversations(row: Row) -> Row:
    """Two whole conversations, and who won or that both are equally good or bad."""
    names = ("conversation_a", "conversation_b")
    turns = {name: read_turns(_list(row.get(name), name), name) for name in names}
    p = one_of(row.get("winner"), "winner", WINNERS)
    if p is None:
        raise BadRow("no winner")
    is_bad = cells.label(row.get("winner"), "winner") in BAD
    return {**last_turns(turns), **_voted(row, p, {"both_bad": True} if is_bad else {})}


def _voted(row: Row, p: float, metadata: Row) -> Row:
    """One person's vote, which is the label too."""
    judge = cells.identifier(row.get("judge"), "judge") or VOTERS
    return {
        "label": p,
        "first_policy": row.get("model_a"),
        "second_policy": row.get("model_b"),
        BESIDES: Besides(
            votes=[{"judge_id": judge, "p_first": p}],
            labelled_by=judge,
            metadata=metadata,
            tells_sides=True,
        ),
    }


def _list(value: Any, name: str) -> Any:
    """A list, or the JSON of one."""
    if not isinstance(value, str):
        return value
    try:
        return json_value(value)
    except ValueError as error:
        raise BadRow(f"{name} is neither a list nor JSON of one") from error


def _texts(value: Any, name: str) -> list[str]:
    """The texts of a list of texts; a text that is no JSON list is one turn."""
    if isinstance(value, str) and not value.lstrip().startswith("["):
        value = [value]
    given = _list(value, name)
    if not isinstance(given, list) or not given:
        raise BadRow(f"{name} is no list of turns")
    found = [
        cells.text(one["content"] if isinstance(one, dict) and "content" in one else one, name)
        for one in given
    ]
    if not all(found):
        raise BadRow(f"{name} has a turn without content")
    return [text for text in found if text]


def _woven(asked: list[str], answers: list[str], name: str) -> Messages:
    """The user's turns and a model's answers as one conversation."""
    if len(asked) != len(answers):
        raise BadRow(f"{name} has {len(answers)} answers to {len(asked)} turns of the user")
    return [
        {"role": role, "content": text}
        for question, answer in zip(asked, answers, strict=True)
        for role, text in (("user", question), ("assistant", answer))
    ]
