"""The cache's file: durable, shared, upgraded, pruned, verified and repaired."""

import json
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.engine.cachefile import FORMAT, CacheFile, checksum, sound
from pipeline.engine.salvage import salvage
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


def changed(cache: CacheFile, query: str, values: tuple[object, ...] = ()) -> None:
    """Changes the file while its own thread may be committing on the same connection."""
    with cache._writing:
        cache._db.execute(query, values)
        cache._db.commit()


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
    return subprocess.Popen(
        arguments, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )


def test_a_value_is_on_disk_within_a_second_even_when_nothing_follows_it(tmp_path: Path) -> None:
    process = child(tmp_path / "c.sqlite", 0, 10, "wait")
    assert process.stdout is not None and process.stdout.readline() == "put\n"
    time.sleep(1)
    process.kill()
    process.wait()
    assert [CacheFile(tmp_path / "c.sqlite").get(key(i)) is not None for i in range(10)] == [
        True
    ] * 10


def test_two_processes_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    processes = [child(path, start, 3000, "end") for start in (0, 3000)]
    assert [process.wait() for process in processes] == [0, 0]
    assert CacheFile(path).stats().sort("policy_id").select("policy_id", "completions").rows() == [
        ("m@0", 3000),
        ("m@3000", 3000),
    ]


