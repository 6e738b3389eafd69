"""Rows in a file: JSONL, JSON or CSV (plain, gzip or zstd) or Parquet; and pools made of them."""

import csv
import os
from collections import Counter
from collections.abc import Iterator
from io import BytesIO, StringIO
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from pipeline.cells import BROKEN
from pipeline.config import PoolSettings
from pipeline.errors import OrchardError, one_line
from pipeline.prompts.features import Features, in_parquet, with_names
from pipeline.prompts.record import Record, check_columns, from_rows, location
from pipeline.prompts.source import pool_source
from pipeline.strict import json_value, largest, open_unpacked, too_large, unpacked

Row = tuple[int, dict[str, Any]]
_LINES = ("jsonl", "ndjson")
_TEXT = (*_LINES, "json", "csv")  # these may be packed
ENDINGS = ".jsonl, .ndjson, .json, .csv, one of these with .gz or .zst, or .parquet"


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


def read(path: Path, limit: int | None = None) -> tuple[list[Row], list[str]]:
    """(number from 1, {column: value}) of every row, and all columns.

    A CSV file's values are texts. With a limit only so many rows are read, from the first; of a
    file with one a line the rest is never unpacked.

    Raises:
        OrchardError: no such file, an unknown ending, or a file that is not what its name says.
    """
    if not os.path.isfile(path):
        raise OrchardError(f"no file {path} (looked for {path.resolve()})")
    kind = _kind(path)
    if kind == "json":
        return _json(path, limit)
    return _jsonl(path, limit) if kind in _LINES else _table(path, limit)


def is_readable(path: Path) -> bool:
    """Whether a file's name has an ending that `read` knows."""
    return _kind_of(path.name) is not None


def _kind(path: Path) -> str:
    kind = _kind_of(path.name)
    if kind is None:
        raise OrchardError(f"{path}: unknown kind of file: its name must end in {ENDINGS}")
    return kind


def _kind_of(name: str) -> str | None:
    plain = name.lower().removesuffix(".gz").removesuffix(".zst")
    kind = plain.rpartition(".")[2]
    if kind in _TEXT or (kind == "parquet" and name.lower() == plain):
        return kind
    return None


def _json(path: Path, limit: int | None) -> tuple[list[Row], list[str]]:
    try:
        found = json_value(unpacked(path).decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise _no_text(path, error) from error
    except (OSError, EOFError, ValueError) as error:
        raise OrchardError(f"{path} is not a JSON file: {one_line(error)}") from error
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise OrchardError(f"{path} is not a JSON array of objects: convert it to JSONL")
    found = found[:limit]
    return list(enumerate(found, start=1)), list(
        dict.fromkeys(column for row in found for column in row)
    )


def _jsonl(path: Path, limit: int | None) -> tuple[list[Row], list[str]]:
    """The rows of a file with one a line; a line that is none says why, for a reject."""
    lines = _lines(path, whole=limit is None)
    written = ((number, line) for number, line in lines if line.strip())
    rows = [(number, _object(line)) for number, line in islice(written, limit)]
    whole = [row for _, row in rows if BROKEN not in row]
    if rows and not whole:
        number, row = rows[0]
        raise OrchardError(f"{path} row {number} {row[BROKEN]}")
    return rows, list(dict.fromkeys(column for row in whole for column in row))


def _lines(path: Path, *, whole: bool) -> Iterator[tuple[int, str]]:
    """The lines of a file with their numbers.

    whole: all are wanted, so that a file that unpacks to too much is refused before the first one;
    else no more is unpacked than is asked for.
    """
    try:
        with BytesIO(unpacked(path)) if whole else open_unpacked(path) as file:
            for number, line in enumerate(file, start=1):
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
    except (OSError, EOFError, ValueError) as error:
        raise _no_text(path, error) from error


def _no_text(path: Path, error: Exception) -> OrchardError:
    kind = "JSON" if _kind(path) == "json" else "JSONL"
    return OrchardError(f"{path} is not a {kind} file in UTF-8: {one_line(error)}")


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


def _table(path: Path, limit: int | None) -> tuple[list[Row], list[str]]:
    kind = "Parquet" if _kind(path) == "parquet" else "CSV"
    try:
        frame, features = _parquet(path, limit) if kind == "Parquet" else _csv(path, limit)
    except (pl.exceptions.PolarsError, csv.Error, EOFError, ValueError, OSError) as error:
        raise OrchardError(
            f"{path} is not a {kind} file: {one_line(error)}: convert it, or mend its name"
        ) from error
    rows = (with_names(row, features) for row in frame.iter_rows(named=True))
    return list(enumerate(rows, start=1)), frame.columns


def _csv(path: Path, limit: int | None) -> tuple[pl.DataFrame, Features]:
    """A CSV file's texts.

    Zero bytes are refused, and two columns of one name, of which the reader would rename one.
    """
    data = unpacked(path)
    if not data:
        return pl.DataFrame(), {}
    if b"\0" in data:
        raise ValueError("it holds zero bytes")
    header = next(csv.reader(StringIO(data.decode("utf-8-sig"), newline="")), [])
    if twice := [name for name, n in Counter(header).items() if n > 1]:
        raise ValueError(f"it has {len(twice)} columns twice, such as {twice[0]!r}")
    return pl.read_csv(data, infer_schema=False, n_rows=limit), {}


def _parquet(path: Path, limit: int | None) -> tuple[pl.DataFrame, Features]:
    """A Parquet file's values, and what it says of them; one that unpacks to too much is refused.

    What counts is the row groups that hold the rows up to the limit.
    """
    metadata = pq.read_metadata(path)
    size = held = 0
    for group in (metadata.row_group(at) for at in range(metadata.num_row_groups)):
        if limit is None or held < limit:
            size, held = size + group.total_byte_size, held + group.num_rows
    if size > largest(path):
        raise too_large()
    return pl.read_parquet(path, n_rows=limit, glob=False), in_parquet(path)
