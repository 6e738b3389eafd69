"""The hub over HTTP: commits, streams and the cache, against a hub on this machine.

The address of the hub is read when its library is imported, so each test asks from a process of its
own.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.sources.hub_server import COMMIT, ID, serve
from tests.sources.made import CONFIG, README, pairs, write

ASK = """
import json, sys
from pipeline.errors import OrchardError
from pipeline.sources import library
from pipeline.sources.opened import Asked, open_source
for source, configs, splits, limit in json.loads(sys.argv[1]):
    try:
        commit, _ = library.open_hub(source, configs, splits, stream=True)
        found = open_source(source, Asked(configs, splits, limit))
        said = [commit, found.name, [f"{number}" for number, _ in found.rows]]
    except OrchardError as error:
        said = str(error)
    print(json.dumps(said))
"""


def asked(folder: Path, questions: list[Any], **variables: str) -> list[Any]:
    """What a process says of each (source, configurations, splits, limit)."""
    own = {"HF_HOME": str(folder / "hf"), "PYTHONPATH": os.getcwd(), **variables}
    words = [sys.executable, "-c", ASK, json.dumps(questions)]
    done = subprocess.run(
        words, env={**os.environ, **own}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_rows_are_streamed_from_one_commit_and_what_was_loaded_opens_without_a_network(
    tmp_path: Path,
) -> None:
    for config in ("main", "more"):
        write(tmp_path / "hub" / config / "train.parquet", pairs("a", "b", "c"))
        write(tmp_path / "hub" / config / "test.parquet", pairs("d", "e"))
    configs = "".join(CONFIG.format(config=config) for config in ("main", "more"))
    (tmp_path / "hub" / "README.md").write_text(README.format(configs=configs))

    whole = [f"hf:{ID}", ["main"], [], None]
    with serve(tmp_path / "hub") as (address, fetched):
        first = asked(tmp_path, [[f"hf:{ID}", ["main", "more"], [], 4]], HF_ENDPOINT=address)
        streamed = {name for name in fetched if name.endswith(".parquet")}
        again = asked(tmp_path, [whole, ["hf:org/gone", [], [], None]], HF_ENDPOINT=address)
    rows = ["1 of main/train", "2 of main/train", "3 of main/train", "1 of main/test"]
    assert first == [[COMMIT, "set", rows]]
    assert streamed == {"main/train.parquet", "main/test.parquet"}
    every = ["1 of train", "2 of train", "3 of train", "1 of test", "2 of test"]
    assert again[0] == [COMMIT, "set", every]
    assert again[1].startswith("hf:org/gone cannot be read: Dataset 'org/gone' doesn't exist on ")

    assert asked(tmp_path, [whole], HF_HUB_OFFLINE="1")[0] == [COMMIT, "set", every]
