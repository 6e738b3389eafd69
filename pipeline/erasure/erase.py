"""An erasure from its first note to its entry in the table `erasures`.

The note comes first, so that a killed erasure can be finished; the entry last, so that nothing half
done is reported as done. Each step in between may be repeated.
"""

import json
import sqlite3
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import polars as pl

from pipeline import tables
from pipeline.claim import holder_of
from pipeline.engine.forgetting import forget
from pipeline.engine.session import cache_path
from pipeline.erasure import journal, remains, texts
from pipeline.erasure.journal import Note
from pipeline.erasure.plan import (
    Plan,
    current_rows,
    embedded,
    planned_in,
    rows_by_table,
    start_runs,
)
from pipeline.erasure.reach import Search, held_files, unneeded
from pipeline.erasure.request import Request, follow, search_for
from pipeline.errors import OrchardError
from pipeline.live import live_run, preview_lock, ui_lock
from pipeline.lock import locked
from pipeline.store import added
from pipeline.store.commits import Commit, Written, record
from pipeline.store.copies import CATALOG, keep_copy
from pipeline.store.database import Database
from pipeline.store.datafiles import listed, sums
from pipeline.store.quoting import quoted
from pipeline.store.refused import ERASED
from pipeline.store.rewriting import PREFIX, take_out
from pipeline.tables.links import LINKS

STEP = "erase"
PREVIEW_SECONDS = 600.0  # that it waits for the end of a preview, which keeps completions


def erase(home: Path, request: Request, *, with_policies: bool = False) -> Plan:
    """Erase what is asked for from a home; what was planned, with what was found on the way.

    Raises:
        OrchardError: another run or a preview is live, the web UI is open, an earlier erasure is
            not finished, or nothing has what is asked for.
    """
    with live_run(home, "orchard erase", erases=True), locked(preview_lock(home), PREVIEW_SECONDS):
        _must_be_alone(home)
        if journal.read(home) is not None:
            raise OrchardError(
                f"home {home}: an erasure was begun and not finished: "
                "`orchard erase --yes` finishes it, then erase this"
            )
        with embedded(home) as database:
            _put_inlined_rows_into_files(database)
            plan = planned_in(home, database, request, with_policies)
        journal.write(home, plan.note)
        _finish(home, plan.note)
        return plan


def resume(home: Path) -> Note | None:
    """Finish an erasure that was begun; its note, or null where there is none.

    Raises:
        OrchardError: another run or a preview is live, or the web UI is open.
    """
    with live_run(home, "orchard erase", erases=True), locked(preview_lock(home), PREVIEW_SECONDS):
        note = journal.read(home)
        if note is not None:
            _must_be_alone(home)
            _finish(home, note)
        return note


def _must_be_alone(home: Path) -> None:
    ui = holder_of(ui_lock(home))
    if ui is not None:
        raise OrchardError(
            f"the web UI of this home is open ({ui}): its records of runs hold texts too: "
            "close it and run this again"
        )


def _finish(home: Path, note: Note) -> None:
    with embedded(home) as database:
        _refuse_from_now_on(database, note)
        _take_rows_out(home, database, note)
    with embedded(home) as database:
        _forget_completions(home, database, note)
        _note_commits(database, note)
    remains.clear_notes(home, {name for _, name in note.gone})
    if note.with_policies:
        for one in note.trained:
            remains.remove_policy(home, one["checkpoint"])
    remains.remove(home)
    compact(home / "lake")
    with embedded(home) as database:
        _enter(database, note)
    keep_copy(home / "lake")
    journal.remove(home)


def _refuse_from_now_on(database: Database, note: Note) -> None:
    """First, so that no import that is running meanwhile brings it back."""
    rows: list[dict[str, object]] = [
        {"id": one, "erased_on": note.erased_on, "erasure_id": note.erasure_id}
        for one in note.refused
    ]
    _insert(database, ERASED, rows, "id")


