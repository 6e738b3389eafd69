"""Which source an import came from: known by its content and its path, and not by its name alone.

Every data set's file is called train.jsonl or data.parquet. So what a source brought is replaced by
the same content, or by what lies at the same path now; another source of that name needs a name of
its own.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from pipeline import tables
from pipeline.errors import OrchardError
from pipeline.store import Change, Lake

Row = dict[str, Any]


class Source(Protocol):
    """What is imported: a file, a folder, a saved data set, or one of the hub.

    name: its own, such as the file's; path: where it lies, and which parts of it are read; content:
    a hash of all that its rows depend on.
    """

    @property
    def name(self) -> str: ...

    @property
    def path(self) -> str: ...

    @property
    def content(self) -> str: ...


@dataclass(frozen=True)
class Origin:
    """A source that is imported.

    name: what its rows carry; path: where it lies; content: a hash of what it holds; again: an
    earlier import has that name, and is replaced.
    """

    name: str
    path: str
    content: str
    again: bool = False


def origin_of(source: Source, known: Iterable[Row], name: str | None = None) -> Origin:
    """The origin of a source.

    Args:
        source: what is imported.
        known: earlier imports as rows with origin, path and content; the last two may be null where
            they were not kept, and such a source is taken for the same one.
        name: what to call it; null: as an earlier import of this source, else its own name.

    Raises:
        OrchardError: a name that is another source's, or no UTF-8; a content that has another name.
    """
    where, content = printable_path(source.path), source.content
    rows = list(known)
    same = [row for row in rows if row["path"] == where] or [
        row for row in rows if row["content"] == content
    ]
    called = name or (same[0]["origin"] if same else source.name)
    _check_name(called, where)
    other = next(
        (row for row in rows if row["content"] == content and row["origin"] != called), None
    )
    if other is not None:
        raise OrchardError(
            f"{where}: its rows are here already, imported as {other['origin']!r}: nothing to do"
        )
    holder = next((row for row in rows if row["origin"] == called), None)
    if holder is not None and holder["path"] not in (None, where) and holder["content"] != content:
        raise OrchardError(
            f"{where}: {called!r} is the name of another source, {holder['path']}: "
            "give this one a name with --as"
        )
    return Origin(called, where, content, again=holder is not None)


def content_of(path: Path) -> str:
    """A hash of a file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, lambda: hashlib.blake2b(digest_size=10)).hexdigest()


def printable_path(name: str) -> str:
    """A path in UTF-8: systems allow names that are none."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _check_name(name: str, where: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise OrchardError(
            f"{printable_path(name)}: the source's name is no UTF-8: give it a name with --as"
        ) from error
    if not name.strip():
        raise OrchardError(f"{where}: its name is empty: give it one with --as")


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


def remembered(table: str, origin: Origin, layout: str) -> Change:
    """What an import into a table came from, for the next one: a change to `imports`."""
    row = {
        "table": table,
        "origin": origin.name,
        "path": origin.path,
        "content": origin.content,
        "layout": layout,
    }
    frame = pl.DataFrame([row], schema=tables.empty("imports").schema)
    return Change("imports", frame, {"table": table, "origin": origin.name})