def test_putting_does_not_wait_for_another_process_that_writes(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    cache = filled(path, 1)
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        start = time.monotonic()
        for i in range(1, 100):
            cache.put(key(i), VALUE, "m@1")
            assert cache.get(key(i)) == VALUE
            time.sleep(0.001)  # so that the thread that commits is waiting meanwhile
        assert time.monotonic() - start < 5
        assert other.execute("SELECT count(*) FROM completions").fetchone() == (1,)
        other.rollback()
    cache.close()
    assert CacheFile(path).stats()["completions"].item() == 100


def test_a_disk_that_fills_up_is_told_to_the_next_put_and_nothing_is_lost_once_there_is_space(
    tmp_path: Path,
) -> None:
    path = tmp_path / "c.sqlite"
    cache = filled(path, 1)
    pages = cache._db.execute("PRAGMA page_count").fetchone()[0]
    cache._db.execute(f"PRAGMA max_page_count = {pages}")  # SQLite's own "database or disk is full"
    number = 0
    with pytest.raises(OrchardError, match="full: free space, then start again"):
        while number < 1000:
            number += 1
            cache.put(key(number), ["x" * 1000, *VALUE[1:]], "m@1")
            time.sleep(0.01)
    with pytest.raises(OrchardError, match="full: free space, then start again"):
        cache.commit()
    assert number < 1000 and cache.get(key(number - 1)) is not None
    cache._db.execute("PRAGMA max_page_count = 100000")
    cache.close()
    # the first one, and all but the refused one
    assert CacheFile(path).stats()["completions"].item() == number


def test_a_closed_file_leaves_no_thread(tmp_path: Path) -> None:
    cache = filled(tmp_path / "c.sqlite", 1)
    assert cache._committer is not None and cache._committer.is_alive()
    cache.close()
    assert not cache._committer.is_alive()


def test_a_file_of_format_1_is_read_on(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    with sqlite3.connect(path) as db:
        db.execute(
            "CREATE TABLE completions (key BLOB PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"
        )
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
        OrchardError,
        match=r"written by a newer Orchard \(format 4, this one reads 3\): update Orchard",
    ):
        CacheFile(path)


def test_pruning_forgets_other_policies_and_old_days_and_gives_the_space_back(
    tmp_path: Path,
) -> None:
    path = tmp_path / "c.sqlite"
    cache = filled(path, 2000)
    cache.put(key(5000), VALUE, "m@2")
    cache.commit()
    changed(cache, "PRAGMA wal_checkpoint(TRUNCATE)")
    before = path.stat().st_size
    assert cache.prune(keep_policies={"m@2"}) == 2000
    assert cache.get(key(5000)) == VALUE and path.stat().st_size < before / 10
    assert cache.prune(keep_days=1) == 0
    changed(cache, "UPDATE completions SET day = day - 2")
    assert cache.prune(keep_days=1) == 1 and cache.get(key(5000)) is None


def test_a_value_that_no_version_writes_is_found(tmp_path: Path) -> None:
    cache = filled(tmp_path / "c.sqlite", 3)
    text = '[1, "x"]'
    update = "UPDATE completions SET value = ?, crc = ? WHERE key = ?"
    changed(cache, update, (text, checksum(key(1), text.encode()), key(1)))
    changed(cache, update, (text, 7, key(2)))
    assert cache.verify() == [
        f"completion {key(1).hex()}: not a value that this version writes",
        f"completion {key(2).hex()}: not the value that was written",
    ]


def test_a_flipped_bit_of_a_value_is_no_value_and_the_next_one_takes_its_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Every bit of a value in turn; many of the texts are JSON of the same shape."""
    value = [0.5, 0.25, 0.125, 0.125]
    text = json.dumps(value).encode()
    cache = CacheFile(tmp_path / "c.sqlite")
    cache.put(key(1), value, "m@1")
    cache.commit()
    injected = alike = passed = 0
    for at in range(8 * len(text)):
        flipped = bytearray(text)
        flipped[at // 8] ^= 1 << at % 8
        update = "UPDATE completions SET value = CAST(? AS TEXT)"
        changed(cache, update, (bytes(flipped),))
        injected, passed = injected + 1, passed + (cache.get(key(1)) is not None)
        alike += sound(bytes(flipped))
    assert alike > 30 and injected == 8 * len(text) and passed == 0
    assert len(caplog.records) == 1 and "damaged values are asked for again" in caplog.text
    cache.put(key(1), [1.0], "m@1")
    cache.commit()
    assert cache.get(key(1)) == [1.0] and not cache.verify()


def test_the_repair_leaves_out_a_value_that_was_changed(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    cache = filled(path, 10)
    changed(cache, "UPDATE completions SET value = '[0.5]' WHERE key = ?", (key(1),))
    cache.close()
    kept, _ = salvage(path)
    repaired = CacheFile(path)
    assert kept == 9 and repaired.get(key(1)) is None and not repaired.verify()


def test_a_value_under_another_key_is_none(tmp_path: Path) -> None:
    cache = filled(tmp_path / "c.sqlite", 1)
    changed(cache, "UPDATE completions SET key = ?", (key(7),))
    assert cache.get(key(7)) is None


def test_the_values_of_format_2_are_read_on_without_a_checksum(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    filled(path, 3).close()
    with sqlite3.connect(path) as db:
        db.execute("ALTER TABLE completions DROP COLUMN crc")
        db.execute("PRAGMA user_version = 2")
    cache = CacheFile(path)
    assert cache.get(key(1)) is not None and not cache.verify()
    changed(cache, "UPDATE completions SET value = 'rubbish' WHERE key = ?", (key(1),))
    assert cache.get(key(1)) is None and cache.get(key(2)) is not None


def test_a_file_cut_short_is_one_clear_error_and_the_repair_keeps_what_can_be_read(
    tmp_path: Path,
) -> None:
    path = tmp_path / "c.sqlite"
    # With 4000 a page that leads to all others lies in the part that is lost.
    filled(path, 3000).close()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 3 // 4])
    with pytest.raises(
        OrchardError,
        match=r"malformed: `orchard cache verify --repair` keeps what can still be read",
    ):
        with closing(CacheFile(path)) as cache:
            for i in range(3000):
                cache.get(key(i))
    kept, old = salvage(path)
    assert 1500 < kept < 3000 and old.exists()
    repaired = CacheFile(path)
    assert not repaired.verify() and repaired.stats()["completions"].sum() == kept
    repaired.put(key(9999), VALUE, "m@1")


def test_the_repair_of_a_damaged_page_of_names_keeps_every_value_with_its_name_and_day(
    tmp_path: Path,
) -> None:
    path = tmp_path / "c.sqlite"
    cache = filled(path, 1000)
    changed(cache, "UPDATE completions SET day = day - 100")
    (page,) = cache._db.execute(
        "SELECT rootpage FROM sqlite_master WHERE name = 'policies'"
    ).fetchone()
    cache.close()
    content = bytearray(path.read_bytes())
    content[(page - 1) * 4096 : page * 4096] = b"\xff" * 4096
    path.write_bytes(content)
    assert salvage(path)[0] == 1000
    repaired = CacheFile(path)
    assert repaired.stats().select("policy_id", "completions").rows() == [("m@1", 1000)]
    assert repaired.prune(keep_days=1) == 1000


def test_a_name_that_is_lost_in_table_and_index_costs_no_value(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    cache = filled(path, 1000)
    pages = cache._db.execute(
        "SELECT rootpage FROM sqlite_master WHERE tbl_name = 'policies'"
    ).fetchall()
    cache.close()
    content = bytearray(path.read_bytes())
    for (page,) in pages:
        content[(page - 1) * 4096 : page * 4096] = b"\xff" * 4096
    path.write_bytes(content)
    assert len(pages) == 2 and salvage(path)[0] == 1000
    assert CacheFile(path).stats().select("policy_id", "completions").rows() == [("salvaged", 1000)]


def test_the_repair_of_a_sound_file_of_format_1_keeps_all(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.execute(
            "CREATE TABLE completions (key BLOB PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"
        )
        db.executemany(
            "INSERT INTO completions VALUES (?, '[0.5, 0.5]')", [(key(i),) for i in range(100)]
        )
        db.commit()
    assert salvage(path)[0] == 100
    assert CacheFile(path).stats().select("policy_id", "completions").rows() == [
        ("(before format 2)", 100)
    ]


def test_a_file_that_a_run_has_open_is_not_repaired(tmp_path: Path) -> None:
    """It would be moved from under the run, and what the run puts after that would be lost."""
    path = tmp_path / "c.sqlite"
    process = child(path, 0, 3, "wait")
    assert process.stdout is not None and process.stdout.readline() == "put\n"
    with pytest.raises(OrchardError, match="a run has it open: repair it when that has ended"):
        salvage(path)
    time.sleep(1)
    process.kill()
    process.wait()
    assert salvage(path)[0] == 3  # a process that is gone has nothing open


def test_the_repair_of_no_file_is_one_clear_line_and_leaves_none(tmp_path: Path) -> None:
    with pytest.raises(OrchardError, match="no completion cache at .*: nothing to repair"):
        salvage(tmp_path / "c.sqlite")
    assert not list(tmp_path.iterdir())
