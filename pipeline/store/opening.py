"""Whether a lake's catalog is the one of its data files: looked at before it is opened.

DuckLake makes a new catalog where there is none. Beside data files that would hide every table,
and call every file an orphan.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from pipeline.errors import OrchardError
from pipeline.store.copies import copies, last_version, newer_copy

OURS = "ducklake_metadata"


def check_catalog(catalog: Path, folder: Path) -> None:
    """Refuse a catalog that is not there, empty, another database, or older than its copy.

    The caller holds the lock. A lake without data files may lack its catalog: it is new.

    Raises:
        OrchardError: the line says what is wrong, and how to go on.
    """
    lost = _lost(catalog, folder)
    if lost is not None and next(_data_files(folder), None) is not None:
        raise OrchardError(
            f"lake in {folder}: data files, and their catalog {catalog.name} {lost}: "
            f"{way_back(folder)}"
        )
    if lost is None:
        _check_age(catalog, folder)


def _lost(catalog: Path, folder: Path) -> str | None:
    """Why there is no catalog; null where there is one."""
    sides = (catalog, catalog.with_name(f"{catalog.name}-wal"))
    if not catalog.exists():
        return "is missing"
    if not any(side.exists() and side.stat().st_size for side in sides):
        return "is empty"
    try:
        with closing(sqlite3.connect(catalog, timeout=30)) as db:
            names = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
    except sqlite3.OperationalError:
        return None  # busy, or no space: opening it says so
    except sqlite3.DatabaseError as error:
        way = way_back(folder)
        raise OrchardError(f"lake in {folder}: {catalog.name}: {error}: {way}") from error
    if names and OURS not in names:
        raise OrchardError(
            f"lake in {folder}: {catalog.name} is another SQLite database: "
            f"move it away; {way_back(folder)}"
        )
    return None if names else "has no tables"


def _check_age(catalog: Path, folder: Path) -> None:
    """A catalog without the versions of its own copy: put back from elsewhere, or its WAL lost."""
    if not copies(folder):
        return
    try:
        last = last_version(catalog) or 0
    except sqlite3.Error:
        return  # opening it says what is wrong
    newer = newer_copy(folder, last)
    if newer is not None:
        raise OrchardError(
            f"lake in {folder}: {catalog.name} ends at version {last}, its copy {newer.name} "
            "is of a later one: `orchard lake restore` takes that copy; or move the later copies "
            "away to go on with the older catalog"
        )


def _data_files(folder: Path) -> Iterator[Path]:
    return (folder / "files").rglob("*.parquet")


def way_back(folder: Path) -> str:
    """What to do where the catalog is lost."""
    newest = next(iter(copies(folder)), None)
    back = (
        f"`orchard lake restore` takes its copy {newest.name}"
        if newest is not None
        else "put the catalog back from a backup"
    )
    return f"{back}; or move {folder} away to begin a new lake"
