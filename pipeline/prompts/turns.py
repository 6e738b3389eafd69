"""Chat turns of a prompt: from a pool's text and template, or as a file writes them."""

from collections.abc import Mapping
from typing import Any

from pipeline import cells
from pipeline.cells import BadRow
from pipeline.config import PoolSettings
from pipeline.conversation import CALLS, RESULT, TOOLS
from pipeline.errors import OrchardError, one_line
from pipeline.prompts.calls import calls_turn, has_calls, in_order, tools_turn

Messages = list[dict[str, str]]
# What files call the speakers, in small letters, and what they are here.
ROLES = {
    "system": "system", "developer": "system",
    "user": "user", "human": "user", "prompter": "user",
    "assistant": "assistant", "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant",
    "chatbot": "assistant", "model": "assistant",
    "tool": RESULT, "function": RESULT, "observation": RESULT, "ipython": RESULT,
    "function_call": CALLS, "tool_calls": CALLS, "tools": TOOLS,
}  # fmt: skip
# Keys of a turn that hold what no text says. A turn that has one is not taken without it.
BESIDES_TEXT = (
    "tools", "reasoning_content", "reasoning", "thinking", "images", "audio", "video", "files",
)  # fmt: skip
CALLED = ("tool_calls", "function_call")  # keys of an assistant's turn that hold its calls
ENDS = ("user", RESULT)  # whose turn the response may follow


def messages_of(pool: PoolSettings, asked: str | Messages) -> Messages:
    """The turns of one prompt: tools, system, each example as two turns, and what is asked.

    Args:
        pool: its system turn, examples and template.
        asked: a question, or a conversation, of which the template shapes the user's last turn.

    Raises:
        BadRow: the question is one of the examples, so its answer would be shown; two system turns;
            no turn of the user.
    """
    examples = [(example.question.strip(), example.answer.strip()) for example in pool.examples]
    given = [_turn("user", asked)] if isinstance(asked, str) else asked
    place = max((n for n, turn in enumerate(given) if turn["role"] == "user"), default=-1)
    if place < 0:
        raise BadRow("the prompt has no turn of the user")
    question = given[place]["content"]
    if question in [shown for shown, _ in examples]:
        raise BadRow("the prompt is one of the pool's examples, so its answer would be shown")
    given = [*given[:place], _turn("user", _filled(pool, question)), *given[place + 1 :]]
    tools, given = _split_first(given, TOOLS)
    own, given = _split_first(given, "system")
    turns = [_turn("system", pool.system.strip())] if pool.system and pool.system.strip() else []
    if own and turns:
        raise BadRow("the row has a system turn, and the pool sets one too")
    shots: Messages = []
    for shown, answer in examples:
        shots += [_turn("user", _filled(pool, shown)), _turn("assistant", answer)]
    return [*tools, *own, *turns, *shots, *given]


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


def read_prompt(
    value: Any, name: str, tools: Any = None, *, begun: bool = False
) -> Messages | None:
    """A prompt, a text or a list of turns, as turns that a response follows; null where blank.

    Args:
        value: the cell.
        name: what people call it.
        tools: the tools that the model may call, as a file writes them.
        begun: whether it may end with an assistant's turn, which begins the response.

    Raises:
        BadRow: neither, or turns that cannot be a prompt.
    """
    if cells.is_blank(value):
        return None
    if isinstance(value, str):
        return [*tools_turn(tools, "tools"), _turn("user", cells.text(value, name) or "")]
    turns = read_turns(value, name)
    if turns[-1]["role"] not in (*ENDS, *(["assistant"] if begun else [])):
        raise BadRow(f"{name} ends with a turn of the {turns[-1]['role']}, not of the user")
    return with_tools(turns, tools, name)


def with_tools(turns: Messages, tools: Any, name: str) -> Messages:
    """The turns with the tools that a row gives beside them.

    Raises:
        BadRow: they are no tools, or the turns name tools as well.
    """
    found = tools_turn(tools, "tools")
    if found and turns[0]["role"] == TOOLS and turns[:1] != found:
        raise BadRow(f"{name} has a turn of tools, and the row has others")
    return turns if turns[:1] == found else [*found, *turns]


def read_turns(value: Any, name: str) -> Messages:
    """Turns as a file writes them, under `role` and `content` or `from` and `value`.

    Parts of type text are joined. Calls become turns of their own, and results stand in their order
    (see pipeline.conversation). Other parts and unknown roles are refused: no text stands for them.

    Raises:
        BadRow: no list of turns, or which turn cannot be read and why.
    """
    turns = [_named(turn) for turn in value] if isinstance(value, list) else []
    if not turns or not all(turns):
        raise BadRow(f"{name} is neither a text nor a list of turns with role and content")
    found: list[tuple[dict[str, str], Any]] = []
    for number, turn in enumerate(turns, start=1):
        found += _read_turn(turn or {}, f"turn {number} of {name}")
    if any(turn["role"] == TOOLS for turn, _ in found[1:]):
        raise BadRow(f"{name} has a turn of tools that is not its first")
    return in_order(found, name)


def _named(turn: Any) -> Mapping[str, Any] | None:
    """A turn with the keys role and content; null where it has neither these nor ShareGPT's."""
    if not isinstance(turn, Mapping):
        return None
    for role, content in (("role", "content"), ("from", "value")):
        if role in turn and (content in turn or any(turn.get(key) for key in CALLED)):
            return {**turn, "role": turn[role], "content": turn.get(content)}
    return None


def _read_turn(turn: Mapping[str, Any], where: str) -> list[tuple[dict[str, str], Any]]:
    """The turn, or its text and its calls as two; each with the ids of the calls it is about."""
    cells.check_row({where: dict(turn)})
    role = ROLES.get(str(turn["role"]).lower())
    if role is None:
        known = ", ".join(ROLES)
        raise BadRow(f"{where} has the role {str(turn['role'])[:40]!r}: only {known} are read")
    if more := [key for key in BESIDES_TEXT if not cells.is_blank(turn.get(key))]:
        raise BadRow(f"{where} has {', '.join(more)}: only turns of text are read")
    if role == TOOLS:
        return [(one, None) for one in tools_turn(turn["content"], where)]
    if role == CALLS:
        return [calls_turn(turn["content"], where)]
    called = [key for key in CALLED if has_calls(turn.get(key), where)]
    if called and role != "assistant":
        raise BadRow(f"{where} has {called[0]}, which only an assistant makes")
    content = _content(turn["content"], where)
    if not content and role not in ("system", RESULT) and not called:
        raise BadRow(f"{where} has no content")
    if content is None and role != "assistant":
        raise BadRow(f"{where} has no content")
    result_of = cells.identifier(turn.get("tool_call_id"), f"the tool_call_id of {where}")
    own = [(_turn(role, content or ""), result_of)] if content or not called else []
    return [*own, *(calls_turn(turn[key], where) for key in called)]


def _content(content: Any, where: str) -> str | None:
    if isinstance(content, list):
        return _joined(content, where)
    return cells.text(content, f"the content of {where}")


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


def _split_first(turns: Messages, role: str) -> tuple[Messages, Messages]:
    """The first turn, where it is of that role, and the others."""
    return (turns[:1], turns[1:]) if turns and turns[0]["role"] == role else ([], turns)


def _filled(pool: PoolSettings, question: str) -> str:
    return pool.template.format(question=question).strip()
