"""Whether the lake's files are those that were committed; and what can be done where not."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from pipeline.store import added, damage, migrations
from pipeline.store.commits import Commit, Written, record
from pipeline.store.copies import copies
from pipeline.store.database import Database
from pipeline.store.datafiles import CATALOG, DataFile, fault, listed, sums
from pipeline.store.releases import NEEDED
from pipeline.tables import TABLES

ORPHAN_AGE = timedelta(days=7)  # a file that the catalog does not know goes when it is this old
STEP = "lake verify --repair"


@dataclass(frozen=True)
class Broken:
    """A file that is not as it was committed, and who needs it."""

    file: DataFile
    what: str
    releases: list[str]
    old: list[int]  # versions that need it and that nothing else keeps

    def line(self) -> str:
        file = self.file
        ends = "now" if file.ended is None else f"version {file.ended - 1}"
        named = f", release {', '.join(self.releases)}" if self.releases else ""
        return f"table {file.table}, version {file.first} to {ends}{named}: {file.name} {self.what}"

    @property
    def matters(self) -> bool:
        """Whether the current version or a release needs it, and not only versions of the past."""
        return self.file.ended is None or bool(self.releases)


@dataclass(frozen=True)
class Verified:
    """What was looked at, and what is wrong."""

    files: int
    bytes: int
    broken: list[Broken]
    unsummed: list[DataFile] = field(default_factory=list)  # of before there were checksums
    orphans: list[Path] = field(default_factory=list)  # no version needs them
    catalog: str | None = None  # what SQLite says of it, where that is not ok

    @property
    def sound(self) -> bool:
        return not self.catalog and not any(one.matters for one in self.broken)

    def lines(self, database: Database) -> Iterator[str]:
        """What there is to say, one line each."""
        if self.catalog:
            yield f"the catalog is damaged: {self.catalog}: `orchard lake restore` takes a copy"
        for one in self.broken:
            yield one.line() + ("" if one.matters else " (only versions of the past need it)")
        if self.orphans:
            old = sum(_is_old(path) for path in self.orphans)
            yield (
                f"{len(self.orphans)} files that no version needs, {old} of them older than "
                f"{ORPHAN_AGE.days} days, such as {self.orphans[0]}"
            )
        if self.unsummed:
            yield f"{len(self.unsummed)} files have no checksum: they were only read"
        yield f"{self.files} files, {self.bytes / 2**20:.1f} MB, {len(self.broken)} broken"
        known = copies(database.folder)
        if known:
            yield (
                f"{len(known)} copies of the catalog: `orchard lake restore {known[0].name}` "
                "goes back to the latest"
            )


def verify(database: Database) -> Verified:
    """Look at every file that a kept version needs; changes nothing."""
    with database.one_line():
        known, files = sums(database), listed(database)
        kept, needed, named = _versions(database)
        broken = []
        for file in files:
            what = fault(database, file, known.get(file.name))
            versions = [version for version in kept if file.needed_at(version)]
            if what and versions:
                releases = [name for name, version in named if file.needed_at(version)]
                old = [version for version in versions if version not in needed]
                broken.append(Broken(file, what, releases, old))
        return Verified(
            len(files),
            sum(file.bytes for file in files),
            broken,
            [file for file in files if file.name not in known],
            _orphans(database, files),
            _catalog_fault(database),
        )


def repair(database: Database, found: Verified) -> Iterator[str]:
    """Mend what can be mended, and say what was done, one line each.

    Lost rows of a current version leave their table, so that its step makes them again; versions
    with a lost file that nothing needs are expired; old orphans are deleted.
    """
    for table in sorted({one.file.table for one in found.broken if one.file.ended is None}):
        lost = [one.file for one in found.broken if one.file.table == table]
        yield _drop(database, table, [file for file in lost if file.ended is None])
    old = {version for one in verify(database).broken for version in one.old}
    if old:
        with database.one_line(), database.lock():
            database.connection.execute(
                f"CALL ducklake_expire_snapshots('lake', versions => {sorted(old)})"
            )
        yield f"{len(old)} versions expired that need lost files and that nothing else needs"
    for path in filter(_is_old, found.orphans):
        with database.one_line(), database.lock():
            path.unlink(missing_ok=True)
        yield f"{path} deleted: no version needs it"
    whole = {one.file.name for one in found.broken}
    unsummed = [file for file in found.unsummed if file.name not in whole]
    if unsummed:
        root, names = database.folder / "files", [file.name for file in unsummed]
        database.transact(lambda: added.note_sums(database.connection, root, names))
        yield f"{len(unsummed)} checksums written of files that had none"


def _drop(database: Database, table: str, lost: list[DataFile]) -> str:
    """Take the rows of lost files out of a table; the line that says so."""
    held = damage.data_files(database, lost)
    rows = sum(file.rows for file in held)

    def body() -> None:
        damage.drop(database, lost)
        if table in TABLES:
            written = Written(0, 0, 0, changed=True)
            # without a fingerprint: every step of the table is out of date
            record(database, table, Commit(STEP), {}, written, same_as=None, seconds=0.0)
        elif table == "formats":
            migrations.note_format(database)

    with damage.set_aside(database, lost):
        database.transact(body)
    again = "the next run makes them again; what was imported into it must be imported again"
    return f"table {table}: {rows} rows of {len(held)} files dropped: {again}"


def _versions(database: Database) -> tuple[list[int], set[int], list[tuple[str, int]]]:
    """All versions, those that something needs, and the releases."""
    execute = database.connection.execute
    kept = [int(row[0]) for row in execute("SELECT snapshot_id FROM lake.snapshots()").fetchall()]
    needed = {int(row[0]) for row in execute(NEEDED).fetchall() if row[0] is not None}
    named = execute("SELECT name, version FROM releases ORDER BY version").fetchall()
    return kept, needed, [(str(name), int(version)) for name, version in named]


def _orphans(database: Database, files: list[DataFile]) -> list[Path]:
    """Files below the lake's folder that the catalog knows neither as needed nor as given up."""
    root = database.folder / "files"
    given_up = database.connection.execute(
        f"SELECT path FROM {CATALOG}.ducklake_files_scheduled_for_deletion"
    ).fetchall()
    known = {file.path(database) for file in files}
    names = {Path(path).name for (path,) in given_up}
    found = (path for path in sorted(root.rglob("*")) if path.is_file())
    return [path for path in found if path not in known and path.name not in names]


def _is_old(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > ORPHAN_AGE.total_seconds()


def _catalog_fault(database: Database) -> str | None:
    if database.unwritable:
        return None  # its copy was just read whole
    path = Path(database.catalog.removeprefix("sqlite:"))
    with closing(sqlite3.connect(path, timeout=30)) as db:
        try:
            (said,) = db.execute("PRAGMA integrity_check(1)").fetchone()
        except sqlite3.DatabaseError as error:
            return str(error)
    return None if said == "ok" else str(said)
