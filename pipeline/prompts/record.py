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
from pipeline.verify import code, instructions

INSTRUCTIONS = "instructions"  # the verifier whose pools carry instructions
INSTRUCTION_COLUMNS = ("instruction_id_list", "kwargs")  # IFEval's
# What the verifier `code` reads as texts: HumanEval's columns, MBPP's and ours.
CODE_TEXTS = ("prompt", "canonical_solution", "test", "entry_point", "code", "answer", "tests", "setup", "stub")


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


def answer_is_needed(pool: PoolSettings) -> bool:
    """False for a pool whose verifier is 'none', or reads columns of its own ('instructions', 'code')."""
    return pool.verifier not in ("none", INSTRUCTIONS, code.NAME)


def needed_columns(pool: PoolSettings) -> dict[str, str]:
    """The columns that a pool must have, by what names them."""
    if pool.verifier == INSTRUCTIONS:
        return {"prompt_column": pool.prompt_column, **{name: name for name in INSTRUCTION_COLUMNS}}
    wanted = {"prompt_column": pool.prompt_column}
    return {**wanted, "answer_column": pool.answer_column} if answer_is_needed(pool) else wanted


def from_rows(pool: PoolSettings, name: str, rows: Iterator[tuple[int, dict[str, Any]]]) -> Iterator[Record]:
    """Records of numbered rows with named columns."""
    read = {INSTRUCTIONS: _instructed, code.NAME: _code_record}.get(pool.verifier or "", _answered)
    for number, row in rows:
        where = f"{name} row {number}"
        try:
            yield cells.attempt(read, pool, where, row)
        except BadRow as bad:
            yield Record(where, row.get(pool.prompt_column), None, flaw=str(bad))


def _answered(pool: PoolSettings, where: str, row: dict[str, Any]) -> Record:
    if cells.BROKEN in row:
        raise BadRow(row[cells.BROKEN])
    answer = row.get(pool.answer_column) if answer_is_needed(pool) else None
    return Record(where, row.get(pool.prompt_column), answer)


def _code_record(pool: PoolSettings, where: str, row: dict[str, Any]) -> Record:
    cells.check_row(row)
    for column in CODE_TEXTS:
        cells.text(row.get(column), f"column {column!r}")
    answer, metadata = code.task_of({name: cells.plain(value) for name, value in row.items()})
    return Record(where, row.get(pool.prompt_column), answer, metadata)


def check_columns(pool: PoolSettings, name: str, present: list[str]) -> None:
    """Raises OrchardError where the prompt's or the answer's column is missing."""
    for setting, column in needed_columns(pool).items():
        if column not in present:
            has = ", ".join(present) or "none"
            mend = f"the verifier {pool.verifier!r} reads it" if setting == column else f"set {setting}"
            raise OrchardError(f"pool {pool.name!r}: {name} has no column {column!r}; it has {has}: {mend}")


def _instructed(pool: PoolSettings, where: str, row: dict[str, Any]) -> Record:
    """A row in IFEval's form: a prompt, names of instructions, and their arguments."""
    cells.check_row(row)
    metadata = to_json({column: row.get(column) for column in INSTRUCTION_COLUMNS})
    return Record(where, row.get(pool.prompt_column), "all", instructions.write(instructions.read(metadata)))


def location(pool: PoolSettings) -> str:
    """The pool's path.

    Raises:
        OrchardError: it has none.
    """
    if not pool.path:
        what = "a JSONL, Parquet or CSV file" if pool.source == "file" else "a hub id or a local folder"
        raise OrchardError(f"pool {pool.name!r}: source {pool.source!r} needs a path: set path to {what}")
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
