"""The program's side: load it, then answer calls with plain data.

Nothing of the tests is in this process.
"""

from __future__ import annotations

import os
import sys
import types
from typing import Any, NoReturn

from . import frames, plain

REQUESTS, REPLIES = 3, 4  # descriptors


def serve(source: str, message_bytes: int) -> NoReturn:
    """Runs the program's top level, then one call per request, until the other side closes."""
    try:
        program = _load(source)
    except BaseException as error:  # SystemExit too: whatever it raises, it did not load
        _send({"error": _say(error)})
        os._exit(0)
    _send({"loaded": True})
    while (request := frames.read_frame(REQUESTS, message_bytes)) is not None:
        _send(_answer(program, request))
    os._exit(0)


def _load(source: str) -> dict[str, Any]:
    module = types.ModuleType("solution")  # not __main__: code under that guard does not run
    sys.modules["solution"] = module  # dataclasses and pickle look there
    exec(compile(source, "solution.py", "exec"), module.__dict__)
    return module.__dict__


def _answer(program: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    try:
        function = program[request["name"]]
        arguments = [plain.load(node) for node in request["args"]]
        named = {name: plain.load(node) for name, node in request["kwargs"].items()}
        result = function(*arguments, **named)
        try:
            return {"value": plain.dump(result)}
        except plain.NotPlain:  # a match of a regular expression, say: tests ask for its truth
            return {"opaque": [type(result).__name__, bool(result)]}
    except BaseException as error:
        return {"error": _say(error)}


def _say(error: BaseException) -> list[str]:
    try:
        return [type(error).__name__, str(error)[:500]]
    except BaseException:
        return [type(error).__name__, ""]


def _send(message: dict[str, Any]) -> None:
    try:
        frames.write_frame(REPLIES, message)
    except (MemoryError, RecursionError, ValueError) as error:
        frames.write_frame(REPLIES, {"error": _say(error)})
