"""Tools, calls and results as files write them, in the one form of `pipeline.conversation`."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline import cells
from pipeline.cells import BadRow
from pipeline.conversation import CALLS, RESULT, TOOLS

Turn = dict[str, str]


def tools_turn(value: Any, name: str) -> list[Turn]:
    """The turn that says which tools there are; none where the cell is blank.

    Each is in OpenAI's form, {"type": "function", "function": {...}}, or the function alone. Keys
    without a value are left out: Parquet gives every object all keys of its column.

    Args:
        value: a list of tools, or its JSON.
        name: what people call the cell.

    Raises:
        BadRow: it is no list of named functions.
    """
    found = _parsed(value, name)
    if cells.is_blank(found):
        return []
    if not isinstance(found, list):
        raise BadRow(f"{name} holds {cells.kind_of(found)}, not a list of tools")
    tools = [_tool(one, f"tool {n} of {name}") for n, one in enumerate(found, start=1)]
    return [{"role": TOOLS, "content": _json(tools)}]


def calls_turn(value: Any, where: str) -> tuple[Turn, list[str | None]]:
    """The turn of an assistant's calls, and the ids that the file gives them.

    Args:
        value: a list of calls, or one; each in OpenAI's form or {"name", "arguments"}.
        where: which turn of which cell.

    Raises:
        BadRow: a call without a name, or whose arguments are no object.
    """
    found = _parsed(value, where)
    calls = found if isinstance(found, list) else [found]
    if not calls:
        raise BadRow(f"{where} has no calls")
    read = [_call(one, f"call {n} of {where}") for n, one in enumerate(calls, start=1)]
    turn = {"role": CALLS, "content": _json([call for call, _ in read])}
    return turn, [call_id for _, call_id in read]


def has_calls(value: Any, where: str) -> bool:
    """Whether an assistant's key holds calls; files write none as the JSON of nothing, too.

    Raises:
        BadRow: it is no JSON.
    """
    return not cells.is_blank(_parsed(value, where))


def in_order(turns: Sequence[tuple[Turn, Any]], name: str) -> list[Turn]:
    """The turns with the results of several calls in the order of their calls.

    Args:
        turns: each with the ids of its calls, or the id of the call that it is the result of.
        name: what people call the cell.

    Raises:
        BadRow: a result without a call; fewer results than calls before the next turn. (A last turn
            of calls is a response: no result stands behind it.)
    """
    found: list[Turn] = []
    waiting: list[str | None] = []
    results: dict[int, Turn] = {}
    for number, (turn, ids) in enumerate(turns, start=1):
        if turn["role"] == RESULT:
            place = _place(ids, waiting, results)
            if place is None:
                raise BadRow(f"turn {number} of {name} is the result of no call")
            results[place] = turn
            if len(results) == len(waiting):
                found += [one for _, one in sorted(results.items())]
                waiting, results = [], {}
            continue
        if waiting:
            raise BadRow(f"the calls before turn {number} of {name} lack a result")
        found.append(turn)
        waiting = list(ids) if turn["role"] == CALLS else []
    if results:
        raise BadRow(f"{name} ends with calls that lack a result")
    return found


def _place(
    own: str | None, waiting: Sequence[str | None], results: Mapping[int, Turn]
) -> int | None:
    """The place of the call that a result belongs to: by its id, else the next one."""
    free = [place for place in range(len(waiting)) if place not in results]
    if own is not None and any(one is not None for one in waiting):
        return next((place for place in free if waiting[place] == own), None)
    return free[0] if free else None


def _tool(value: Any, where: str) -> dict[str, Any]:
    tool = _without_nulls(value)
    if isinstance(tool, dict) and "function" not in tool:
        tool = {"type": "function", "function": tool}
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise BadRow(f"{where} is no function with a name")
    cells.check_row({where: tool})
    return {"type": "function", **tool}


def _call(value: Any, where: str) -> tuple[dict[str, Any], str | None]:
    call = value.get("function") or value if isinstance(value, Mapping) else {}
    name = call.get("name")
    if not isinstance(name, str) or not name.strip():
        raise BadRow(f"{where} has no name of a tool")
    arguments = _parsed(call.get("arguments"), f"the arguments of {where}")
    arguments = {} if arguments is None else _without_nulls(arguments)
    if not isinstance(arguments, dict):
        raise BadRow(f"the arguments of {where} are {cells.kind_of(arguments)}, not an object")
    cells.check_row({where: arguments})
    call_id = cells.identifier(value.get("id"), f"the id of {where}")
    return {"name": name.strip(), "arguments": arguments}, call_id


def _parsed(value: Any, name: str) -> Any:
    """A value that may be written as JSON."""
    value = cells.plain(value)
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise BadRow(f"{name} is no JSON") from None


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nulls(one) for key, one in value.items() if one is not None}
    return [_without_nulls(one) for one in value] if isinstance(value, list) else value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
