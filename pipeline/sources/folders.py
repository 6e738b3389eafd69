"""Files and folders of files as sources: what is read of them, and the hash that they are known by.

A folder is read with all folders inside it, its files in the order of their paths. Files whose
ending says that they hold no rows, such as README.md, are left out and named, and so are hidden
ones and the descriptions that `datasets` writes. (Our choice.)
"""

import hashlib
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pipeline.errors import OrchardError
from pipeline.prompts import files
from pipeline.prompts.origins import content_of, printable_path
from pipeline.sources.parts import ReadRows

DESCRIPTIONS = ("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json")


def data_files(folder: Path) -> tuple[list[Path], list[Path]]:
    """The files of a folder that hold rows, and those that are left out; hidden ones are neither.

    Links to folders are not followed: they are left out.

    Raises:
        OrchardError: none holds rows.
        OSError: a folder in it cannot be read.
    """
    found = sorted(_shown(folder))
    read = [path for path in found if _holds_rows(path)]
    if not read:
        has = ", ".join(name_in(folder, path) for path in found[:5])
        raise OrchardError(
            f"{folder} has no data files{has and ' but ' + has}: "
            f"needed are names that end in {files.ENDINGS}"
        )
    return read, [path for path in found if not _holds_rows(path)]


def _shown(folder: Path) -> Iterator[Path]:
    """All paths in a folder and those inside it that are no folders and not hidden."""

    def refuse(error: OSError) -> None:
        raise error

    for place, inner, names in os.walk(folder, onerror=refuse):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        links = [name for name in inner if os.path.islink(os.path.join(place, name))]
        yield from (Path(place, name) for name in (*names, *links) if not name.startswith("."))


def _holds_rows(path: Path) -> bool:
    return path.is_file() and files.is_readable(path) and path.name not in DESCRIPTIONS


def name_in(folder: Path, path: Path) -> str:
    """The path of a file in its folder as one line of UTF-8, whatever the system calls it."""
    return printable_path(path.relative_to(folder).as_posix()).replace("\n", "\\n")


def parts_of_file(path: Path) -> Iterator[tuple[str, ReadRows]]:
    """A file's rows, in one part without a name."""
    yield "", partial(files.read, path)


def parts_of_folder(folder: Path, paths: list[Path]) -> Iterator[tuple[str, ReadRows]]:
    """A part for each file, named by its path in the folder."""
    for path in paths:
        yield name_in(folder, path), partial(files.read, path)


def content_of_files(folder: Path, paths: list[Path]) -> str:
    """A hash of files' bytes and of their paths in a folder."""
    found = hashlib.blake2b(digest_size=10)
    for path in paths:
        found.update(f"{name_in(folder, path)}\0{content_of(path)}\0".encode())
    return found.hexdigest()
