"""A home in a folder of its own, taken while others write; and a home made of such a folder.

The catalog is copied first. All that it names was there before it and never changes, so what is
copied afterwards is at least that; files of later commits are left out. SQLite databases are copied
as SQLite copies them, everything else as it is: it got its name when it was whole.
"""

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline import durable
from pipeline.errors import OrchardError
from pipeline.store.copies import CATALOG, FOLDER, SIDES, back_up, last_version

MANIFEST = "backup.json"
FORMAT = 1
# Made again where they are missing, or of no use to another home.
LEFT_OUT = frozenset({"models", f"lake/{FOLDER}", "lake/tmp", "lake/lock", "run.lock"})
_SQLITE = b"SQLite format 3\0"
_FILES = "lake/files/"


def back_up_home(home: Path, folder: Path) -> tuple[int, int, int]:
    """Copies a home into a new folder, beside runs and readers.

    Returns:
        the lake's version, and how many files and bytes the copy has.

    Raises:
        OrchardError: there is no embedded lake, the folder is there already, or no space.
    """
    catalog = home / "lake" / CATALOG
    if not catalog.exists():
        raise OrchardError(
            f"home {home}: no lake of its own to back up; one on PostgreSQL has pg_dump"
        )
    _must_be_free(folder, home)
    draft = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    try:
        version = _copy_home(home, draft)
        listed = {_name(path, draft): _sum(path) for path in _walk(draft)}
        note = {
            "format": FORMAT,
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
            "version": version,
            "files": listed,
        }
        (draft / MANIFEST).write_text(json.dumps(note, indent=1, sort_keys=True))
        durable.put(draft, folder)
    except (OSError, sqlite3.Error) as error:
        raise OrchardError(f"backup into {folder}: {error}: nothing is left of it") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return version, len(listed), sum(size for size, _ in listed.values())


def restore_home(folder: Path, home: Path) -> tuple[int, int]:
    """Makes a home of a backup, whole or not at all; the lake's version, and how many files.

    Raises:
        OrchardError: it is no backup or not as it was made, the home holds something, or no space.
    """
    note = _manifest(folder)
    _must_be_free(home, folder)
    draft = home.with_name(f".{home.name}.{os.getpid()}.partial")
    try:
        for name, (size, digest) in note["files"].items():
            target = draft / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, target)
            if _sum(target) != (size, digest):
                raise OrchardError(f"backup {folder}: {name} is not as it was made: take another")
        home.parent.mkdir(parents=True, exist_ok=True)
        durable.put(draft, home)
    except OSError as error:
        raise OrchardError(f"restore from {folder}: {error}: {home} is as it was") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return int(note["version"]), len(note["files"])


def _copy_home(home: Path, draft: Path) -> int:
    """Copies what a home has into a draft; the version of its lake."""
    (draft / "lake").mkdir(parents=True)
    (draft / _FILES).mkdir()
    copy = draft / "lake" / CATALOG
    back_up(home / "lake" / CATALOG, copy)
    version, needed = last_version(copy), _needed(copy)
    for path in _walk(home):
        name = _name(path, home)
        if name.startswith(_FILES) and path.name not in needed:
            continue
        target = draft / name
        if target.exists():  # the catalog
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if _is_sqlite(path):
            back_up(path, target)
        else:
            shutil.copyfile(path, target)
    lost = needed - {path.name for path in (draft / _FILES).rglob("*")}
    if lost:
        raise OrchardError(
            f"home {home}: {len(lost)} files of the lake are lost, such as {min(lost)}: "
            "mend it first (`orchard lake verify --repair`)"
        )
    return version or 0


def _needed(catalog: Path) -> set[str]:
    """Names, without folders, of the files that some version in a catalog needs."""
    query = "SELECT path FROM ducklake_data_file UNION SELECT path FROM ducklake_delete_file"
    with closing(sqlite3.connect(catalog)) as db:
        return {Path(path).name for (path,) in db.execute(query)}


def _walk(root: Path) -> Iterator[Path]:
    """The files below a root that belong into a backup: no drafts, locks and links."""
    for parent, folders, names in os.walk(root):
        own = Path(parent)
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and _name(own / name, root) not in LEFT_OUT
        ]
        for name in names:
            path = own / name
            side = any(name.endswith(end) for end in SIDES[1:])
            if not (name.startswith(".") or side or _name(path, root) in LEFT_OUT):
                if path.is_file() and not path.is_symlink():
                    yield path


def _name(path: Path, root: Path) -> str:
    return str(path.relative_to(root))


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE


def _sum(path: Path) -> tuple[int, str]:
    """Size and SHA-256 of a file."""
    with path.open("rb") as file:
        return path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()


def _must_be_free(folder: Path, other: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise OrchardError(f"folder {folder} is not empty: name a new one")
    if folder.resolve().is_relative_to(other.resolve()):
        raise OrchardError(f"folder {folder} lies in {other}: name one outside")


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        note: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        if note["format"] != FORMAT:
            raise OrchardError(f"backup {folder}: of format {note['format']}: update Orchard")
        inside = (folder.resolve() / name for name in note["files"])
        if not all(path.resolve().is_relative_to(folder.resolve()) for path in inside):
            raise ValueError("it names files outside")
        return note
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OrchardError(f"folder {folder} is no backup of a home: {error}") from error
