"""What every source yields: one record per row, good or not."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import cells
from pipeline.cells import BadRow
from pipeline.config import PoolSettings
from pipeline.errors import OrchardError
from pipeline.verify import Verifier, registry


@dataclass(frozen=True)
class Record:
    """A row of a source, as it came: nothing is checked or stripped yet.

    where names the row for people ('sums.csv row 3'); metadata is the JSON that the verifier needs.
    """

    where: str
    question: Any
    answer: Any
    metadata: str | None = None
    flaw: str | None = None  # why the row cannot be used, where the source knows
    tools: Any = None  # that the model may call


def answer_is_needed(pool: PoolSettings) -> bool:
    """False for a pool whose verifier is 'none', or reads rows in its own way."""
    return pool.verifier != "none" and not reads_whole_rows(pool)


def reads_whole_rows(pool: PoolSettings) -> bool:
    """True where the pool's verifier makes answer and metadata from a whole row."""
    judge = _verifier(pool)
    return judge is not None and not judge.reads_answer_column


def _verifier(pool: PoolSettings) -> Verifier | None:
    return None if pool.verifier in (None, "none") else registry.find(pool.verifier)


def needed_columns(pool: PoolSettings) -> dict[str, str]:
    """The columns that a pool must have, by what names them."""
    judge = _verifier(pool)
    wanted = {"prompt_column": pool.prompt_column}
    if sets_tools(pool):
        wanted["tools_column"] = pool.tools_column
    if answer_is_needed(pool):
        wanted["answer_column"] = pool.answer_column
    return {**wanted, **{name: name for name in (judge.needed_columns if judge else ())}}


def cell_at(row: dict[str, Any], column: str) -> Any:
    """What a row has in a column, or inside of one: `turns.0` is the first of the list `turns`."""
    if column in row:
        return row[column]
    value: Any = row
    for key in column.split("."):
        if isinstance(value, list) and key.isdigit():
            value = value[int(key)] if int(key) < len(value) else None
        else:
            value = value.get(key) if isinstance(value, dict) else None
    return value


def from_rows(
    pool: PoolSettings, name: str, rows: Iterator[tuple[int, dict[str, Any]]]
) -> Iterator[Record]:
    """Records of numbered rows with named columns."""
    read = _record_of_task if reads_whole_rows(pool) else _answered
    for number, row in rows:
        where = f"{name} row {number}"
        try:
            yield cells.attempt(read, pool, where, row)
        except BadRow as bad:
            yield Record(where, cell_at(row, pool.prompt_column), None, flaw=str(bad))


def _answered(pool: PoolSettings, where: str, row: dict[str, Any]) -> Record:
    if cells.BROKEN in row:
        raise BadRow(row[cells.BROKEN])
    answer = row.get(pool.answer_column) if answer_is_needed(pool) else None
    return Record(where, cell_at(row, pool.prompt_column), answer, tools=_tools(pool, row))


def _record_of_task(pool: PoolSettings, where: str, row: dict[str, Any]) -> Record:
    """A row from which the verifier itself makes answer and metadata."""
    judge = _verifier(pool)
    assert judge is not None
    cells.check_row(row)
    answer, metadata = judge.task_of({name: cells.plain(value) for name, value in row.items()})
    asked = cell_at(row, pool.prompt_column)
    return Record(where, asked, answer, metadata, tools=_tools(pool, row))


def _tools(pool: PoolSettings, row: dict[str, Any]) -> Any:
    """What a row says of tools; a column of that name beside a text may be anything."""
    meant = isinstance(cell_at(row, pool.prompt_column), list) or sets_tools(pool)
    return row.get(pool.tools_column) if meant else None


def sets_tools(pool: PoolSettings) -> bool:
    """Whether the profile itself says which column holds the tools."""
    return "tools_column" in pool.model_fields_set


def check_columns(pool: PoolSettings, name: str, present: list[str]) -> None:
    """Raises OrchardError where the prompt's or the answer's column is missing."""
    for setting, column in needed_columns(pool).items():
        if column not in present and column.partition(".")[0] not in present:
            has = ", ".join(present) or "none"
            mend = (
                f"the verifier {pool.verifier!r} reads it"
                if setting == column
                else f"set {setting}"
            )
            raise OrchardError(
                f"pool {pool.name!r}: {name} has no column {column!r}; it has {has}: {mend}"
            )


def location(pool: PoolSettings, what: str) -> str:
    """The pool's path.

    what: the kinds of path that its source reads, in words.

    Raises:
        OrchardError: it has none.
    """
    if not pool.path:
        raise OrchardError(
            f"pool {pool.name!r}: source {pool.source!r} needs a path: set path to {what}"
        )
    return pool.path


def short(path: str) -> str:
    """A file's name without its folders, which differ between machines."""
    return Path(path).name or path


def to_json(value: Any) -> str:
    """JSON of anything, in UTF-8; what JSON cannot hold becomes its text."""
    written = json.dumps(value, ensure_ascii=False, default=_plain)
    try:
        written.encode()
    except UnicodeEncodeError:  # half of a character: JSON can escape it
        return json.dumps(value, default=_plain)
    return written


def _plain(value: Any) -> Any:
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    return value.item() if hasattr(value, "item") else str(value)
