"""Conversations as the tables hold them: turns of a role and a text, and what they mean.

Every turn has a role and a content, which is always a text:

- `system`, `user` and `assistant` say their content. An assistant's turn at the end of a prompt is
  the beginning of the response, which the model goes on with.
- `tools`, always first, is the JSON list of the tools that the model may call, in OpenAI's form.
- `tool_calls` is the JSON list of the calls that the assistant makes: {"name", "arguments"} each.
  Behind an assistant's turn they are part of it; else the assistant says nothing besides.
- `tool` is the result of a call. Results stand in the order of their calls.

This form is our choice: one column holds all, so that one conversation has one id wherever it came
from. The ids that files give to calls are left out, since they differ from file to file.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.engine.base import Turn
from pipeline.engine.thoughts import split_thought

Turns = Sequence[Mapping[str, Any]]  # of which role and content are texts

TOOLS, CALLS, RESULT = "tools", "tool_calls", "tool"
NAMES = {CALLS: "Tool calls", RESULT: "Tool result"}  # of speakers, for people and judges
# Behind any line's end that a reader may see as one: Python's ^ knows but one of them.
_SPEAKER = re.compile(
    r"(?:^|(?<=[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]))"
    r"(?=[^\S\n]*(?:system|user|assistant|tools|tool calls|tool result)\s*:)",
    re.IGNORECASE,
)


def beginning_of(messages: Turns | None) -> str:
    """What the response to a prompt begins with: the text of an assistant's turn at its end."""
    if not messages or messages[-1]["role"] != "assistant":
        return ""
    return str(messages[-1]["content"])


def before_beginning(messages: Turns) -> Turns:
    """The turns of a prompt without the beginning of its response."""
    return messages[:-1] if messages and messages[-1]["role"] == "assistant" else messages


def answered(messages: Turns, text: str) -> tuple[Turn, ...]:
    """The conversation with its response as the last turn; a beginning is part of that turn."""
    turns = [
        Turn(role=turn["role"], content=turn["content"]) for turn in before_beginning(messages)
    ]
    return (*turns, Turn(role="assistant", content=beginning_of(messages) + text))


def said_after(messages: Turns, text: str) -> str:
    """A response as it is kept: stripped; behind a beginning its first blank is part of it."""
    return (text.rstrip() if beginning_of(messages) else text.strip()) if text.strip() else ""


def whole_response(messages: Turns | None, text: str) -> str:
    """A response with its beginning, without a thought, as judges and verifiers read it."""
    begun = beginning_of(messages)
    return (split_thought(begun).response or "") + text


def asked_last(messages: Turns) -> str:
    """What the user asked last; empty where no user spoke."""
    return next((str(one["content"]) for one in reversed(messages) if one["role"] == "user"), "")


def with_asked_last(messages: Turns, content: str) -> list[dict[str, Any]]:
    """The turns with another text in the user's last one."""
    place = max(number for number, turn in enumerate(messages) if turn["role"] == "user")
    turn = {**messages[place], "content": content}
    return [*map(dict, messages[:place]), turn, *map(dict, messages[place + 1 :])]


def shown(messages: Turns) -> str:
    """The turns before the response as a text for people and judges: a paragraph a turn.

    A single turn is its text alone. A line of a content that begins as a turn does, perhaps behind
    blanks, gets "> " before it, so that no content can forge a turn.
    """
    turns = before_beginning(messages)
    if len(turns) == 1:
        return str(turns[0]["content"])
    return "\n\n".join(f"{_speaker(turn)}: {_said(turn)}" for turn in turns)


def for_template(messages: Turns) -> tuple[list[dict[str, Any]], list[Any] | None]:
    """The turns and the tools as chat templates read them (OpenAI's form); no tools are null.

    Calls get ids of nine characters, as Mistral's template wants them, numbered from the first.
    """
    tools: list[Any] | None = None
    turns: list[dict[str, Any]] = []
    open_calls: list[dict[str, Any]] = []
    for turn in messages:
        role, content = turn["role"], turn["content"]
        if role == TOOLS:
            tools = json.loads(content)
        elif role == CALLS:
            if not turns or turns[-1]["role"] != "assistant" or "tool_calls" in turns[-1]:
                turns.append({"role": "assistant", "content": ""})
            number = sum(len(one.get("tool_calls", ())) for one in turns)
            open_calls = _numbered(json.loads(content), number)
            turns[-1] = {**turns[-1], "tool_calls": open_calls}
        elif role == RESULT and open_calls:
            call, *open_calls = open_calls
            named = {"name": call["function"]["name"], "tool_call_id": call["id"]}
            turns.append({"role": RESULT, "content": content, **named})
        else:
            turns.append({"role": role, "content": content})
    return turns, tools


def uses_tools(messages: Turns) -> bool:
    """Whether a conversation has tools, calls or results."""
    return any(turn["role"] in (TOOLS, CALLS, RESULT) for turn in messages)


def _numbered(calls: list[dict[str, Any]], before: int) -> list[dict[str, Any]]:
    return [
        {"type": "function", "id": f"call{number:05d}", "function": call}
        for number, call in enumerate(calls, start=before + 1)
    ]


def _speaker(turn: Mapping[str, Any]) -> str:
    return NAMES.get(turn["role"], str(turn["role"]).capitalize())


def _said(turn: Mapping[str, Any]) -> str:
    return _SPEAKER.sub("> ", turn["content"])
