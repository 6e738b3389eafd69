"""Calls and tools in a chat template: kept plain text inside, and never lost without a word."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipeline.conversation import RESULT
from pipeline.engine.base import RequestFailed
from pipeline.engine.control import ControlTokens

Turns = list[dict[str, Any]]
Apply = Callable[[Sequence[Mapping[str, Any]], Sequence[Any] | None], str]
_OTHER = "Orchard's other result"  # in place of every result, to see whether results are written


def all_cut(
    control: ControlTokens, gap: str, turns: Turns, tools: list[Any] | None
) -> tuple[Turns, list[Any] | None]:
    """Turns and tools in which no text at any depth spells a control token: see `control.cut`."""

    def cut(value: Any, role: str) -> Any:
        if isinstance(value, str):
            return control.cut(value, gap, role)
        if isinstance(value, dict):
            return {cut(key, role): cut(one, role) for key, one in value.items()}
        return [cut(one, role) for one in value] if isinstance(value, list) else value

    found = [
        {
            key: value if key == "role" else cut(value, turn["role"] if key == "content" else key)
            for key, value in turn.items()
        }
        for turn in turns
    ]
    return found, cut(tools, "tools")


def check_nothing_dropped(
    apply: Apply, turns: Turns, tools: list[Any] | None, rendered: str
) -> None:
    """Refuse a template that leaves out tools, calls or results, which many do without a word.

    It does where the rendered text is the same without them.

    Args:
        apply: renders turns and tools.
        turns: with calls and results.
        tools: perhaps none.
        rendered: what they give together.

    Raises:
        RequestFailed: which of them the template leaves out.
    """
    silent = [{key: value for key, value in turn.items() if key != "tool_calls"} for turn in turns]
    other = [{**turn, "content": _OTHER} if turn["role"] == RESULT else turn for turn in turns]
    without: dict[str, tuple[Turns, list[Any] | None]] = {
        "the tools": (turns, None) if tools else (turns, tools),
        "calls of tools": (silent, tools),
        "results of tools": (other, tools),
    }
    for what, (fewer, fewer_tools) in without.items():
        if (fewer, fewer_tools) != (turns, tools) and _same(apply, fewer, fewer_tools, rendered):
            raise RequestFailed(
                f"the chat template leaves out {what}: "
                "use a model whose template writes them, or rows without them"
            )


def _same(apply: Apply, turns: Turns, tools: list[Any] | None, rendered: str) -> bool:
    try:
        return apply(turns, tools) == rendered
    except RequestFailed:  # it misses them
        return False
