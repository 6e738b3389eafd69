"""Which file an import came from: known by its content and its path, and not by its name alone.

Every data set's file is called train.jsonl or data.parquet. So what a file brought is replaced by
the same content, or by what lies at the same path now; another file of that name needs a name of
its own.
"""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from pipeline import tables
from pipeline.errors import OrchardError
from pipeline.store import Commit, Lake

Row = dict[str, Any]


@dataclass(frozen=True)
class Origin:
    """A file that is imported.

    name: what its rows carry; path: where it lies; content: a hash of its bytes; again: an earlier
    import has that name, and is replaced.
    """

    name: str
    path: str
    content: str
    again: bool = False


def origin_of(path: Path, known: Iterable[Row], name: str | None = None) -> Origin:
    """The origin of a file.

    Args:
        path: the file.
        known: earlier imports as rows with origin, path and content; the last two may be null where
            they were not kept, and such a file is taken for the same one.
        name: what to call it; null: as an earlier import of this file, else the file's own name.

    Raises:
        OrchardError: no such file; a name that is another file's, or no UTF-8; a content that has
            another name.
    """
    if not os.path.isfile(path):
        raise OrchardError(f"no file {path} (looked for {path.resolve()})")
    where, content = _printable(str(path.resolve())), _content(path)
    rows = list(known)
    same = [row for row in rows if row["path"] == where] or [
        row for row in rows if row["content"] == content
    ]
    called = name or (same[0]["origin"] if same else path.name)
    _check_name(called, path)
    other = next(
        (row for row in rows if row["content"] == content and row["origin"] != called), None
    )
    if other is not None:
        raise OrchardError(
            f"{path}: its rows are here already, imported as {other['origin']!r}: nothing to do"
        )
    holder = next((row for row in rows if row["origin"] == called), None)
    if holder is not None and holder["path"] not in (None, where) and holder["content"] != content:
        raise OrchardError(
            f"{path}: {called!r} is the name of another file, {holder['path']}: "
            "give this one a name with --name"
        )
    return Origin(called, where, content, again=holder is not None)


def _content(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, lambda: hashlib.blake2b(digest_size=10)).hexdigest()


def _check_name(name: str, path: Path) -> None:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise OrchardError(
            f"{_printable(name)}: the file's name is no UTF-8: give it a name with --name"
        ) from error
    if not name.strip():
        raise OrchardError(f"{path}: --name is empty: give the file a name")


def _printable(name: str) -> str:
    """A path in UTF-8: systems allow names that are none."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def known_imports(lake: Lake, table: str) -> list[Row]:
    """Earlier imports into a table as rows for `origin_of`."""
    kept = (
        lake.read("imports")
        .filter(pl.col("table") == table)
        .select("origin", "path", "content")
        .to_dicts()
    )
    # Imports of before the table `imports` was kept have a name only.
    older = set(lake.sql(f'SELECT DISTINCT origin FROM "{table}"')["origin"]) - {
        row["origin"] for row in kept
    }
    return [*kept, *({"origin": name, "path": None, "content": None} for name in sorted(older))]


def remember(lake: Lake, table: str, origin: Origin, layout: str) -> None:
    """Keeps what an import came from, for the next one."""
    row = {
        "table": table,
        "origin": origin.name,
        "path": origin.path,
        "content": origin.content,
        "layout": layout,
    }
    frame = pl.DataFrame([row], schema=tables.empty("imports").schema)
    own = {"table": table, "origin": origin.name}
    lake.write("imports", frame, Commit(f"import {origin.name}"), partition=own)
