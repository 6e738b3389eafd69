"""A home is copied beside a live writer, and made again from the copy, whole or not at all."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from pipeline.engine.cachefile import CacheFile
from pipeline.errors import OrchardError
from pipeline.store import Commit, Lake
from pipeline.store.backup import MANIFEST, back_up_home, restore_home
from tests.conftest import ORCHARD
from tests.test_store import prompts

ROOT = Path(__file__).parents[3]
WRITER = """
import sys
from pathlib import Path
from pipeline.store import Commit, Lake
from tests.test_store import prompts
with Lake(Path(sys.argv[1])) as lake:
    for number in range(10_000):
        lake.write("prompts", prompts(f"p{number}"), Commit("load"))
        print(number, flush=True)
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = tmp_path / "home"
    with Lake(made) as lake:
        lake.write("prompts", prompts("a", "b"), Commit("load"))
        lake.tag("first")
        lake.write("prompts", prompts("c"), Commit("load"))
    with closing(CacheFile(made / "cache" / "completions.sqlite")) as cache:
        cache.put(b"k" * 16, [0.5, 0.5], "m@1")
    (made / "policies" / "one").mkdir(parents=True)
    (made / "policies" / "one" / "model.safetensors").write_bytes(b"weights")
    (made / "models" / "base").mkdir(parents=True)
    (made / "models" / "base" / "model.safetensors").write_bytes(b"made again")
    return made


@contextmanager
def writer(home: Path) -> Iterator["subprocess.Popen[str]"]:
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(home)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert child.stdout is not None and child.stdout.readline()
    said = child.stdout
    threading.Thread(target=said.read, daemon=True).start()  # it never waits for a reader
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def test_a_restored_home_is_the_home(home: Path, tmp_path: Path) -> None:
    version, files, _ = back_up_home(home, tmp_path / "copy")
    again = tmp_path / "again"
    assert restore_home(tmp_path / "copy", again) == (version, files)
    shutil.rmtree(home)
    with Lake(again) as lake:
        assert lake.read("prompts").height == 1 and lake.releases()["name"].to_list() == ["first"]
        first = lake.releases()["version"].item()
        assert lake.read("prompts", version=first).height == 2
        assert lake.verify().sound
        lake.write("prompts", prompts("d", "e", "f"), Commit("load"))
        assert lake.read("prompts").height == 3
    with closing(CacheFile(again / "cache" / "completions.sqlite")) as cache:
        assert cache.get(b"k" * 16) == [0.5, 0.5]
    assert (again / "policies" / "one" / "model.safetensors").read_bytes() == b"weights"
    assert not (again / "models").exists()


def test_backups_beside_a_live_writer_are_each_a_version(home: Path, tmp_path: Path) -> None:
    unsound, versions = 0, []
    with Lake(home) as lake:
        before = lake.version("prompts")
    with writer(home) as child:
        for number in range(5):
            version, _, _ = back_up_home(home, tmp_path / f"copy{number}")
            restore_home(tmp_path / f"copy{number}", tmp_path / f"again{number}")
            with Lake(tmp_path / f"again{number}") as lake:
                found = lake.verify()
                unsound += not found.sound or bool(found.orphans)
                (row,) = lake.read("prompts").iter_rows(named=True)
                assert int(row["prompt_id"][1:]) == version - before - 1  # one version a commit
            versions.append(version)
        assert child.poll() is None
    print(f"backups beside a writer 5, unsound {unsound}, versions {versions}")
    assert unsound == 0 and versions == sorted(set(versions))


@pytest.mark.parametrize(
    "fault", ["lost", "cut", "flipped", "no manifest", "not JSON", "names a file outside"]
)
def test_a_damaged_backup_makes_no_home(home: Path, tmp_path: Path, fault: str) -> None:
    copy, again = tmp_path / "copy", tmp_path / "again"
    back_up_home(home, copy)
    path = copy / "policies" / "one" / "model.safetensors"
    note = copy / MANIFEST
    if fault == "lost":
        path.unlink()
    elif fault == "cut":
        path.write_bytes(b"weig")
    elif fault == "flipped":
        path.write_bytes(b"weighus")
    elif fault == "no manifest":
        note.unlink()
    elif fault == "not JSON":
        note.write_text("{")
    else:
        found = json.loads(note.read_text())
        found["files"]["../../secret"] = [1, "x"]
        note.write_text(json.dumps(found))
    with pytest.raises(OrchardError, match="backup"):
        restore_home(copy, again)
    assert not again.exists() and not list(tmp_path.glob(".again*"))


def test_nothing_is_written_over(home: Path, tmp_path: Path) -> None:
    back_up_home(home, tmp_path / "copy")
    with pytest.raises(OrchardError, match="is not empty"):
        back_up_home(home, tmp_path / "copy")
    with pytest.raises(OrchardError, match="is not empty"):
        restore_home(tmp_path / "copy", home)
    with pytest.raises(OrchardError, match="lies in"):
        back_up_home(home, home / "copy")


def test_a_home_with_a_lost_file_makes_no_backup(home: Path, tmp_path: Path) -> None:
    next((home / "lake" / "files").rglob("*.parquet")).unlink()
    with pytest.raises(OrchardError, match="1 files of the lake are lost"):
        back_up_home(home, tmp_path / "copy")
    assert not list(tmp_path.glob("*copy*"))


def test_the_commands_say_what_they_did(home: Path, tmp_path: Path) -> None:
    def run(command: str, at: Path) -> "subprocess.CompletedProcess[str]":
        words = [str(ORCHARD), command, str(tmp_path / "copy")]
        environment = {**os.environ, "ORCHARD_HOME": str(at)}
        return subprocess.run(words, env=environment, capture_output=True, text=True)

    assert "files" in run("backup", home).stdout
    assert "each as it was backed up" in run("restore", tmp_path / "again").stdout
    refused = run("restore", tmp_path / "again")
    assert refused.returncode == 1 and refused.stderr.count("\n") == 1
