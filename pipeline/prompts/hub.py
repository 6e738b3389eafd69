"""Pools that the `datasets` library reads:
a hub id, a saved data set, or a folder of data files.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.cells import BadRow, check_row, kind_of
from pipeline.config import PoolSettings
from pipeline.errors import OrchardError, with_cause
from pipeline.prompts import files
from pipeline.prompts.features import labels_of, with_names
from pipeline.prompts.record import (
    Record,
    check_columns,
    from_rows,
    location,
    needed_columns,
    reads_whole_rows,
    short,
)
from pipeline.prompts.source import pool_source

_SAVED = ("dataset_dict.json", "state.json")
_READABLE = ("*.jsonl", "*.ndjson", "*.json", "*.jsonl.gz", "*.json.gz", "*.parquet", "*.csv")


@pool_source("datasets")
def records(pool: PoolSettings) -> Iterator[Record]:
    """One record per row of the pool's split; class labels are their names.

    Raises:
        OrchardError: it cannot be loaded, has no such split, no rows, or not the columns.
    """
    path = location(pool, "a hub id or a local folder")
    data = _load(pool, path)
    if len(data) == 0:
        raise OrchardError(f"pool {pool.name!r}: {pool.path} split {pool.split!r} has no rows")
    check_columns(pool, f"{pool.path} split {pool.split!r}", data.column_names)
    if not reads_whole_rows(pool):
        wanted = {pool.answer_column, pool.tools_column, *needed_columns(pool).values()}
        wanted &= set(data.column_names)
        data = data.select_columns(sorted(wanted))
    labels = labels_of(data.features.to_dict())
    data = data.select(range(min(len(data), pool.size or len(data))))
    rows = ((number, with_names(row, labels)) for number, row in enumerate(iter(data), start=1))
    return from_rows(pool, f"{short(path)} {pool.split}", rows)


def _load(pool: PoolSettings, path: str) -> Any:
    import datasets

    folder = Path(path).expanduser()
    try:
        if any(os.path.isfile(folder / name) for name in _SAVED):
            return _split(pool, datasets.load_from_disk(str(folder)))
        return datasets.load_dataset(
            str(folder) if os.path.isdir(folder) else path, pool.config, split=pool.split
        )
    except OrchardError:
        raise
    except Exception as error:  # the hub's and every format's own errors
        hint = (
            "check the path, config and split"
            if os.path.exists(folder)
            else "check the id, config, split and the network"
        )
        hint = _misfit(folder) or hint
        raise OrchardError(
            f"pool {pool.name!r}: cannot load {path!r}: {with_cause(error)}: {hint}"
        ) from error


def _split(pool: PoolSettings, data: Any) -> Any:
    """The pool's split of a saved data set, written as for files: train, train[:10], train+test."""
    import datasets

    if not isinstance(data, datasets.DatasetDict):
        own = str(data.split or "train")
        if pool.split != own:
            raise OrchardError(
                f"pool {pool.name!r}: {pool.path} is one saved data set without splits: "
                f"set split to {own!r}"
            )
        return data
    try:
        asked = datasets.ReadInstruction.from_spec(pool.split)
        parts = asked.to_absolute({name: len(part) for name, part in data.items()})
    except (ValueError, AssertionError) as error:
        has = ", ".join(data)
        raise OrchardError(
            f"pool {pool.name!r}: {pool.path} has no split {pool.split!r}; it has {has}"
        ) from error
    found = [
        data[part.splitname].select(range(part.from_ or 0, _end(part, data))) for part in parts
    ]
    return found[0] if len(found) == 1 else datasets.concatenate_datasets(found)


def _end(part: Any, data: Any) -> int:
    return len(data[part.splitname]) if part.to is None else int(part.to)


def _misfit(folder: Path) -> str | None:
    """What is wrong with a folder's files: a bad row, or two kinds in one column; null: nothing.

    The library that loads them names neither file nor row.
    """
    paths = (
        sorted({path for ending in _READABLE for path in folder.glob(ending)})
        if os.path.isdir(folder)
        else []
    )
    known: dict[str, tuple[str, str]] = {}  # column -> (kind, file)
    for path in paths:
        try:
            for number, row in files.read(path)[0]:
                _check(row, f"{path.name} row {number}", known)
        except (OrchardError, BadRow) as error:
            return str(error)
    return None


def _check(row: dict[str, Any], where: str, known: dict[str, tuple[str, str]]) -> None:
    """Refuse a row that cannot be read, or with another kind in a column than an earlier row."""
    try:
        check_row(row)
    except BadRow as bad:
        raise BadRow(f"{where}: {bad}: mend or remove that row") from bad
    for column, value in row.items():
        if value is None:
            continue
        kind, first = known.setdefault(column, (kind_of(value), where))
        if kind != kind_of(value):
            raise BadRow(
                f"column {column!r} holds {kind} in {first} and {kind_of(value)} in {where}"
            )
