"""The completion cache's file: one SQLite database for all processes of a machine."""

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.errors import OrchardError
from pipeline.lock import locked

FORMAT = 2  # of the file; format 1 lacked policy and day
COMMIT_SECONDS = 0.005  # at most this much sampling is lost at a kill; a commit costs less than a millisecond
SECONDS_PER_DAY = 86_400

SCHEMA = """
CREATE TABLE IF NOT EXISTS policies (id INTEGER PRIMARY KEY, policy_id TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS completions (
    key BLOB PRIMARY KEY, value TEXT NOT NULL, policy INTEGER, day INTEGER
) WITHOUT ROWID;
"""


class CacheFile:
    """Key to JSON value, with the policy that it came from and the day that it was sampled on.

    A value is on disk at most `COMMIT_SECONDS` after `put`, whatever the caller does next: a thread of its own
    commits, so that an event loop that waits or ends delays nothing.

    Raises (at opening): OrchardError: not a cache, damaged, from a newer version, or no space or permission.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._dirty = threading.Event()
        self._failure: sqlite3.Error | None = None
        self._policies: dict[str, int] = {}
        self._committer: threading.Thread | None = None
        self._db = _open(path)

    def get(self, key: bytes) -> Any:
        """The value of a key; null where there is none."""
        with self._lock, self._plain_errors():
            row = self._db.execute("SELECT value FROM completions WHERE key = ?", (key,)).fetchone()
        return None if row is None else json.loads(row[0])

    def put(self, key: bytes, value: Any, policy_id: str) -> None:
        """Keeps a value; one that is known stays as it is."""
        with self._lock, self._plain_errors():
            if self._failure:
                raise self._failure
            row = (key, json.dumps(value), self._policy(policy_id), int(time.time()) // SECONDS_PER_DAY)
            self._db.execute("INSERT OR IGNORE INTO completions VALUES (?, ?, ?, ?)", row)
        if self._committer is None:
            self._committer = threading.Thread(target=self._commit_soon, name="cache-commit", daemon=True)
            self._committer.start()
        self._dirty.set()

    def commit(self) -> None:
        """Writes everything to disk now."""
        self._dirty.clear()
        with self._lock, self._plain_errors():
            self._db.commit()

    def stats(self) -> pl.DataFrame:
        """Per policy: completions, megabytes of values, first and last day."""
        query = """
            SELECT coalesce(policy_id, '(before format 2)'), count(*), sum(length(value)), min(day), max(day)
            FROM completions LEFT JOIN policies ON policies.id = policy GROUP BY policy ORDER BY 2 DESC
        """
        with self._lock, self._plain_errors():
            rows = self._db.execute(query).fetchall()
        day = pl.col("first_day", "last_day").cast(pl.Int32).cast(pl.Date)
        schema = {"policy_id": pl.String, "completions": pl.Int64, "bytes": pl.Int64, "first_day": pl.Int64, "last_day": pl.Int64}  # fmt: skip  # noqa: E501
        frame = pl.DataFrame(rows, schema=schema, orient="row")
        return frame.with_columns(day, megabytes=(pl.col("bytes") / 2**20).round(2)).drop("bytes")

    def prune(self, *, keep_policies: set[str] | None = None, keep_days: int | None = None) -> int:
        """Forgets completions of other policies, or older than some days, and gives the space back; how many."""
        wanted, values = [], []
        if keep_policies is not None:
            marks = ", ".join("?" * len(keep_policies))
            wanted.append(f"policy NOT IN (SELECT id FROM policies WHERE policy_id IN ({marks})) OR policy IS NULL")
            values += sorted(keep_policies)
        if keep_days is not None:
            wanted.append("day IS NULL OR day < ?")
            values.append(str(int(time.time()) // SECONDS_PER_DAY - keep_days))
        if not wanted:
            return 0
        with self._lock, self._plain_errors():
            gone = self._db.execute(f"DELETE FROM completions WHERE {' OR '.join(wanted)}", values).rowcount
            self._db.commit()
            self._db.execute("VACUUM")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return gone

    def verify(self) -> list[str]:
        """What is wrong with the file, one line each; nothing where all is well."""
        with self._lock, self._plain_errors():
            faults = [row[0] for row in self._db.execute("PRAGMA integrity_check") if row[0] != "ok"]
            for key, value in self._db.execute("SELECT key, value FROM completions"):
                if not _sound(value):
                    faults.append(f"completion {key.hex()}: not a value that this version writes")
        return faults

    def close(self) -> None:
        """Commits and closes."""
        self.commit()
        with self._lock:
            self._db.close()

    def _policy(self, policy_id: str) -> int:
        if policy_id not in self._policies:
            self._db.execute("INSERT OR IGNORE INTO policies (policy_id) VALUES (?)", (policy_id,))
            row = self._db.execute("SELECT id FROM policies WHERE policy_id = ?", (policy_id,)).fetchone()
            self._policies[policy_id] = int(row[0])
        return self._policies[policy_id]

    def _commit_soon(self) -> None:
        """The thread: soon after the first value that is not on disk, all of them are."""
        while True:
            self._dirty.wait()
            time.sleep(COMMIT_SECONDS)
            self._dirty.clear()
            with self._lock:
                try:
                    self._db.commit()
                except sqlite3.ProgrammingError:
                    return  # closed
                except sqlite3.Error as error:
                    self._failure = error  # the next put raises it where someone sees it

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise OrchardError(f"completion cache {self.path}: {error}: free space, then start again") from error
        except sqlite3.DatabaseError as error:
            raise _damaged(self.path, error) from error


def salvage(path: Path) -> tuple[int, Path]:
    """Moves a damaged file aside and makes a new one of every value that can still be read; (values, the old file).

    Rows are read in both directions, so that one bad page costs what lies on it and not all that lies behind it.
    """
    old = path.with_name(f"{path.name}.damaged-{int(time.time())}")
    path.rename(old)
    for suffix in ("-wal", "-shm"):
        side = path.with_name(path.name + suffix)
        if side.exists():
            side.rename(old.with_name(old.name + suffix))
    new = CacheFile(path)
    kept = 0
    source = sqlite3.connect(old)
    source.execute("PRAGMA writable_schema = ON")  # else SQLite refuses a file that is shorter than its header says
    for direction in ("ASC", "DESC"):
        with suppress(sqlite3.DatabaseError):
            names = dict(source.execute("SELECT id, policy_id FROM policies"))
            query = f"SELECT key, value, policy FROM completions ORDER BY key {direction}"
            for key, value, policy in source.execute(query):
                if _sound(value) and new.get(key) is None:
                    new.put(key, json.loads(value), names.get(policy, "salvaged"))
                    kept += 1
    source.close()
    new.close()
    return kept, old


def _sound(value: object) -> bool:
    """A completion is a list of six, a verdict a list of numbers."""
    try:
        found = json.loads(str(value))
    except ValueError:
        return False
    if not isinstance(found, list):
        return False
    return len(found) == 6 if found and isinstance(found[0], str) else all(isinstance(x, float | int) for x in found)


def _damaged(path: Path, error: Exception) -> OrchardError:
    return OrchardError(
        f"completion cache {path}: {error}: `orchard cache verify --repair` keeps what can still be read;"
        " or delete the file, or set engine.cache: false"
    )


def _open(path: Path) -> sqlite3.Connection:
    """Opens or makes the file; WAL lets other processes read and write beside this one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Two processes that make or upgrade the file at once: SQLite does not wait for a change of the journal mode.
        with locked(path.with_name(f".{path.name}.lock")):
            db = _ready(path)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise OrchardError(f"completion cache {path}: {error}: free space, or set ORCHARD_HOME") from error
        raise _damaged(path, error) from error
    except OSError as error:
        raise OrchardError(
            f"completion cache {path}: {error.strerror}: set ORCHARD_HOME to a writable folder"
        ) from error
    return db


def _ready(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=30, check_same_thread=False)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    found = int(db.execute("PRAGMA user_version").fetchone()[0])
    if found > FORMAT:
        raise OrchardError(
            f"completion cache {path}: written by a newer Orchard (format {found}, this one reads {FORMAT}): "
            "update Orchard, or move the file away"
        )
    _upgrade(db, found)
    return db


def _upgrade(db: sqlite3.Connection, found: int) -> None:
    old = db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'completions'").fetchone()[0]
    if old and found < FORMAT:
        columns = {row[1] for row in db.execute("PRAGMA table_info(completions)")}
        for name in ("policy", "day"):
            if name not in columns:
                db.execute(f"ALTER TABLE completions ADD COLUMN {name} INTEGER")
    if found < FORMAT:
        db.executescript(SCHEMA)
        db.execute(f"PRAGMA user_version = {FORMAT}")
        db.commit()
