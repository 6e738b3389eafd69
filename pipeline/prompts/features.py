"""What a data set's features say of its columns: a class label is an index that means its name.

Features are those of the `datasets` library, as it writes them beside a data set and into Parquet
files: {"answer": {"names": ["no", "yes"], "_type": "ClassLabel"}}.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

Features = Mapping[str, Any]
_KEY = "huggingface"  # of a Parquet file's metadata
_LISTS = ("List", "LargeList", "Sequence")


def in_parquet(path: Path) -> Features:
    """The features that `datasets` wrote into a Parquet file; none where another tool wrote it."""
    written = pl.read_parquet_metadata(path).get(_KEY)
    try:
        found = json.loads(written or "{}")["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    return labels_of(found) if isinstance(found, dict) else {}


def labels_of(features: Features) -> Features:
    """The columns that hold class labels at any depth."""
    return {name: feature for name, feature in features.items() if _has_labels(feature)}


def with_names(row: dict[str, Any], labels: Features) -> dict[str, Any]:
    """The row with the names of its class labels in place of their indexes."""
    if not labels:
        return row
    return {name: _named(value, labels.get(name)) for name, value in row.items()}


def _has_labels(feature: Any) -> bool:
    if isinstance(feature, list):
        return any(map(_has_labels, feature))
    if not isinstance(feature, Mapping):
        return False
    return feature.get("_type") == "ClassLabel" or any(map(_has_labels, feature.values()))


def _named(value: Any, feature: Any) -> Any:
    """A value with names for indexes; an index without a name, such as -1, is absent."""
    if value is None or not _has_labels(feature):
        return value
    if isinstance(feature, list):  # an older way to write a list of one feature
        return [_named(one, feature[0]) for one in value]
    if feature.get("_type") == "ClassLabel":
        return _name(value, feature.get("names") or [])
    inside = feature.get("feature") if feature.get("_type") in _LISTS else feature
    if isinstance(value, list):
        return [_named(one, inside) for one in value]
    return {key: _named(one, inside.get(key)) for key, one in value.items()}


def _name(value: Any, names: list[str]) -> Any:
    if isinstance(value, str):
        return value
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else None
