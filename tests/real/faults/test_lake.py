"""Faults of the embedded lake: lost and damaged files, lost catalogs, dropped syncs, no space.

Each test prints how many faults it injected and how many acknowledged versions were lost
(`pytest -s`), and asserts the latter. What a home held is known from what was written to it, and
from bytes that were copied before the fault: not from what the lake says afterwards.
"""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from click.testing import Result
from typer.testing import CliRunner

from assets.cli.main import app
from pipeline.errors import OrchardError
from pipeline.store import Commit, Lake, copies, releases
from tests.store_child import reference

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).parent
TABLE = "reference_logps"
Fault = Callable[[Path], None]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one table in two partitions, another table, an old version, and a copy."""
    home = tmp_path_factory.mktemp("filled") / "home"
    with Lake(home) as lake:
        for policy, rows in (("a", 5), ("b", 7), ("a", 3)):
            commit = Commit("reference_logps", fingerprint=f"{policy}{rows}")
            lake.write(TABLE, reference(rows, policy), commit, partition={"policy_id": policy})
        lake.write("prompts", prompts("x", "y"), Commit("prompts", fingerprint="p"))
        lake.keep_copy()
    return home


@pytest.fixture
def home(tmp_path: Path, filled: Path) -> Path:
    return shutil.copytree(filled, tmp_path / "home")


def prompts(*ids: str) -> pl.DataFrame:
    row = {"pool": "p", "task": "t", "split": "train", "answer": "2", "verifier": "number"}
    row |= {"messages": [{"role": "user", "content": "1 + 1 = ?"}], "source": "s", "licence": "MIT"}
    return pl.DataFrame([{"prompt_id": i, "metadata": None} | row for i in ids])


def files(home: Path) -> dict[Path, bytes]:
    """Every data file with its bytes."""
    return {path: path.read_bytes() for path in sorted((home / "lake/files").rglob("*.parquet"))}


def told(injected: int, lost: int) -> None:
    print(f"faults injected: {injected}, acknowledged versions lost: {lost}")
    assert lost == 0


def refused(home: Path) -> str:
    """The line with which a home does not open."""
    with pytest.raises(OrchardError) as caught:
        Lake(home)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- the catalog -------------------------------------------------------------------------------


def without(home: Path) -> None:
    for side in copies.SIDES:
        (home / f"lake/catalog.sqlite{side}").unlink(missing_ok=True)


def emptied(home: Path) -> None:
    without(home)
    (home / "lake/catalog.sqlite").touch()


def of_another(home: Path) -> None:
    without(home)
    with closing(sqlite3.connect(home / "lake/catalog.sqlite")) as db:
        db.execute("CREATE TABLE contacts (name TEXT)")


def of_no_tables(home: Path) -> None:
    """What is left where the first transaction's WAL is lost."""
    without(home)
    with closing(sqlite3.connect(home / "lake/catalog.sqlite")) as db:
        db.execute("PRAGMA journal_mode = WAL")


def overwritten(home: Path) -> None:
    without(home)
    (home / "lake/catalog.sqlite").write_bytes(b"something else" * 1000)


CATALOGS: dict[Fault, str] = {
    without: "is missing",
    emptied: "is empty",
    of_another: "is another SQLite database",
    of_no_tables: "has no tables",
    overwritten: "file is not a database",
}


@pytest.mark.parametrize("fault", CATALOGS, ids=lambda fault: str(fault.__name__))
def test_data_files_without_their_catalog_are_never_a_new_lake(home: Path, fault: Fault) -> None:
    before = files(home)
    fault(home)
    for _ in range(2):  # the first refusal leaves nothing that the second one takes for a lake
        said = refused(home)
        assert CATALOGS[fault] in said and "`orchard lake restore` takes its copy" in said
        assert files(home) == before
    copies.restore(home / "lake")
    with Lake(home) as lake:
        lake.expire(0)
        lost = (lake.read(TABLE).height != 10) + (lake.read("prompts").height != 2)
    assert files(home) == before
    told(1, lost)


