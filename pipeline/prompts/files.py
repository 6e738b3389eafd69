"""Rows in a file: JSONL or JSON (plain or gzip), Parquet or CSV; and pools made of them."""

import csv
import os
from collections import Counter
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from pipeline.cells import BROKEN
from pipeline.config import PoolSettings
from pipeline.errors import OrchardError, one_line
from pipeline.prompts.features import in_parquet, with_names
from pipeline.prompts.record import Record, check_columns, from_rows, location
from pipeline.prompts.source import pool_source
from pipeline.strict import json_value, largest, too_large, unpacked

Row = tuple[int, dict[str, Any]]
_TEXT = ("jsonl", "ndjson", "json")  # these may be gzipped
_ENDINGS = ".jsonl, .ndjson, .json, one of these with .gz, .parquet or .csv"


@pool_source("file")
def records(pool: PoolSettings) -> Iterator[Record]:
    """One record per row.

    Rows count from 1: a JSONL file's lines, and a table's rows without its header.

    Raises:
        OrchardError: no such file, an unknown ending, a file that is not what its name says, or a
            missing column.
    """
    path = Path(location(pool, "a JSONL, Parquet or CSV file")).expanduser()
    if not os.path.isfile(path):
        raise OrchardError(
            f"pool {pool.name!r}: no file {path} (looked for {path.resolve()}): "
            "mend the pool's path"
        )
    rows, columns = read(path)
    if not rows:
        raise OrchardError(f"pool {pool.name!r}: {path} has no rows")
    check_columns(pool, str(path), columns)
    return from_rows(pool, path.name, iter(rows))


def read(path: Path) -> tuple[list[Row], list[str]]:
    """(number from 1, {column: value}) of every row, and all columns.

    A CSV file's values are texts.

    Raises:
        OrchardError: no such file, an unknown ending, or a file that is not what its name says.
    """
    if not os.path.isfile(path):
        raise OrchardError(f"no file {path} (looked for {path.resolve()})")
    kind = _kind(path)
    if kind == "json":
        return _json(path)
    return _jsonl(path) if kind in _TEXT else _table(path)


def _kind(path: Path) -> str:
    kind = path.name.lower().removesuffix(".gz").rpartition(".")[2]
    zipped = path.name.lower().endswith(".gz")
    if kind in _TEXT or (kind in ("parquet", "csv") and not zipped):
        return kind
    raise OrchardError(f"{path}: unknown kind of file: its name must end in {_ENDINGS}")


def _json(path: Path) -> tuple[list[Row], list[str]]:
    try:
        found = json_value("\n".join(_lines(path)))
    except ValueError as error:
        raise OrchardError(f"{path} is not a JSON file: {one_line(error)}") from error
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise OrchardError(f"{path} is not a JSON array of objects: convert it to JSONL")
    return list(enumerate(found, start=1)), list(
        dict.fromkeys(column for row in found for column in row)
    )


def _jsonl(path: Path) -> tuple[list[Row], list[str]]:
    """The rows of a file with one a line; a line that is none says why, for a reject."""
    rows: list[Row] = []
    for number, line in enumerate(_lines(path), start=1):
        if line.strip():
            rows.append((number, _object(line)))
    whole = [row for _, row in rows if BROKEN not in row]
    if rows and not whole:
        number, row = rows[0]
        raise OrchardError(f"{path} row {number} {row[BROKEN]}")
    return rows, list(dict.fromkeys(column for row in whole for column in row))


def _lines(path: Path) -> list[str]:
    try:
        return unpacked(path).decode("utf-8-sig").split("\n")
    except (OSError, EOFError, ValueError) as error:
        kind = "JSON" if _kind(path) == "json" else "JSONL"
        raise OrchardError(f"{path} is not a {kind} file in UTF-8: {one_line(error)}") from error


def _object(line: str) -> dict[str, Any]:
    """A line's columns, or why it has none."""
    try:
        value = json_value(line)
    except ValueError as error:
        return {
            BROKEN: f"is not JSON: {one_line(error)}: mend or remove that line",
            "line": line[:500],
        }
    if not isinstance(value, dict):
        return {
            BROKEN: "is not a JSON object with columns: mend or remove that line",
            "line": line[:500],
        }
    return value


def _table(path: Path) -> tuple[list[Row], list[str]]:
    kind = _kind(path)
    if kind == "csv" and path.stat().st_size == 0:
        return [], []
    try:
        _check_csv(path) if kind == "csv" else _check_parquet(path)
        frame = (
            pl.read_parquet(path) if kind == "parquet" else pl.read_csv(path, infer_schema=False)
        )
        features = in_parquet(path) if kind == "parquet" else {}
    except (pl.exceptions.PolarsError, csv.Error, ValueError, OSError) as error:
        name = "Parquet" if kind == "parquet" else "CSV"
        raise OrchardError(
            f"{path} is not a {name} file: {one_line(error)}: convert it, or mend its name"
        ) from error
    rows = (with_names(row, features) for row in frame.iter_rows(named=True))
    return list(enumerate(rows, start=1)), frame.columns


def _check_csv(path: Path) -> None:
    """Refuses zero bytes, and two columns of one name, of which the reader would rename one."""
    data = path.read_bytes()
    if b"\0" in data:
        raise ValueError("it holds zero bytes")
    header = next(csv.reader(StringIO(data.decode("utf-8-sig"), newline="")), [])
    if twice := [name for name, n in Counter(header).items() if n > 1]:
        raise ValueError(f"it has {len(twice)} columns twice, such as {twice[0]!r}")


def _check_parquet(path: Path) -> None:
    """Refuses what unpacks to far more than its size."""
    metadata = pq.read_metadata(path)
    groups = (metadata.row_group(at) for at in range(metadata.num_row_groups))
    if sum(group.total_byte_size for group in groups) > largest(path):
        raise too_large()
