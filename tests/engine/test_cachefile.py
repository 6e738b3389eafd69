"""The cache's file: durable, shared, upgraded, pruned, verified and repaired."""

import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.engine.cachefile import FORMAT, CacheFile, salvage
from pipeline.errors import OrchardError

VALUE = ["text", [1, 2], [-0.5, -0.25], "stop", None, 3]


def key(n: int) -> bytes:
    return n.to_bytes(16, "big")


def filled(path: Path, n: int, policy: str = "m@1") -> CacheFile:
    cache = CacheFile(path)
    for i in range(n):
        cache.put(key(i), [f"text {i}" * 20, *VALUE[1:]], policy)
    cache.commit()
    return cache


CHILD = """
import sys, time
from pathlib import Path
from pipeline.engine.cachefile import CacheFile
cache = CacheFile(Path(sys.argv[1]))
start, n = int(sys.argv[2]), int(sys.argv[3])
for i in range(start, start + n):
    cache.put(i.to_bytes(16, "big"), ["x", [1], [-1.0], "stop", None, 3], f"m@{start}")
print("put", flush=True)
time.sleep(60 if sys.argv[4] == "wait" else 0)
cache.close()
"""


def child(path: Path, start: int, n: int, then: str) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", CHILD, str(path), str(start), str(n), then]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


def test_a_value_is_on_disk_within_a_second_even_when_nothing_follows_it(tmp_path: Path) -> None:
    process = child(tmp_path / "c.sqlite", 0, 10, "wait")
    assert process.stdout is not None and process.stdout.readline() == "put\n"
    time.sleep(1)
    process.kill()
    process.wait()
    assert [CacheFile(tmp_path / "c.sqlite").get(key(i)) is not None for i in range(10)] == [True] * 10


def test_two_processes_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    processes = [child(path, start, 3000, "end") for start in (0, 3000)]
    assert [process.wait() for process in processes] == [0, 0]
    assert CacheFile(path).stats().sort("policy_id").select("policy_id", "completions").rows() == [
        ("m@0", 3000),
        ("m@3000", 3000),
    ]


def test_a_file_of_format_1_is_read_on(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE completions (key BLOB PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")
        db.execute("INSERT INTO completions VALUES (?, '[0.5, 0.5]')", (key(1),))
    cache = CacheFile(path)
    cache.put(key(2), VALUE, "m@1")
    assert cache.get(key(1)) == [0.5, 0.5] and cache.get(key(2)) == VALUE
    assert set(cache.stats()["policy_id"]) == {"(before format 2)", "m@1"}
    assert not cache.verify()


def test_a_file_of_a_newer_format_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    filled(path, 3).close()
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {FORMAT + 1}")
    with pytest.raises(
        OrchardError, match=r"written by a newer Orchard \(format 3, this one reads 2\): update Orchard"
    ):
        CacheFile(path)


def test_pruning_forgets_other_policies_and_old_days_and_gives_the_space_back(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    cache = filled(path, 2000)
    cache.put(key(5000), VALUE, "m@2")
    cache.commit()
    cache._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = path.stat().st_size
    assert cache.prune(keep_policies={"m@2"}) == 2000
    assert cache.get(key(5000)) == VALUE and path.stat().st_size < before / 10
    assert cache.prune(keep_days=1) == 0
    cache._db.execute("UPDATE completions SET day = day - 2")
    assert cache.prune(keep_days=1) == 1 and cache.get(key(5000)) is None


def test_a_value_that_no_version_writes_is_found(tmp_path: Path) -> None:
    cache = filled(tmp_path / "c.sqlite", 3)
    cache._db.execute("UPDATE completions SET value = '[1, \"x\"]' WHERE key = ?", (key(1),))
    assert cache.verify() == [f"completion {key(1).hex()}: not a value that this version writes"]


def test_a_file_cut_short_is_one_clear_error_and_the_repair_keeps_what_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    filled(path, 4000).close()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 3 // 4])
    with pytest.raises(OrchardError, match=r"malformed: `orchard cache verify --repair` keeps what can still be read"):
        cache = CacheFile(path)
        for i in range(4000):
            cache.get(key(i))
    kept, old = salvage(path)
    assert 1500 < kept < 4000 and old.exists()
    repaired = CacheFile(path)
    assert not repaired.verify() and repaired.stats()["completions"].sum() == kept
    repaired.put(key(9999), VALUE, "m@1")