@pytest.mark.parametrize("fault", [without, emptied, of_no_tables])
def test_a_home_without_data_files_may_lack_a_catalog(tmp_path: Path, fault: Fault) -> None:
    (tmp_path / "lake/files").mkdir(parents=True)
    fault(tmp_path)
    with Lake(tmp_path) as lake:
        assert lake.write(TABLE, reference(2), Commit("s")).rows == 2


def test_another_database_is_not_made_a_catalog(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    of_another(tmp_path)
    assert "is another SQLite database" in refused(tmp_path)
    with closing(sqlite3.connect(tmp_path / "lake/catalog.sqlite")) as db:
        assert db.execute("SELECT name FROM sqlite_master").fetchall() == [("contacts",)]


def test_a_catalog_that_is_older_than_its_copy_is_said(home: Path) -> None:
    """As after a copy from elsewhere, or a WAL that is lost."""
    old = (home / "lake/catalog.sqlite").read_bytes()
    with Lake(home) as lake:
        lake.write("prompts", prompts("z"), Commit("prompts"))
        lake.keep_copy()
    without(home)
    (home / "lake/catalog.sqlite").write_bytes(old)
    before = files(home)
    assert "is of a later one: `orchard lake restore` takes that copy" in refused(home)
    copies.restore(home / "lake")
    with Lake(home) as lake:
        told(1, int(lake.read("prompts")["prompt_id"].to_list() != ["z"]))
    assert files(home) == before


def test_an_older_copy_is_taken_back_and_expiry_deletes_no_file(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = copies.copies(home / "lake")[0]
    with Lake(home) as lake:
        lake.write("prompts", prompts("z"), Commit("prompts"))
        lake.keep_copy()
    copies.restore(home / "lake", first.name)
    before = files(home)
    monkeypatch.setattr(releases, "FILE_AGE", timedelta(seconds=-5))
    with Lake(home) as lake:
        assert sorted(lake.read("prompts")["prompt_id"]) == ["x", "y"]
        lake.expire(10)
    assert files(home) == before, "the file of the later version stays: its catalog may come back"
    (aside,) = (home / "lake").glob("replaced-*")
    assert (aside / "catalog.sqlite").exists() and len(list(aside.glob("catalog.0*"))) == 1


def test_some_copies_are_kept(home: Path) -> None:
    with Lake(home) as lake:
        for i in range(copies.KEPT + 2):
            lake.write("prompts", prompts(str(i)), Commit("prompts"))
            lake.keep_copy()
    kept = copies.copies(home / "lake")
    assert len(kept) == copies.KEPT
    with closing(sqlite3.connect(kept[0])) as db:
        (last,) = db.execute("SELECT max(snapshot_id) FROM ducklake_snapshot").fetchone()
    assert copies.version_of(kept[0]) == last
    assert not list((home / "lake/copies").glob(".draft*"))


# --- data files --------------------------------------------------------------------------------


def lost(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flipped(path: Path) -> None:
    """A bit of the data, early in the file, where DuckDB's decompression sees it."""
    data = bytearray(path.read_bytes())
    data[len(data) // 4] ^= 1
    path.write_bytes(data)


DAMAGE: list[Fault] = [lost, empty, cut]


def file_of(home: Path, policy: str) -> Path:
    """The current data file of a partition, by the rows in it."""
    for path in sorted((home / f"lake/files/main/{TABLE}").glob("*.parquet"), reverse=True):
        if policy in pl.read_parquet(path)["policy_id"].to_list():
            return path
    raise AssertionError(f"no file of {policy}")


@pytest.mark.parametrize("fault", DAMAGE)
def test_a_damaged_file_is_named_and_a_write_goes_on(home: Path, fault: Fault) -> None:
    path = file_of(home, "b")
    fault(path)
    with Lake(home) as lake:
        with pytest.raises(OrchardError) as caught:
            lake.read(TABLE)
        line = str(caught.value)
        assert line.startswith(f"table {TABLE}: {path} of version 4 ") and "\n" not in line
        assert "orchard lake verify --repair" in line
        assert lake.read("prompts").height == 2
        assert lake.read(TABLE, where="policy_id = 'a'").height == 3
        assert lake.expire(10) == 0
        written = lake.write(TABLE, reference(4), Commit("reference_logps", fingerprint="f"))
        assert (written.rows, written.changed) == (4, True)
        assert lake.read(TABLE).height == 4
        lake.write(TABLE, reference(5), Commit("reference_logps"))
        told(1, int(lake.read(TABLE).height != 5))


@pytest.mark.parametrize("fault", DAMAGE)
def test_a_partition_with_a_damaged_file_is_written_again(home: Path, fault: Fault) -> None:
    fault(file_of(home, "b"))
    with Lake(home) as lake:
        lake.write(TABLE, reference(4, "b"), Commit("s"), partition={"policy_id": "b"})
        rows = lake.read(TABLE)
    assert sorted(rows["policy_id"]) == ["a"] * 3 + ["b"] * 4
    told(1, 0)


def test_a_partition_does_not_replace_a_damaged_file_of_others(home: Path) -> None:
    """A file of two partitions: writing one of them must not lose the other in silence."""
    both = pl.concat([reference(4, "b"), reference(4, "c")])
    with Lake(home) as lake:
        lake.write(TABLE, both, Commit("s"))
        empty(file_of(home, "b"))
        with pytest.raises(OrchardError, match="orchard lake verify --repair"):
            lake.write(TABLE, reference(4, "b"), Commit("s"), partition={"policy_id": "b"})
        lake.write(TABLE, both, Commit("s"))
        told(1, int(lake.read(TABLE).height != 8))


@pytest.mark.parametrize("fault", DAMAGE)
def test_a_lost_list_of_deleted_rows_is_as_a_lost_file(home: Path, fault: Fault) -> None:
    with Lake(home) as lake:
        delete_one_row(lake)
        (path,) = (home / f"lake/files/main/{TABLE}").glob("*-delete.parquet")
        fault(path)
        with pytest.raises(OrchardError, match=f"table {TABLE}: {path} of version"):
            lake.read(TABLE)
        lake.write(TABLE, reference(4), Commit("s"))
        told(1, int(lake.read(TABLE).height != 4))


def delete_one_row(lake: Lake) -> None:
    """As a step does that removes some rows of a file: the file gets a list of deleted rows."""
    database = lake._database
    statement = f"DELETE FROM {TABLE} WHERE policy_id = 'b' AND text_id = 't0'"
    database.transact(lambda: database.connection.execute(statement))


# --- a home that cannot be written -------------------------------------------------------------

NOBODY = 65_534


@pytest.fixture
def read_only(filled: Path) -> Iterator[Path]:
    """A home where nobody can write; not below pytest's folders, which are its user's alone."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        home = shutil.copytree(filled, Path(folder) / "home")
        paths = [home, *home.rglob("*")]
        for path in paths:
            path.chmod(0o555 if path.is_dir() else 0o444)
        try:
            yield home
        finally:
            for path in paths:
                path.chmod(0o755)


def test_a_read_only_home_is_read(read_only: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in read_only.rglob("*")}
    user = NOBODY if os.geteuid() == 0 else 0
    command = [sys.executable, str(HERE / "read_only_child.py"), str(read_only), str(user)]
    environment = {key: os.environ[key] for key in os.environ if key != "ORCHARD_CATALOG"}
    environment |= {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    said = done.stdout.splitlines()
    assert said[:2] == ["read 10", "version 5"]
    assert len(said) == 8 and all("it is read-only" in line for line in said[2:6])
    assert said[6:] == ["sql 0 True", "tables 0 True"]
    assert {path: path.stat().st_mtime_ns for path in read_only.rglob("*")} == before
    told(4, 0)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no file system can be mounted here: {error}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def fill(disk: Path) -> Path:
    path = disk / "filling"
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    return path


def test_a_query_works_at_a_full_disk(small_disk: Path, filled: Path) -> None:
    home = shutil.copytree(filled, small_disk / "home")
    with Lake(home) as lake:
        filling = fill(small_disk)
        assert lake.read(TABLE).height == 10
        assert lake.sql(f"SELECT count(*) FROM {TABLE}", version=3).item() == 5
        for _ in range(2):
            with pytest.raises(OrchardError, match="no space left for the lake"):
                lake.write(TABLE, reference(3), Commit("s"))
        with Lake(home) as opened_full:
            assert opened_full.read(TABLE).height == 10
            with pytest.raises(OrchardError, match="no space left for the lake"):
                opened_full.write(TABLE, reference(3), Commit("s"))
        filling.unlink()
        assert lake.write(TABLE, reference(3), Commit("s")).rows == 3
        told(3, int(lake.read(TABLE).height != 3))


# --- verify and repair -------------------------------------------------------------------------


def swapped(path: Path) -> None:
    """An older file of the same table in its place."""
    older = min(path.parent.glob("*.parquet"), key=lambda other: other.name)
    assert older != path
    shutil.copyfile(older, path)


def swapped_alike(path: Path) -> None:
    """The same table's rows of another time, with as many bytes and rows."""
    rows = pl.read_parquet(path)
    path.write_bytes(path.read_bytes().replace(b"t0", b"t9"))
    assert pl.read_parquet(path).height == rows.height


FILES: list[Fault] = [lost, empty, cut, flipped, swapped, swapped_alike]


def orchard(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["lake", *arguments], env={"ORCHARD_HOME": str(home)})


@pytest.mark.parametrize("fault", FILES, ids=lambda fault: str(fault.__name__))
def test_each_fault_of_a_current_file_is_found_and_mended(home: Path, fault: Fault) -> None:
    path = file_of(home, "b")
    fault(path)
    before = everything(home)
    shown = orchard(home, "verify")
    assert shown.exit_code == 1
    assert f"table {TABLE}, version 4 to now: main/{TABLE}/{path.name} " in shown.output
    assert " 1 broken" in shown.output and "not as it was committed" in shown.output
    assert everything(home) == before, "verify alone changes nothing"
    mended = orchard(home, "verify", "--repair")
    assert mended.exit_code == 0, mended.output
    assert f"table {TABLE}: 7 rows of 1 files dropped" in mended.output
    with Lake(home) as lake:
        assert lake.read(TABLE)["policy_id"].to_list() == ["a"] * 3
        assert lake.fresh(TABLE, "b7", {"policy_id": "b"}) is None, "its step makes it again"
        assert lake.fresh("prompts", "p") is not None, "other tables stay as they are"
        lake.write(TABLE, reference(7, "b"), Commit("s"), partition={"policy_id": "b"})
        told(1, int(lake.read(TABLE).height != 10))
    assert orchard(home, "verify").exit_code == 0


def everything(home: Path) -> dict[str, bytes]:
    """All files of a lake but those that SQLite makes to read, and locks."""
    found = sorted(path for path in (home / "lake").rglob("*") if path.is_file())
    left_out = ("-shm", "-wal")
    return {str(path): path.read_bytes() for path in found if not path.name.endswith(left_out)}


def test_a_sound_lake_is_said_to_be(home: Path) -> None:
    shown = orchard(home, "verify")
    assert shown.exit_code == 0 and " 0 broken" in shown.output
    (copy,) = copies.copies(home / "lake")
    assert f"orchard lake restore {copy.name}" in shown.output
    assert orchard(home, "restore", copy.name).exit_code == 0
    assert orchard(home, "verify").exit_code == 0


def test_old_versions_of_a_lost_file_are_expired_and_a_releases_stay_broken(home: Path) -> None:
    (old,) = (path for path in files(home) if pl.read_parquet(path).height == 5)
    with Lake(home) as lake:
        assert lake.read(TABLE, version=3).height == 5
        lake.write(TABLE, reference(2), Commit("s"))
        lake.write(TABLE, reference(3, "a"), Commit("s"), partition={"policy_id": "a"})
    old.unlink()
    shown = orchard(home, "verify", "--repair")
    assert shown.exit_code == 0 and " versions expired" in shown.output, shown.output
    with Lake(home) as lake:
        assert lake.read("prompts").height == 2
        version = lake.write("prompts", prompts("z"), Commit("prompts")).version
        lake.tag("v1", version)
        (path,) = (p for p in files(home) if "z" in str(pl.read_parquet(p).to_dicts()))
        lake.write("prompts", prompts("x"), Commit("prompts"))
    path.unlink()
    shown = orchard(home, "verify", "--repair")
    assert shown.exit_code == 1 and "release v1" in shown.output
    assert "what is still broken needs a backup" in shown.output


def test_only_old_orphans_are_deleted(home: Path) -> None:
    folder = home / f"lake/files/main/{TABLE}"
    young, old = folder / "young.parquet", folder / "old.parquet"
    for path in (young, old):
        path.write_bytes(b"left by a kill")
    os.utime(old, (0, 0))
    assert "2 files that no version needs, 1 of them older" in orchard(home, "verify").output
    assert old.exists()
    shown = orchard(home, "verify", "--repair")
    assert shown.exit_code == 0 and f"{old} deleted" in shown.output.replace("\n", "")
    assert young.exists() and not old.exists()


def test_a_flipped_bit_anywhere_in_a_file_is_found(home: Path) -> None:
    path = file_of(home, "b")
    good, missed = path.read_bytes(), 0
    places = range(0, len(good), 23)
    with Lake(home) as lake:
        for place in places:
            bad = bytearray(good)
            bad[place] ^= 1 << place % 8
            path.write_bytes(bad)
            missed += lake.verify().sound
        path.write_bytes(good)
        assert lake.verify().sound
    print(f"bits flipped: {len(places)}, not found: {missed}")
    assert missed == 0


def test_a_damaged_catalog_is_said(home: Path) -> None:
    catalog = home / "lake/catalog.sqlite"
    data = bytearray(catalog.read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    catalog.write_bytes(data)
    shown = orchard(home, "verify")
    assert shown.exit_code == 1 and "`orchard lake restore` takes" in shown.output
    assert orchard(home, "restore").exit_code == 0
    assert orchard(home, "verify").exit_code == 0


def test_files_of_before_checksums_are_read_and_then_have_one(home: Path) -> None:
    with Lake(home) as lake:
        database = lake._database
        database.transact(lambda: database.connection.execute("DELETE FROM file_sums"))
        assert len(lake.verify().unsummed) == 4
        assert "4 checksums written" in " ".join(lake.repair())
        assert lake.verify().sound and not lake.verify().unsummed
    swapped_alike(file_of(home, "b"))
    assert orchard(home, "verify").exit_code == 1


def test_a_lake_whose_format_is_in_a_lost_file_opens(home: Path) -> None:
    """Lakes of before inlined formats keep them in a file; without it nothing opened."""
    with Lake(home) as lake:
        database = lake._database
        execute = database.connection.execute
        execute("CALL lake.set_option('data_inlining_row_limit', 0, table_name => 'formats')")
        database.transact(lambda: execute("INSERT INTO formats VALUES (2, now())"))
    (path,) = (home / "lake/files/main/formats").glob("*.parquet")
    path.unlink()
    with Lake(home) as lake:
        assert lake.read(TABLE).height == 10
    assert "table formats: 1 rows of 1 files dropped" in orchard(home, "verify", "--repair").output
    assert orchard(home, "verify").exit_code == 0
