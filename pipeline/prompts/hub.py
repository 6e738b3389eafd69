"""Pools that the `datasets` library reads: a hub id, a saved data set, or a folder of data files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.config import PoolSettings
from pipeline.errors import OrchardError
from pipeline.prompts.record import (
    Record,
    check_columns,
    from_rows,
    location,
    needed_columns,
    one_line,
    reads_whole_rows,
    short,
)

_SAVED = ("dataset_dict.json", "state.json")


def records(pool: PoolSettings) -> Iterator[Record]:
    """One record per row of the pool's split.

    Raises:
        OrchardError: it cannot be loaded, has no such split, no rows, or not the columns.
    """
    data = _load(pool, location(pool))
    if len(data) == 0:
        raise OrchardError(f"pool {pool.name!r}: {pool.path} split {pool.split!r} has no rows")
    check_columns(pool, f"{pool.path} split {pool.split!r}", data.column_names)
    if not reads_whole_rows(pool):
        wanted = {pool.answer_column, *needed_columns(pool).values()} & set(data.column_names)
        data = data.select_columns(sorted(wanted))
    data = data.select(range(min(len(data), pool.size or len(data))))
    return from_rows(pool, f"{short(location(pool))} {pool.split}", enumerate(iter(data), start=1))


def _load(pool: PoolSettings, path: str) -> Any:
    import datasets

    folder = Path(path).expanduser()
    try:
        if any((folder / name).is_file() for name in _SAVED):
            data = datasets.load_from_disk(str(folder))
            return _split(pool, data) if isinstance(data, datasets.DatasetDict) else data
        return datasets.load_dataset(str(folder) if folder.is_dir() else path, pool.config, split=pool.split)
    except OrchardError:
        raise
    except Exception as error:  # the hub's and every format's own errors
        hint = "check the path, config and split" if folder.exists() else "check the id, config, split and the network"
        raise OrchardError(f"pool {pool.name!r}: cannot load {path!r}: {one_line(error)}: {hint}") from error


def _split(pool: PoolSettings, data: Any) -> Any:
    if pool.split not in data:
        raise OrchardError(f"pool {pool.name!r}: {pool.path} has no split {pool.split!r}; it has {', '.join(data)}")
    return data[pool.split]
