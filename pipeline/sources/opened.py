"""A source that is open: its rows, their columns, and what it is known by.

A source is written as `hf:ID` (a data set of the hub), or as the path of a file, of a folder of
files, or of a folder that `datasets.save_to_disk` made.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from pipeline.config import PersonalDataSettings
from pipeline.errors import OrchardError, one_line
from pipeline.ids import content_id
from pipeline.personal import without_personal
from pipeline.prompts.origins import content_of
from pipeline.sources import folders, library
from pipeline.sources.mapped import with_our_names
from pipeline.sources.parts import Numbered, Part, ReadRows, read_parts


@dataclass(frozen=True)
class Asked:
    """What of a source is read, and how.

    configs: configurations of a data set of the hub; none: its only one. splits: none: all of them.
    limit: rows in all, from the first; null: every row. names: {our name of a column: theirs}, see
    `pipeline.sources.mapped`. personal: whether rows with personal data are rejected.
    """

    configs: Sequence[str] = ()
    splits: Sequence[str] = ()
    limit: int | None = None
    names: Mapping[str, str] | None = None
    personal: PersonalDataSettings = PersonalDataSettings()


@dataclass(frozen=True)
class Opened:
    """A source with all of its rows.

    name: its own: the file's, the folder's, or the last part of the id. path: the absolute path or
    the id, with the configurations and splits that were named. content: a hash of the files' bytes,
    or of the hub's commit, with all that was asked. parts: files of a folder, or splits. left_out:
    paths of files in the folder that hold no rows.
    """

    name: str
    path: str
    content: str
    parts: tuple[Part, ...]
    left_out: tuple[str, ...] = ()

    @cached_property
    def rows(self) -> list[Numbered]:
        """The rows of all parts, numbered from 1; a number's text says the part."""
        return [row for part in self.parts for row in part.rows]

    @cached_property
    def columns(self) -> list[str]:
        """All columns, in the order in which they first stand."""
        return list(dict.fromkeys(name for part in self.parts for name in part.columns))


def open_source(source: str | Path, asked: Asked | None = None) -> Opened:
    """Everything that a source holds, or what is asked of it.

    Raises:
        OrchardError: there is no such source, it cannot be read or lacks what was asked, or no file
            of a folder holds rows.
    """
    asked = asked or Asked()
    if str(source).startswith(library.HUB):
        return _open_hub(str(source), asked)
    try:
        return _open_local(Path(source).expanduser(), asked)
    except (OSError, RuntimeError) as error:  # also: the home folder of nobody
        why = getattr(error, "strerror", None) or one_line(error)
        raise OrchardError(
            f"{source} cannot be read: {why}: mend the path, or its rights"
        ) from error


def _open_local(path: Path, asked: Asked) -> Opened:
    _refuse(path, asked.configs, "configurations")
    if path.is_dir() and library.is_saved(path):
        content, found = library.open_saved(path, asked.splits)
        return _opened(path.resolve(), content, found, asked)
    _refuse(path, asked.splits, "splits")
    if path.is_dir():
        return _open_folder(path, asked)
    if not os.path.isfile(path):
        raise OrchardError(
            f"no file {path} (looked for {path.resolve()}): "
            "mend the path; a data set of the hub is written hf:ID"
        )
    return _opened(path.resolve(), content_of(path), folders.parts_of_file(path), asked, path.name)


def _open_hub(source: str, asked: Asked) -> Opened:
    stream = asked.limit is not None
    commit, found = library.open_hub(source, asked.configs, asked.splits, stream=stream)
    name = source.removeprefix(library.HUB).rpartition("/")[2]
    return _opened(source, commit, found, asked, name)


def _open_folder(folder: Path, asked: Asked) -> Opened:
    paths, others = folders.data_files(folder)
    content = folders.content_of_files(folder, paths)
    found = folders.parts_of_folder(folder, paths)
    left_out = [folders.name_in(folder, path) for path in others]
    return _opened(folder.resolve(), content, found, asked, left_out=left_out)


def _opened(
    where: str | Path,
    content: str,
    found: Iterable[tuple[str, ReadRows]],
    asked: Asked,
    name: str | None = None,
    left_out: Sequence[str] = (),
) -> Opened:
    """Reads the parts.

    Which configurations and splits were named belongs to the path: train and test of one data set
    are two sources. Limit and names do not: another limit replaces the rows of the first.
    """
    read = with_our_names(read_parts(found, asked.limit), asked.names or {}, str(where))
    parts = [replace(one, rows=list(without_personal(one.rows, asked.personal))) for one in read]
    named = (("config", asked.configs), ("split", asked.splits))
    selected = [f"{what}={','.join(sorted(set(values)))}" for what, values in named if values]
    # In which order they are read matters under a limit only.
    order = [asked.configs, asked.splits] if asked.limit else []
    more = [*selected, *order, asked.limit, sorted((asked.names or {}).items())]
    return Opened(
        name=Path(where).name if name is None else name,
        path=" ".join([str(where), *selected]),
        content=content if more == [None, []] else content_id(content, *more),
        parts=tuple(parts),
        left_out=tuple(left_out),
    )


def _refuse(path: Path, asked: Sequence[str], what: str) -> None:
    if asked:
        raise OrchardError(f"{path} has no {what}: leave out {', '.join(asked)}")
