"""What steps cost and give for each prompt, as it was measured: by a run, or by a preview."""

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from pipeline.store import Lake

FILE = "rates.json"  # in the data folder: what the last preview measured
SAMPLED = 1000  # rows that are written to measure the bytes of one: our choice


@dataclass(frozen=True)
class Rate:
    """What a part of a step cost and gave for so many prompts.

    Args:
        prompts: for which it was made.
        requests: to models, those that the completion cache answered included.
        tokens: sampled, those that the completion cache saved included.
        asked: requests that reached a model.
        engine_seconds: in which models answered them.
        other_seconds: of the step besides, loading of weights left out.
        rows: that it gave.
        bytes: of these rows as a Parquet file.
    """

    prompts: int
    requests: int
    tokens: int
    asked: int
    engine_seconds: float
    other_seconds: float
    rows: int
    bytes: int


Rates = Mapping[str, Rate]  # by the name of a step, with the name of its part behind it


def costs(lake: Lake) -> dict[str, dict[str, float]]:
    """What each step's dearest finished run cost: the one that made the most."""
    rows = lake.read("usage", where="finished")
    asked = pl.col("requests") + pl.col("cache_hits")
    dearest = rows.with_columns(all=asked).sort("all", "sampled_tokens", descending=True)
    return {row["step"]: row for row in dearest.unique("step", keep="first").to_dicts()}


def rate(cost: Mapping[str, float] | None, rows: pl.DataFrame, prompts: int) -> Rate:
    """A rate from a row of `usage`, the rows that were made, and how many prompts it was for."""
    found = cost or {}
    in_models = found.get("engine_seconds", 0.0)
    besides = found.get("seconds", 0.0) - in_models - found.get("load_seconds", 0.0)
    return Rate(
        prompts=prompts,
        requests=int(found.get("requests", 0) + found.get("cache_hits", 0)),
        tokens=int(found.get("sampled_tokens", 0) + found.get("saved_tokens", 0)),
        asked=int(found.get("requests", 0)),
        engine_seconds=in_models,
        other_seconds=max(0.0, besides),
        rows=rows.height,
        bytes=_bytes(rows),
    )


def _bytes(rows: pl.DataFrame) -> int:
    if rows.is_empty():
        return 0
    some = rows.head(SAMPLED)
    file = io.BytesIO()
    some.write_parquet(file, compression="zstd")
    return file.tell() * rows.height // some.height


def keep(home: Path, found: Rates) -> None:
    """Remember rates in the data folder; those of other steps stay. They hold no texts."""
    known = {name: asdict(one) for name, one in {**kept(home), **found}.items()}
    draft = home / f"{FILE}.tmp"
    draft.write_text(json.dumps(known, indent=1))
    draft.replace(home / FILE)


def kept(home: Path) -> dict[str, Rate]:
    """The rates that were remembered; none where the file is not one of ours."""
    try:
        return {name: Rate(**one) for name, one in json.loads((home / FILE).read_text()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
