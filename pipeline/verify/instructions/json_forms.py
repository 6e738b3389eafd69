"""A response that is one JSON value:
any (IFEval), or one that fulfils a schema (ours; the library is jsonschema).
"""

import json
from collections.abc import Mapping
from random import Random
from typing import Any

from pipeline.verify.instructions.instruction import Arguments, Kind, Proposed, only

_MISSING = object()
_TYPES = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    list: "array",
    dict: "object",
}
_KEYS = ("answer", "title", "summary", "items", "score", "name")
_UNFULFILLED = frozenset(
    {"format:table", "format:numbered_list", "detectable_format:number_bullet_lists"}
)


def value_of(text: str) -> Any:
    """The JSON value that the response is, with or without a code fence around it;
    _MISSING where it is none.
    """
    body = text.strip()
    for fence in ("```json", "```Json", "```JSON", "```"):
        body = body.removeprefix(fence)
    try:
        return json.loads(body.removesuffix("```").strip())
    except (ValueError, RecursionError):
        return _MISSING


def is_json(text: str) -> bool:
    """True where the response is JSON."""
    return value_of(text) is not _MISSING


def fits(response: str, arguments: Arguments) -> bool:
    """True where the response is JSON that the schema allows."""
    from jsonschema import Draft202012Validator

    value = value_of(response)
    if value is _MISSING:
        return False
    try:
        return bool(Draft202012Validator(dict(arguments["schema"])).is_valid(value))
    except RecursionError:  # a value nested deeper than the interpreter's stack
        return False


def schema_fault(arguments: Arguments) -> str | None:
    """What is wrong with a schema.

    References are refused: they may be endless, or lead out of the machine.
    """
    from jsonschema import Draft202012Validator, SchemaError

    if _refers(arguments["schema"]):
        return "schema has a $ref or $dynamicRef: write it out"
    try:
        Draft202012Validator.check_schema(dict(arguments["schema"]))
    except SchemaError as error:
        return f"schema is no JSON schema: {error.message}"
    return None


def _refers(part: Any) -> bool:
    if isinstance(part, Mapping):
        return any(
            key in ("$ref", "$dynamicRef", "$recursiveRef") or _refers(value)
            for key, value in part.items()
        )
    return isinstance(part, list | tuple) and any(map(_refers, part))


def _schema(response: str, want: bool, random: Random) -> Proposed:
    key, value = random.choice(_KEYS), value_of(response)
    if not isinstance(value, dict):
        return None if want else {"schema": _object({key: "string"})}
    if want:
        kinds = {name: _TYPES.get(type(entry), "null") for name, entry in sorted(value.items())[:4]}
        return {"schema": _object(kinds)}
    free = [name for name in (key, *_KEYS, "".join(value) + "_") if name not in value]
    return {"schema": _object({free[0]: "string"})}


def _object(kinds: Mapping[str, str]) -> dict[str, Any]:
    properties = {name: {"type": kind} for name, kind in kinds.items()}
    return {"type": "object", "properties": properties, "required": sorted(properties)}


KINDS = (
    Kind(
        "detectable_format:json_format",
        lambda r, a: is_json(r),
        only(is_json),
        excludes=_UNFULFILLED,
    ),
    Kind(
        "format:json_schema",
        fits,
        _schema,
        {"schema": "object"},
        fault=schema_fault,
        excludes=_UNFULFILLED,
    ),
)
