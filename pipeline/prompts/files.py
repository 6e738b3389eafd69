"""Rows in a file: JSONL, JSON or CSV (plain, gzip or zstd) or Parquet; and pools made of them."""

import codecs
import csv
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from io import BytesIO, StringIO
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.cells import BROKEN
from pipeline.config import PoolSettings
from pipeline.errors import OrchardError, one_line
from pipeline.prompts.features import in_parquet, with_names
from pipeline.prompts.record import Record, check_columns, from_rows, location
from pipeline.prompts.source import pool_source
from pipeline.strict import json_value, largest, open_unpacked, too_large, unpacked

Row = tuple[int, dict[str, Any]]
_LINES = ("jsonl", "ndjson")
_TEXT = (*_LINES, "json", "csv")  # these may be packed
# How a byte that is no UTF-8 is kept until its row says so.
_ESCAPED = "surrogateescape"
_ESCAPE = re.compile("[\udc80-\udcff]")
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

    A row that cannot be read says why in place of its columns (`cells.BROKEN`), for a reject: what
    is no JSON object, no UTF-8, or no row of the table. With a limit only so many rows are read,
    from the first; of a file with one a line the rest is never unpacked.

    Raises:
        OrchardError: no such file, an unknown ending, a file that is not what its name says, or one
            of which no row can be read.
    """
    if not os.path.isfile(path):
        raise OrchardError(f"no file {path} (looked for {path.resolve()})")
    kind = _kind(path)
    readers = {"json": _json, "csv": _csv, "parquet": _parquet}
    rows, columns = readers.get(kind, _jsonl)(path, limit)
    if rows and all(BROKEN in row for _, row in rows):
        number, row = rows[0]
        raise OrchardError(f"{path} row {number} {row[BROKEN]}")
    return rows, columns


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
    """The rows of an array; one with a byte that is no UTF-8 says so, for a reject."""
    try:
        data = unpacked(path)
        found = json_value(data.decode("utf-8-sig", _ESCAPED))
    except (OSError, EOFError, ValueError) as error:
        raise OrchardError(f"{path} is not a JSON file in UTF-8: {one_line(error)}") from error
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise OrchardError(f"{path} is not a JSON array of objects: convert it to JSONL")
    rows = found[:limit]
    if not _is_utf8(data):
        rows = [_without_escapes(row) for row in rows]
    return list(enumerate(rows, start=1)), _columns(rows)


def _without_escapes(row: dict[str, Any]) -> dict[str, Any]:
    written = json.dumps(row, ensure_ascii=False)
    if not _ESCAPE.search(written):
        return row
    return _broken("is not UTF-8: mend or remove it", written)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _columns(rows: Iterable[dict[str, Any]]) -> list[str]:
    """All columns of the rows that are whole."""
    return list(dict.fromkeys(name for row in rows if BROKEN not in row for name in row))


def _broken(reason: str, written: str) -> dict[str, Any]:
    """What stands in the place of a row that cannot be read."""
    return {BROKEN: reason, "line": _ESCAPE.sub("\ufffd", written[:500])}


def _jsonl(path: Path, limit: int | None) -> tuple[list[Row], list[str]]:
    """The rows of a file with one a line; a line that is none says why, for a reject."""
    lines = _lines(path, whole=limit is None)
    written = ((number, line) for number, line in lines if line.strip())
    rows = [(number, _object(line)) for number, line in islice(written, limit)]
    return rows, _columns(row for _, row in rows)


def _lines(path: Path, *, whole: bool) -> Iterator[tuple[int, bytes]]:
    """The lines of a file with their numbers.

    whole: all are wanted, so that a file that unpacks to too much is refused before the first one;
    else no more is unpacked than is asked for.
    """
    try:
        with BytesIO(unpacked(path)) if whole else open_unpacked(path) as file:
            for number, line in enumerate(file, start=1):
                yield number, line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
    except (OSError, EOFError, ValueError) as error:
        raise OrchardError(f"{path} is not a JSONL file: {one_line(error)}") from error


def _object(line: bytes) -> dict[str, Any]:
    """A line's columns, or why it has none."""
    try:
        value = json_value(line.decode())
    except UnicodeDecodeError as error:
        reason = f"is not UTF-8: {one_line(error)}"
    except ValueError as error:
        reason = f"is not JSON: {one_line(error)}"
    else:
        if isinstance(value, dict):
            return value
        reason = "is not a JSON object with columns"
    return _broken(f"{reason}: mend or remove that line", line.decode(errors="replace"))


