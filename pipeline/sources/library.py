"""Sources that the `datasets` library reads: an id of the hub, and a data set saved to a folder.

An id is opened at one commit, all of its splits unless some are named. With a limit its rows are
streamed and the rest is never fetched; without one it is downloaded and kept in the library's
cache, so that it opens without a network from then on.
"""

import logging
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.errors import OrchardError, with_cause
from pipeline.prompts.features import labels_of, with_names
from pipeline.sources.folders import content_of_files
from pipeline.sources.parts import Numbered, ReadRows, numbered

HUB = "hf:"
Found = Iterator[tuple[str, ReadRows]]
_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?", re.ASCII)
_LOGGERS = ("datasets", "huggingface_hub")  # say in many lines what our error says in one


def is_saved(folder: Path) -> bool:
    """Whether `save_to_disk` made a folder."""
    one = (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()
    return one or (folder / "dataset_dict.json").is_file()


def open_hub(
    source: str, configs: Sequence[str], splits: Sequence[str], *, stream: bool
) -> tuple[str, Found]:
    """The commit of a data set of the hub, and its parts: one a configuration and split.

    Raises:
        OrchardError: no id, a folder of that name lies here; or it cannot be reached, has several
            configurations and none is named, or lacks one of those named.
    """
    name = source.removeprefix(HUB)
    if not _ID.fullmatch(name):
        raise OrchardError(f"{source}: no id of a data set: write it as hf:ORGANISATION/NAME")
    if Path(name).exists():  # the library would take it for the data set
        raise OrchardError(f"{source}: {Path(name).resolve()} lies here: run this somewhere else")
    configs, splits = list(dict.fromkeys(configs)), list(dict.fromkeys(splits))
    with _one_line(source):
        builders = [_builder(name, config) for config in configs or (None,)]
    commit = "+".join(dict.fromkeys(str(builder.hash) for builder in builders))
    by_config = list(zip(configs or ("",), builders, strict=True))
    return commit, _parts_of_hub(source, by_config, splits, stream)


def open_saved(folder: Path, splits: Sequence[str]) -> tuple[str, Found]:
    """A hash of a saved data set's files, and its parts: one a split; one that has none, one part.

    Raises:
        OrchardError: it cannot be read, or has no such split.
    """
    import datasets

    with _one_line(str(folder)):
        data = datasets.load_from_disk(str(folder))
    several = isinstance(data, datasets.DatasetDict)
    known = dict(data) if several else {str(data.split or "train"): data}
    _check_splits(str(folder), splits, list(known))
    paths = sorted(
        path
        for path in folder.rglob("*")
        if path.name == "dataset_info.json"
        or (path.suffix == ".arrow" and not path.name.startswith("cache-"))
    )
    found = (
        (split if several else "", partial(_rows, known[split], str(folder)))
        for split in dict.fromkeys(splits or known)
    )
    return content_of_files(folder, paths), found


def _builder(name: str, config: str | None) -> Any:
    """The seam to the hub: tests put a folder of files in its place."""
    import datasets

    return datasets.load_dataset_builder(name, config)


def _parts_of_hub(
    source: str, builders: list[tuple[str, Any]], splits: Sequence[str], stream: bool
) -> Found:
    for config, builder in builders:
        with _one_line(source):
            known = _splits(builder, stream)
        where = f"{source} {config}".strip()
        _check_splits(where, splits, list(known))
        for split in splits or known:
            name = f"{config}/{split}" if len(builders) > 1 else split
            yield name, partial(_rows, known[split], where)


def _splits(builder: Any, stream: bool) -> dict[str, Any]:
    """A configuration's data by split."""
    if stream:
        return {str(name): data for name, data in builder.as_streaming_dataset().items()}
    builder.download_and_prepare()
    return {str(name): data for name, data in builder.as_dataset().items()}


def _check_splits(where: str, asked: Sequence[str], known: list[str]) -> None:
    for split in asked:
        if split not in known:
            raise OrchardError(f"{where} has no split {split!r}: use one of {', '.join(known)}")


def _rows(data: Any, where: str, limit: int | None) -> tuple[list[Numbered], list[str]]:
    """A split's rows up to a limit, class labels as their names; and its columns."""
    labels = labels_of(data.features.to_dict()) if data.features else {}
    with _one_line(where):
        rows = [with_names(row, labels) for row in islice(data, limit)]
    columns = dict.fromkeys([*(data.column_names or ()), *(name for row in rows for name in row)])
    return list(numbered(rows)), list(columns)


@contextmanager
def _one_line(where: str) -> Iterator[None]:
    """Turns whatever the library raises into one line."""
    try:
        with _quiet():
            yield
    except OrchardError:
        raise
    except Exception as error:  # the hub's, the network's and every format's own errors
        hint = (
            "check the id, the configuration and the network (HF_ENDPOINT, HF_HUB_OFFLINE)"
            if where.startswith(HUB)
            else "save it again with save_to_disk"
        )
        raise OrchardError(f"{where} cannot be read: {with_cause(error)}: {hint}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the library's own lines back, and its bars where there is no terminal."""
    import datasets

    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]  # as the library set them when it was imported
    shown = not datasets.are_progress_bars_disabled()
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    if shown and not sys.stderr.isatty():
        datasets.disable_progress_bars()
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if shown:
            datasets.enable_progress_bars()
