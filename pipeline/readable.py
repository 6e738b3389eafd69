"""Rows of tables as a person reads them in a terminal: turns with their roles, long texts cut."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pipeline import tables

LONGEST = 1200  # characters of a text that are shown: our choice
# Hashes and token ids say nothing to a person; a prompt's id finds it again.
_HASHES = ("recipe", "sampling", "metadata")


def told_turns(turns: Iterable[Mapping[str, Any]]) -> str:
    """Chat turns, each behind its role."""
    return "\n".join(f"[{turn['role']}] {turn['content']}" for turn in turns)


def told_row(table: str, row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a row of a table says, as (column, text) in the order of its columns.

    What is null or empty, token ids, and ids but the prompt's are left out.
    """
    wanted = [name for name in tables.empty(table).columns if _is_told(name)]
    return [(name, text) for name in wanted if (text := _told(row.get(name)))]


def _is_told(column: str) -> bool:
    if column.endswith(("_ids", "_id")):
        return column in ("prompt_id", "policy_id", "judge_id")
    return column not in _HASHES


def _told(value: Any) -> str:
    if value is None or value == "" or value == []:
        return ""
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list | tuple) and value and _is_turn(value[0]):
        return cut(told_turns(value))
    if isinstance(value, list | tuple | dict):
        return cut(json.dumps(value, ensure_ascii=False, default=str))
    return cut(str(value))


def _is_turn(value: Any) -> bool:
    return isinstance(value, Mapping) and {"role", "content"} <= value.keys()


def cut(text: str, longest: int = LONGEST) -> str:
    """A text with what is beyond its longest shown form counted and left out."""
    beyond = len(text) - longest
    return text if beyond <= 0 else f"{text[:longest]} ... ({beyond:,} characters more)"


def spread(rows: Sequence[Mapping[str, Any]], count: int) -> Iterator[Mapping[str, Any]]:
    """So many rows, one of each prompt before a second of any."""
    seen: dict[Any, int] = {}
    turns = []
    for place, row in enumerate(rows):
        key = row.get("prompt_id", place)
        seen[key] = seen.get(key, 0) + 1
        turns.append((seen[key], place))
    for _, place in sorted(turns)[:count]:
        yield rows[place]
