"""Power loss: what was acknowledged is there when all that was never synced is gone.

The witness is a library that is preloaded into the writer (synced.c). It keeps a file's bytes at
each of its syncs, and a folder's names at each of the folder's. From these alone the home is built
that the worst disk would leave: a file that was never synced is empty, a name that is in no synced
list is not there.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.store import Commit, Lake, copies

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("no C compiler, or not Linux: syncs cannot be seen")
    library = tmp_path_factory.mktemp("shim") / "synced.so"
    source = str(HERE / "synced.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), source, "-ldl"], check=True)
    return library


def survivors(shim: Path, tmp_path: Path, *work: str) -> tuple[Path, list[str]]:
    """The home that a power loss would leave right after some work, and what the work said."""
    home, kept = tmp_path / "home", tmp_path / "kept"
    home.mkdir()
    kept.mkdir()
    command = [sys.executable, str(HERE / "synced_child.py"), work[0], str(home), *work[1:]]
    environment = {key: os.environ[key] for key in os.environ if key != "ORCHARD_CATALOG"}
    environment |= {"PYTHONPATH": str(ROOT), "LD_PRELOAD": str(shim)}
    environment |= {"SYNCED_ROOT": str(home), "SYNCED_KEPT": str(kept)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    left = tmp_path / "left"
    left.mkdir()
    for path in _named(home, kept):
        target = left / path.relative_to(home)
        if path.is_dir():
            target.mkdir()
        else:
            bytes_ = _kept(kept, path)
            target.write_bytes(bytes_.read_bytes() if bytes_.exists() else b"")
    return left, done.stdout.splitlines()


def _kept(kept: Path, path: Path) -> Path:
    return kept / str(path.stat().st_ino)


def _named(folder: Path, kept: Path) -> Iterator[Path]:
    """What is below a folder, as far as the names were synced, folders first."""
    names = _kept(kept, folder)
    known = names.read_text().splitlines() if names.exists() else []
    for path in sorted(folder.iterdir()):
        if path.name in known:
            yield path
            if path.is_dir():
                yield from _named(path, kept)


@pytest.mark.parametrize("commits", [1, 4])
def test_acknowledged_commits_outlive_a_power_loss(
    shim: Path, tmp_path: Path, commits: int
) -> None:
    left, said = survivors(shim, tmp_path, "lake", str(commits))
    acknowledged = [tuple(map(int, line.split())) for line in said if line != "copied"]
    assert len(acknowledged) == commits and said[-1] == "copied"
    copy = copies.copies(left / "lake")
    with Lake(left) as lake:
        lost = sum(
            lake.read("reference_logps", version=version).height != rows
            for version, rows in acknowledged
        )
        lake.write("reference_logps", lake.read("reference_logps").head(0), Commit("after"))
    assert len(copy) == 1 and copies.last_version(copy[0]) == acknowledged[-1][0]
    print(f"unsynced writes dropped after {commits} commits; acknowledged commits lost: {lost}")
    assert lost == 0


def test_policies_and_checkpoints_outlive_a_power_loss(shim: Path, tmp_path: Path) -> None:
    left, said = survivors(shim, tmp_path, "policy")
    assert said == ["trained"]
    written = {path.relative_to(tmp_path / "home") for path in (tmp_path / "home").rglob("*")}
    assert {path.relative_to(left) for path in left.rglob("*")} == written
    differ = [
        path
        for path in written
        if (left / path).is_file()
        and (left / path).read_bytes() != (tmp_path / "home" / path).read_bytes()
    ]
    print(f"unsynced writes dropped after a training; of {len(written)} paths lost: {len(differ)}")
    assert not differ
    assert {Path("policies/toy.ckpt"), Path("policies/toy/model.safetensors")} <= written
    assert json.loads((left / "policies/toy.json").read_text())["row"] == {"run_id": "r"}
