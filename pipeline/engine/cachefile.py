"""The completion cache's file: one SQLite database for all processes of a machine.

`put` never waits for the disk or for another process: a thread of the file's own inserts and
commits what is new in one short transaction. (A transaction that stays open between two puts keeps
every other process from writing: four on one cache were blocked for half of their time.)
"""

import json
import logging
import sqlite3
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import polars as pl

from pipeline.errors import OrchardError
from pipeline.lock import locked, shared

FORMAT = 3  # of the file; format 2 lacked checksums, format 1 policy and day too
COMMIT_SECONDS = 0.005  # from `put` to the commit, of less than a millisecond: what a kill may cost
BUSY_SECONDS = 30.0  # how long another process may hold the file, compacting it say
SECONDS_PER_DAY = 86_400
log = logging.getLogger(__name__)

RAW = "CAST(value AS BLOB)"  # a value that is no text in UTF-8 any more can be read, too
INSERT = """
INSERT OR IGNORE INTO completions (key, value, policy, day, crc)
VALUES (?, ?, (SELECT id FROM policies WHERE policy_id = ?), ?, ?)
"""
SCHEMA = """
CREATE TABLE IF NOT EXISTS policies (id INTEGER PRIMARY KEY, policy_id TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS completions (
    key BLOB PRIMARY KEY, value TEXT NOT NULL, policy INTEGER, day INTEGER, crc INTEGER
) WITHOUT ROWID;
"""


class CacheFile:
    """Key to JSON value, with the policy that it came from, the day that it was sampled on, and a
    checksum: a value that was changed on the disk is none, and is asked for again.

    A value can be read at once, and is in the file soon after `COMMIT_SECONDS` (later only while
    another process writes), whatever the caller does next: an event loop that waits or ends delays
    nothing.

    Raises (at opening): OrchardError: not a cache, damaged, from a newer version, or no space or
    permission.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # not in the file yet: value, policy, day, checksum
        self._waiting: dict[bytes, tuple[str, str, int, int]] = {}
        self._damaged: set[bytes] = set()  # in the file until the next commit
        # of what waits and of the reader; never held while something is written
        self._lock = threading.Lock()
        self._writing = threading.Lock()  # of the writer
        self._dirty = threading.Event()
        self._closed = False
        self._failure: OrchardError | None = None
        self._committer: threading.Thread | None = None
        self._used, self._db = opened(path)
        self._reader = sqlite3.connect(path, timeout=BUSY_SECONDS, check_same_thread=False)

    def get(self, key: bytes) -> Any:
        """The value of a key; null where there is none, or a damaged one."""
        with self._lock, one_line(self.path):
            waiting = self._waiting.get(key)
            if waiting is not None:
                return json.loads(waiting[0])
            query = f"SELECT {RAW}, crc FROM completions WHERE key = ?"
            found = self._reader.execute(query, (key,)).fetchone()
            if found is None:
                return None
            if is_whole(key, *found):
                return json.loads(found[0])
            if not self._damaged:
                log.warning("completion cache %s: damaged values are asked for again", self.path)
            self._damaged.add(key)
            return None

    def put(self, key: bytes, value: Any, policy_id: str) -> None:
        """Keeps a value; one that is known stays as it is.

        Raises:
            OrchardError: values that were put before cannot be written.
        """
        assert not self._closed
        if self._failure:
            raise self._failure
        text = json.dumps(value)
        day = int(time.time()) // SECONDS_PER_DAY
        row = (text, policy_id, day, checksum(key, text.encode()))
        with self._lock:
            self._waiting.setdefault(key, row)
        if self._committer is None:
            self._committer = threading.Thread(
                target=self._commit_soon, name="cache-commit", daemon=True
            )
            self._committer.start()
        self._dirty.set()

    def commit(self) -> None:
        """Writes everything to disk now; what cannot be written waits on."""
        self._dirty.clear()
        with self._writing, one_line(self.path):
            with self._lock:
                new, damaged = dict(self._waiting), set(self._damaged)
            try:
                policies = {(policy,) for _, policy, _, _ in new.values()}
                self._db.executemany(
                    "DELETE FROM completions WHERE key = ?", [(key,) for key in damaged]
                )
                self._db.executemany(
                    "INSERT OR IGNORE INTO policies (policy_id) VALUES (?)", policies
                )
                self._db.executemany(INSERT, ((key, *row) for key, row in new.items()))
                self._db.commit()
            except BaseException:
                self._db.rollback()
                raise
            with self._lock:
                for key in new:
                    del self._waiting[key]
                self._damaged -= damaged
            self._failure = None

    def stats(self) -> pl.DataFrame:
        """Per policy: completions, megabytes of values, first and last day."""
        query = """
            SELECT coalesce(policy_id, '(before format 2)'), count(*), sum(length(value)),
                   min(day), max(day)
            FROM completions LEFT JOIN policies ON policies.id = policy
            GROUP BY policy ORDER BY 2 DESC
        """
        self.commit()
        with self._writing, one_line(self.path):
            rows = self._db.execute(query).fetchall()
        day = pl.col("first_day", "last_day").cast(pl.Int32).cast(pl.Date)
        schema = {"policy_id": pl.String, "completions": pl.Int64, "bytes": pl.Int64, "first_day": pl.Int64, "last_day": pl.Int64}  # fmt: skip  # noqa: E501
        frame = pl.DataFrame(rows, schema=schema, orient="row")
        return frame.with_columns(day, megabytes=(pl.col("bytes") / 2**20).round(2)).drop("bytes")

    def prune(self, *, keep_policies: set[str] | None = None, keep_days: int | None = None) -> int:
        """Forgets completions of other policies, or older than some days, and gives the space back;
        how many.
        """
        wanted, values = [], []
        if keep_policies is not None:
            marks = ", ".join("?" * len(keep_policies))
            wanted.append(
                f"policy NOT IN (SELECT id FROM policies WHERE policy_id IN ({marks})) "
                "OR policy IS NULL"
            )
            values += sorted(keep_policies)
        if keep_days is not None:
            wanted.append("day IS NULL OR day < ?")
            values.append(str(int(time.time()) // SECONDS_PER_DAY - keep_days))
        if not wanted:
            return 0
        self.commit()
        with self._writing, one_line(self.path):
            gone = self._db.execute(
                f"DELETE FROM completions WHERE {' OR '.join(wanted)}", values
            ).rowcount
            self._db.commit()
            self._db.execute("VACUUM")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return gone

    def verify(self) -> list[str]:
        """What is wrong with the file, one line each; nothing where all is well."""
        self.commit()
        with self._writing, one_line(self.path):
            faults = [
                row[0] for row in self._db.execute("PRAGMA integrity_check") if row[0] != "ok"
            ]
            for key, value, crc in self._db.execute(f"SELECT key, {RAW}, crc FROM completions"):
                if not is_whole(key, value, crc):
                    faults.append(f"completion {key.hex()}: not the value that was written")
                elif not sound(value):
                    faults.append(f"completion {key.hex()}: not a value that this version writes")
        return faults

    def close(self) -> None:
        """Commits and closes."""
        self._closed = True
        self._dirty.set()
        if self._committer:
            self._committer.join()
        try:
            self.commit()
        finally:
            self._db.close()
            self._reader.close()
            self._used.close()

    def _commit_soon(self) -> None:
        """The thread: soon after the first value that is not in the file, all of them are."""
        while not self._closed:
            self._dirty.wait()
            time.sleep(COMMIT_SECONDS)
            try:
                self.commit()
            except OrchardError as error:
                self._failure = error  # the next put raises it where someone sees it


@contextmanager
def one_line(path: Path) -> Iterator[None]:
    """SQLite's errors as one line that names what to do."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise OrchardError(
            f"completion cache {path}: {error}: free space, then start again"
        ) from error
    except sqlite3.Error as error:
        raise _damaged(path, error) from error


