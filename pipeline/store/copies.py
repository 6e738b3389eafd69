"""Copies of the embedded catalog beside it, and the way back to one.

The catalog is one file: without it, no Parquet file has a table or a version. A copy is named by
the last version that it knows.
"""

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from pipeline import durable
from pipeline.errors import OrchardError
from pipeline.lock import locked

CATALOG = "catalog.sqlite"
FOLDER = "copies"
SIDES = ("", "-wal", "-shm")  # a SQLite database and its files beside it
KEPT = 5  # copies


def keep_copy(folder: Path) -> Path | None:
    """Copy the catalog of a lake's folder, beside writers; null where there is none.

    Raises:
        OSError, sqlite3.Error: no space, or a catalog that cannot be read.
    """
    catalog = folder / CATALOG
    if not catalog.exists():
        return None
    (folder / FOLDER).mkdir(exist_ok=True)
    draft = folder / FOLDER / f".draft.{os.getpid()}.sqlite"
    try:
        back_up(catalog, draft)
        copy = folder / FOLDER / f"catalog.{last_version(draft) or 0:08d}.sqlite"
        durable.put(draft, copy)
    finally:
        draft.unlink(missing_ok=True)
    for old in copies(folder)[KEPT:]:
        old.unlink(missing_ok=True)
    return copy


def copies(folder: Path) -> list[Path]:
    """The copies that there are, the one of the latest version first."""
    return sorted((folder / FOLDER).glob("catalog.*.sqlite"), reverse=True)


def newer_copy(folder: Path, version: int) -> Path | None:
    """A copy that knows later versions than the catalog does."""
    newest = next(iter(copies(folder)), None)
    return newest if newest is not None and version_of(newest) > version else None


def version_of(copy: Path) -> int:
    """The last version that a copy knows, by its name."""
    number = copy.name.split(".")[1]
    return int(number) if number.isdigit() else -1


def back_up(source: Path, target: Path) -> None:
    """Copy a SQLite database, whatever others do with it, into one file without files beside it."""
    target.unlink(missing_ok=True)
    with closing(sqlite3.connect(source)) as read, closing(sqlite3.connect(target)) as written:
        read.backup(written)
        written.execute("PRAGMA journal_mode = DELETE")


def last_version(catalog: Path) -> int | None:
    """The last version that a catalog knows; null where it is of no lake, or has no tables yet.

    Raises:
        sqlite3.DatabaseError: it is no SQLite database, or damaged.
    """
    with closing(sqlite3.connect(catalog, timeout=30)) as db:
        known = "SELECT count(*) FROM sqlite_master WHERE name = 'ducklake_snapshot'"
        if not db.execute(known).fetchone()[0]:
            return None
        found = db.execute("SELECT max(snapshot_id) FROM ducklake_snapshot").fetchone()[0]
        return int(found) if found is not None else 0


def restore(folder: Path, name: str | None = None) -> tuple[Path, Path]:
    """Put a copy in the catalog's place, by default the latest.

    What the catalog was, and copies of later versions, are moved aside and not deleted.

    Returns:
        the copy, and the folder in which the replaced files are now.

    Raises:
        OrchardError: there is no such copy, or it is no sound catalog.
    """
    found = {copy.name: copy for copy in copies(folder)}
    if not found or (name is not None and name not in found):
        known = ", ".join(found) or "none"
        wanted = "copy of the catalog" if name is None else f"copy {name!r}"
        raise OrchardError(f"lake in {folder}: no {wanted}: there are {known}")
    copy = found[name] if name is not None else next(iter(found.values()))
    with locked(folder / "lock"):
        draft = folder / f".{CATALOG}.{os.getpid()}.tmp"
        try:
            back_up(copy, draft)
            if last_version(draft) is None:
                raise sqlite3.DatabaseError("it holds no lake")
        except sqlite3.Error as error:
            draft.unlink(missing_ok=True)
            raise OrchardError(f"copy {copy}: {error}: take another one") from error
        aside = _move_aside(folder, newer_than=version_of(copy))
        durable.put(draft, folder / CATALOG)
    return copy, aside


def _move_aside(folder: Path, newer_than: int) -> Path:
    aside = folder / f"replaced-{time.time_ns()}"
    aside.mkdir()
    replaced = [folder / f"{CATALOG}{side}" for side in SIDES]
    replaced += [copy for copy in copies(folder) if version_of(copy) > newer_than]
    for path in replaced:
        if path.exists():
            path.rename(aside / path.name)
    return aside
