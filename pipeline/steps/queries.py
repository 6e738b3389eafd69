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
    nodes = list(_mappings(syntax_tree(query)))
    made = {
        entry["key"].lower() for node in nodes for entry in node.get("cte_map", {}).get("map", ())
    }
    named = {node["table_name"].lower() for node in nodes if node.get("type") == "BASE_TABLE"}
    return frozenset(named - made)


@lru_cache(maxsize=1024)
def meaning_of_query(query: str) -> str:
    """What a query says without comments, layout and places in the text: equal for equal queries."""
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


def _mappings(parsed: object) -> Iterator[dict[str, Any]]:
    """Every mapping in a syntax tree."""
    if isinstance(parsed, dict):
        yield parsed
        parsed = list(parsed.values())
    for inner in parsed if isinstance(parsed, list) else ():
        yield from _mappings(inner)


def _without_places(parsed: object) -> object:
    if isinstance(parsed, dict):
        return {k: _without_places(v) for k, v in parsed.items() if k != "query_location"}
    return [_without_places(one) for one in parsed] if isinstance(parsed, list) else parsed
