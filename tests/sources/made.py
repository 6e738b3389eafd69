"""Small sources that the tests make: files of every kind, saved data sets, a hub without a net."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import polars as pl
import pyarrow as pa
import pytest

from pipeline.sources import library

Row = dict[str, Any]


def pairs(*nouns: str) -> list[Row]:
    """Labelled pairs in our own columns."""
    return [
        {"prompt": f"Name a {noun}.", "first": f"{noun} it is.", "second": "Chair.", "label": 1.0}
        for noun in nouns
    ]


def zstd(data: bytes) -> bytes:
    return bytes(pa.compress(data, codec="zstd", asbytes=True))


def write(path: Path, rows: list[Row]) -> Path:
    """Rows in the format of the path's ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pack: Callable[[bytes], bytes] | None = {".gz": gzip.compress, ".zst": zstd}.get(path.suffix)
    if pack is not None:
        path.write_bytes(pack(write(path.with_suffix(""), rows).read_bytes()))
        path.with_suffix("").unlink()
    elif path.suffix == ".parquet":
        pl.DataFrame(rows).write_parquet(path)
    elif path.suffix == ".csv":
        pl.DataFrame(rows).write_csv(path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows), encoding="utf-8")
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


README = """---
configs:
{configs}---
"""
CONFIG = """- config_name: {config}
  data_files:
  - {{split: train, path: {config}/train.parquet}}
  - {{split: test, path: {config}/test.parquet}}
"""


def fake_hub(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *configs: str, rows: list[Row] | None = None
) -> None:
    """Puts a folder in place of every data set of the hub.

    The seam is the one call that opens an id; configurations, splits, downloads and streams behind
    it are the real library's, on the folder's files. Each configuration has three train rows and
    two of test.
    """
    for config in configs:
        made = rows or pairs(*(f"{config}-{noun}" for noun in ("nut", "fruit", "colour", "a", "b")))
        for split, own in (("train", made[:3]), ("test", made[3:])):
            path = folder / config / f"{split}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            datasets.Dataset.from_list(own).to_parquet(str(path))
    written = "".join(CONFIG.format(config=config) for config in configs)
    (folder / "README.md").write_text(README.format(configs=written))

    def builder(name: str, config: str | None) -> Any:
        cache = str(folder.parent / "cache")
        return datasets.load_dataset_builder(str(folder), config, cache_dir=cache)

    monkeypatch.setattr(library, "_builder", builder)