def _take_rows_out(home: Path, database: Database, note: Note) -> None:
    """Write files anew, and delete those that no version needs; closes the database."""
    search = Search(database)
    with database.lock():
        _search_again(search, note)
        reached = search.reached()
        if reached.rows:
            note.rows = dict(rows_by_table(search, reached))
            note.current = sorted(current_rows(search, reached))
            journal.write(home, note)
        files = {
            one.data.id: (one.path, reached.rows[one.number])
            for one in search.held
            if one.number in reached.rows
        }
        search.close()
        for path in unneeded(database):
            path.unlink(missing_ok=True)
        database.close()
        if files:
            take_out(database.folder, files)


def _search_again(search: Search, note: Note) -> None:
    search.start((kind, name) for kind, name in note.gone)
    if note.source is not None:
        with suppress(OrchardError):  # its rows are out already
            search_for(search, Request("source", note.source))
    if note.with_policies:
        start_runs(search, note)
    follow(search)


def _forget_completions(home: Path, database: Database, note: Note) -> None:
    """What stays in the cache is what stands in a row that stays."""
    path = cache_path(home)
    if not path.exists():
        return
    kept = texts.marks(held_files(database), {})
    note.completions += forget(path, lambda text: texts.mark(text) in kept)
    journal.write(home, note)


def _note_commits(database: Database, note: Note) -> None:
    """Every step of a changed table is out of date; new files get their checksums."""
    known, root = sums(database), database.folder / "files"
    new = [one.name for one in listed(database) if Path(one.name).name.startswith(PREFIX)]
    new = [name for name in new if name not in known]

    def body() -> None:
        if new:
            added.note_sums(database.connection, root, new)
        for table in note.current:
            counted = database.connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()
            written = Written(0, int(counted[0]) if counted else 0, 0, changed=True)
            record(database, table, Commit(STEP), {}, written, same_as=None, seconds=0.0)

    database.transact(body)


def compact(folder: Path) -> None:
    """Take dead rows out of the catalog's pages and its WAL.

    Raises:
        OrchardError: another process reads the catalog.
    """
    with closing(sqlite3.connect(folder / CATALOG, timeout=30, isolation_level=None)) as catalog:
        try:
            catalog.execute("PRAGMA secure_delete = ON")
            # The files that were given up are deleted already.
            catalog.execute("DELETE FROM ducklake_files_scheduled_for_deletion")
            catalog.execute("VACUUM")
            (busy, *_) = catalog.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.OperationalError:
            busy = True
    if busy:
        raise OrchardError(
            f"lake in {folder}: another process reads it: end it, then `orchard erase --yes` "
            "finishes this erasure"
        )


def _enter(database: Database, note: Note) -> None:
    row: dict[str, object] = {
        "erasure_id": note.erasure_id,
        "kind": note.kind,
        "asked": note.asked,
        "erased_on": note.erased_on,
        "rows": json.dumps(note.rows, sort_keys=True),
        "completions": note.completions,
        "policies": json.dumps([one["policy_id"] for one in note.trained]),
    }
    _insert(database, "erasures", [row], "erasure_id")


def _insert(database: Database, table: str, rows: list[dict[str, object]], key: str) -> None:
    """Insert if absent; never overwrite."""
    frame = pl.DataFrame(rows, schema=tables.empty(table).schema)

    def body() -> None:
        with database.frames({"new": frame}):
            database.connection.execute(
                f'INSERT INTO "{table}" FROM new ANTI JOIN "{table}" USING ({key})'
            )
        written = Written(0, frame.height, 0, changed=True)
        record(database, table, Commit(STEP), {}, written, same_as=None, seconds=0.0)

    database.transact(body)


def _put_inlined_rows_into_files(database: Database) -> None:
    """Rows that the catalog itself holds go into files, with their versions."""
    for table in _inlined(database):
        call = f"CALL ducklake_flush_inlined_data('lake', table_name => {quoted(table)})"
        database.transact(partial(database.connection.execute, call))


def _inlined(database: Database) -> list[str]:
    """Tables of texts of which the catalog itself may hold rows; ours say that it must not."""
    query = """
        SELECT DISTINCT tables.table_name
        FROM __ducklake_metadata_lake.ducklake_inlined_data_tables AS inlined
        JOIN __ducklake_metadata_lake.ducklake_table AS tables USING (table_id)
    """
    found = {str(name) for (name,) in database.connection.execute(query).fetchall()}
    return sorted(found & LINKS.keys())
