"""Which tables a SQL query names, from its syntax tree."""

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import duckdb

from pipeline.errors import OrchardError


class NotOneSelect(OrchardError):
    """A text that is not one SELECT."""


@lru_cache(maxsize=1024)
def tables_of_query(query: str) -> frozenset[str]:
    """The tables that a query names, in lower case; those that it makes itself (WITH) left out.

    Raises:
        NotOneSelect: the text is not one SELECT.
    """
    return frozenset(_tables_in(syntax_tree(query), frozenset()))


@lru_cache(maxsize=1024)
def meaning_of_query(query: str) -> str:
    """What a query says without comments, layout and places in the text:
    equal for equal queries.
    """
    return json.dumps(_without_places(syntax_tree(query)), sort_keys=True)


def syntax_tree(query: str) -> Any:
    """The statements of a query as JSON-like data.

    Raises:
        NotOneSelect: the text is not one SELECT.
    """
    with duckdb.connect() as connection:
        row = connection.execute("SELECT json_serialize_sql(?)", [query]).fetchone()
    parsed: dict[str, Any] = json.loads(row[0]) if row else {"error": True}
    if parsed["error"] or len(parsed["statements"]) != 1:
        reason = parsed.get("error_message", f"{len(parsed.get('statements', ()))} statements")
        raise NotOneSelect(f"expected one SELECT: {' '.join(str(reason).split())}")
    return parsed["statements"]


def _tables_in(parsed: object, made: frozenset[str]) -> Iterator[str]:
    """The tables that a part of a syntax tree names; `made` are those that the query makes itself.

    In its own definition a name of WITH still means the lake's table, unless it is recursive.
    """
    if isinstance(parsed, list):
        for inner in parsed:
            yield from _tables_in(inner, made)
    if not isinstance(parsed, dict):
        return
    for entry in parsed.get("cte_map", {}).get("map", ()):
        yield from _tables_in(entry["value"], made)
        made |= {entry["key"].lower()}
    if parsed.get("type") == "RECURSIVE_CTE_NODE":
        made |= {parsed["cte_name"].lower()}
    if parsed.get("type") == "BASE_TABLE" and parsed["table_name"].lower() not in made:
        yield parsed["table_name"].lower()
    for name, inner in parsed.items():
        if name != "cte_map":
            yield from _tables_in(inner, made)


def _without_places(parsed: object) -> object:
    if isinstance(parsed, dict):
        return {k: _without_places(v) for k, v in parsed.items() if k != "query_location"}
    return [_without_places(one) for one in parsed] if isinstance(parsed, list) else parsed