def checksum(key: bytes, value: bytes) -> int:
    """CRC-32 of a key and its value: it differs wherever up to 32 bits in a row do."""
    return zlib.crc32(value, zlib.crc32(key))


def is_whole(key: bytes, value: bytes, crc: object) -> bool:
    """Whether a value is as it was written; one of before there were checksums is taken for it
    where it is sound.
    """
    return sound(value) if crc is None else checksum(key, value) == crc


def sound(value: bytes) -> bool:
    """A completion is a list of six, a chat server's one of eight, a verdict a list of numbers."""
    try:
        found = json.loads(value)
    except ValueError:
        return False
    if not isinstance(found, list):
        return False
    return (
        len(found) in (6, 8)
        if found and isinstance(found[0], str)
        else all(isinstance(x, float | int) for x in found)
    )


def _damaged(path: Path, error: Exception) -> OrchardError:
    return OrchardError(
        f"completion cache {path}: {error}: "
        "`orchard cache verify --repair` keeps what can still be read; "
        "or delete the file, or set engine.cache: false"
    )


def in_use(path: Path) -> Path:
    """The lock file that everyone shares who has the cache open."""
    return path.with_name(f".{path.name}.open")


def opened(path: Path) -> tuple[IO[bytes], sqlite3.Connection]:
    """Opens or makes the file, and says so until the first of the two is closed.

    WAL lets other processes read and write beside this one.
    """
    with ExitStack() as failed:
        with _openable(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            used = failed.enter_context(shared(in_use(path)))
            # Two processes that make or upgrade the file at once: SQLite does not wait for a change
            # of journal mode.
            with locked(path.with_name(f".{path.name}.lock")):
                db = connected(path)
        failed.pop_all()
    return used, db


@contextmanager
def _openable(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise OrchardError(
                f"completion cache {path}: {error}: free space, or set ORCHARD_HOME"
            ) from error
        raise _damaged(path, error) from error
    except OSError as error:
        raise OrchardError(
            f"completion cache {path}: {error.strerror}: set ORCHARD_HOME to a writable folder"
        ) from error


def connected(path: Path) -> sqlite3.Connection:
    """A connection to the file, which is made or brought to this format."""
    db = sqlite3.connect(path, timeout=BUSY_SECONDS, check_same_thread=False)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    found = int(db.execute("PRAGMA user_version").fetchone()[0])
    if found > FORMAT:
        raise OrchardError(
            f"completion cache {path}: written by a newer Orchard "
            f"(format {found}, this one reads {FORMAT}): update Orchard, or move the file away"
        )
    _upgrade(db, found)
    return db


def _upgrade(db: sqlite3.Connection, found: int) -> None:
    old = db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'completions'").fetchone()[0]
    if old and found < FORMAT:
        columns = {row[1] for row in db.execute("PRAGMA table_info(completions)")}
        for name in ("policy", "day", "crc"):
            if name not in columns:
                db.execute(f"ALTER TABLE completions ADD COLUMN {name} INTEGER")
    if found < FORMAT:
        db.executescript(SCHEMA)
        db.execute(f"PRAGMA user_version = {FORMAT}")
        db.commit()
