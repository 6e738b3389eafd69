"""Chat turns of a prompt: from a pool's text and template, or as a file writes them."""

from collections.abc import Mapping
from typing import Any

from pipeline import cells
from pipeline.cells import BadRow
from pipeline.config import PoolSettings
from pipeline.errors import OrchardError, one_line

Messages = list[dict[str, str]]
ROLES = ("system", "user", "assistant")
# Keys of a turn that hold what no text says. A turn that has one is not taken without it.
BESIDES_TEXT = (
    "tool_calls", "function_call", "tool_call_id", "tools", "reasoning_content", "reasoning",
    "thinking", "images", "audio", "video", "files",
)  # fmt: skip


def messages_of(pool: PoolSettings, asked: str | Messages) -> Messages:
    """The turns of one prompt: system, each example as two turns, and what is asked.

    Args:
        pool: its system turn, examples and template.
        asked: a question, or a conversation that ends with a user's turn, which the template
            then shapes.

    Raises:
        BadRow: the question is one of the examples, so its answer would be shown; two system turns.
    """
    examples = [(example.question.strip(), example.answer.strip()) for example in pool.examples]
    given = [_turn("user", asked)] if isinstance(asked, str) else asked
    question = given[-1]["content"]
    if question in [shown for shown, _ in examples]:
        raise BadRow("the prompt is one of the pool's examples, so its answer would be shown")
    turns = [_turn("system", pool.system.strip())] if pool.system and pool.system.strip() else []
    if given[0]["role"] == "system":
        if turns:
            raise BadRow("the row has a system turn, and the pool sets one too")
        turns, given = given[:1], given[1:]
    for shown, answer in examples:
        turns += [_turn("user", _filled(pool, shown)), _turn("assistant", answer)]
    return [*turns, *given[:-1], _turn("user", _filled(pool, question))]


def check_template(pool: PoolSettings) -> None:
    """Refuse a template that does not work, before any row is read.

    Raises:
        OrchardError: unknown fields, or no place for the question.
    """
    question = "a question"
    try:
        content = _filled(pool, question)
    except (LookupError, ValueError, AttributeError, TypeError) as error:
        what = f"unknown field {error}" if isinstance(error, LookupError) else one_line(error)
        raise OrchardError(
            f"pool {pool.name!r}: template: {what}: only {{question}} is filled in"
        ) from error
    if question not in content:
        raise OrchardError(
            f"pool {pool.name!r}: template has no {{question}}, so all prompts would be the same"
        )


def read_prompt(value: Any, name: str) -> Messages | None:
    """A prompt, a text or a list of turns, as turns that end with a user's; null where blank.

    Raises:
        BadRow: neither, or turns that cannot be a prompt.
    """
    if cells.is_blank(value):
        return None
    if isinstance(value, str):
        return [_turn("user", cells.text(value, name) or "")]
    turns = read_turns(value, name)
    if turns[-1]["role"] != "user":
        raise BadRow(f"{name} ends with a turn of the {turns[-1]['role']}, not of the user")
    return turns


def read_turns(value: Any, name: str) -> Messages:
    """Turns as a file writes them, each with a role and a text.

    Parts of type text are joined. Other parts, tool calls and roles besides system, user and
    assistant are refused, since no text stands for them.

    Raises:
        BadRow: no list of turns, or which turn cannot be read and why.
    """
    turns = value if isinstance(value, list) else []
    whole = all(isinstance(turn, Mapping) and {"role", "content"} <= set(turn) for turn in turns)
    if not turns or not whole:
        raise BadRow(f"{name} is neither a text nor a list of turns with role and content")
    return [
        _read_turn(turn, f"turn {number} of {name}") for number, turn in enumerate(turns, start=1)
    ]


def _read_turn(turn: Mapping[str, Any], where: str) -> dict[str, str]:
    cells.check_row({where: dict(turn)})
    role = turn["role"]
    if role not in ROLES:
        raise BadRow(f"{where} has the role {str(role)[:40]!r}: only {', '.join(ROLES)} are read")
    if more := [key for key in BESIDES_TEXT if not cells.is_blank(turn.get(key))]:
        raise BadRow(f"{where} has {', '.join(more)}: only turns of text are read")
    content = turn["content"]
    found = (
        _joined(content, where)
        if isinstance(content, list)
        else cells.text(content, f"the content of {where}")
    )
    if found is None or (not found and role != "system"):
        raise BadRow(f"{where} has no content")
    return _turn(role, found)


def _joined(parts: list[Any], where: str) -> str:
    """The text of a content that is written as parts, all of type text."""
    texts = []
    for part in parts:
        if not (
            isinstance(part, Mapping)
            and part.get("type") == "text"
            and isinstance(part.get("text"), str)
        ):
            kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
            raise BadRow(f"{where} has a part of type {str(kind)[:40]!r}: only text parts are read")
        texts.append(part["text"])
    return "".join(texts).strip()


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _filled(pool: PoolSettings, question: str) -> str:
    return pool.template.format(question=question).strip()
