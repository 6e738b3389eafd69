"""A process with a lake open, which does what each line of its standard input says:
python worker.py <home>; it answers each line with one of JSON, the first with `"open"`.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from pipeline import tables
from pipeline.errors import OrchardError
from pipeline.store import Commit, Lake

ROOT = Path(__file__).resolve().parents[3]
Row = list[str]  # (text_id, policy_id)


class Worker:
    """A process with the lake open, as another host would have it: a home of its own."""

    def __init__(self, home: Path, catalog: str, files: object) -> None:
        given = {"ORCHARD_CATALOG": catalog, "ORCHARD_DATA": str(files), "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            [sys.executable, __file__, str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | given,
        )

    def order(self, *order: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def end(self, sent: int = signal.SIGTERM) -> None:
        self.process.send_signal(sent)
        self.process.communicate(timeout=30)


def rows_of(rows: list[Row], mark: float) -> pl.DataFrame:
    """Rows of `reference_logps`; `mark` is their logp."""
    columns = {"text_id": [row[0] for row in rows], "policy_id": [row[1] for row in rows]}
    schema = tables.empty("reference_logps").schema
    frame = pl.DataFrame(columns, schema={name: schema[name] for name in columns})
    return frame.with_columns(logp=pl.lit(mark), tokens=pl.lit(3, pl.Int64))


def rejects_of(reasons: list[str]) -> pl.DataFrame:
    """Rows of `rejects` that do not say which partition they are of."""
    empty = tables.empty("rejects")
    given = {"reason": pl.Series(reasons, dtype=pl.String)}
    return pl.concat([empty, pl.DataFrame(given | {"row": given["reason"]})], how="diagonal")


def replace(
    lake: Lake, partition: dict[str, str], rows: list[Row], mark: float, reasons: list[str]
) -> int:
    """The version of the commit; its fingerprint is the mark."""
    written = lake.write(
        "reference_logps",
        rows_of(rows, mark),
        Commit("worker", fingerprint=str(mark)),
        partition=partition,
        rejects=rejects_of(reasons),
    )
    return written.version


def tag(lake: Lake, name: str, version: int) -> int:
    """The version that the name stands for."""
    return lake.tag(name, version)


ORDERS: dict[str, Callable[..., int]] = {"replace": replace, "tag": tag}


def answer(lake: Lake, order: list[Any]) -> dict[str, Any]:
    """What became of one order: its value, or the error in one line."""
    try:
        return {"value": ORDERS[order[0]](lake, *order[1:])}
    except OrchardError as error:
        return {"error": str(error)}


def main() -> None:
    with Lake(Path(sys.argv[1])) as lake:
        print(json.dumps("open"), flush=True)
        for line in sys.stdin:
            print(json.dumps(answer(lake, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