def _csv(path: Path, limit: int | None) -> tuple[list[Row], list[str]]:
    """The rows of a CSV file, all texts; null where nothing stands, or the row ends before.

    Two columns of one name are refused. A row with a byte that is no UTF-8, a zero byte, more cells
    than columns, or a quotation mark in its midst says so, for a reject.
    """
    csv.field_size_limit(2**31 - 1)  # of a longer one the rest would be read as rows
    try:
        written = _records(unpacked(path).decode("utf-8-sig", _ESCAPED))
        header = next((cells for cells in written if cells), [])
        reason = _fault(header)
        if reason is not None or isinstance(header, str):
            raise ValueError(f"its first row {reason}")
        if twice := [name for name, n in Counter(header).items() if n > 1]:
            raise ValueError(f"it has {len(twice)} columns twice, such as {twice[0]!r}")
        rows = [_cells(header, cells) for cells in islice(written, limit)]
    except (EOFError, ValueError, OSError) as error:
        raise _unreadable(path, "CSV", error) from error
    return list(enumerate(rows, start=1)), header


def _records(text: str) -> Iterator[list[str] | str]:
    """The cells of each row; of a row that cannot be parsed, why.

    Raises:
        ValueError: a quotation mark opens and never closes, so that no row behind it is known.
    """
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "end of data" in str(error):
                raise ValueError(
                    f"in line {line} a quotation mark opens and never closes"
                ) from error
            yield f"is not CSV (lines {line} to {reader.line_num}): {one_line(error)}"


def _cells(header: list[str], cells: list[str] | str) -> dict[str, Any]:
    reason = _fault(cells)
    if reason is None and len(cells) > len(header):
        reason = f"has {len(cells)} cells, and the file {len(header)} columns"
    if reason is not None or isinstance(cells, str):
        return _broken(f"{reason}: mend or remove it", ",".join(cells))
    return {name: cell or None for name, cell in zip_longest(header, cells)}


def _fault(cells: list[str] | str) -> str | None:
    """What is wrong with a row by itself."""
    if isinstance(cells, str):
        return cells
    if any("\0" in cell for cell in cells):
        return "holds zero bytes"
    if any(_ESCAPE.search(cell) for cell in cells):
        return "is not UTF-8"
    return None


def _parquet(path: Path, limit: int | None) -> tuple[list[Row], list[str]]:
    """The rows of a Parquet file, with the names of class labels for their indexes.

    A file that unpacks to too much is refused: what counts is the row groups that hold the rows up
    to the limit.
    """
    try:
        metadata = pq.read_metadata(path)
        size = held = 0
        for group in (metadata.row_group(at) for at in range(metadata.num_row_groups)):
            if limit is None or held < limit:
                size, held = size + group.total_byte_size, held + group.num_rows
        if size > largest(path):
            raise too_large()
        rows, columns = _read_parquet(path, limit)
        labels = in_parquet(path)
    except (pl.exceptions.PolarsError, pa.ArrowException, EOFError, ValueError, OSError) as error:
        raise _unreadable(path, "Parquet", error) from error
    return [(number, with_names(row, labels)) for number, row in enumerate(rows, 1)], columns


def _read_parquet(path: Path, limit: int | None) -> tuple[list[dict[str, Any]], list[str]]:
    try:
        frame = pl.read_parquet(path, n_rows=limit, glob=False)
    except pl.exceptions.ComputeError as error:
        if "UTF-8" not in str(error):
            raise
    else:
        return list(frame.iter_rows(named=True)), frame.columns
    table = pq.ParquetFile(path).read()[:limit]  # which checks no text
    return [_of_arrow(table[at : at + 1]) for at in range(table.num_rows)], table.column_names


def _of_arrow(row: pa.Table) -> dict[str, Any]:
    """A table's only row, or that it holds what is no text."""
    try:
        found: dict[str, Any] = row.to_pylist()[0]
    except UnicodeDecodeError as error:
        return _broken(f"is not UTF-8: {one_line(error)}: mend or remove it", "")
    return found


def _unreadable(path: Path, kind: str, error: Exception) -> OrchardError:
    return OrchardError(
        f"{path} is not a {kind} file: {one_line(error)}: convert it, or mend its name"
    )
