"""The connection: packaged extensions, the attached catalog,
transactions, and errors in one line.
"""

import errno
import os
import re
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import polars as pl

from pipeline.errors import OrchardError
from pipeline.lock import locked
from pipeline.store import added, advisory, frozen, s3
from pipeline.store.conninfo import server_of
from pipeline.store.copies import CATALOG
from pipeline.store.opening import check_catalog, way_back
from pipeline.store.quoting import quoted
from pipeline.store.reads import refused_by

Parameters = Mapping[str, Any] | Sequence[Any] | None
T = TypeVar("T")

_FULL = re.compile("no space left|disk is full|file too large|quota exceeded", re.IGNORECASE)
_NO_CATALOG = re.compile("malformed|file is not a database", re.IGNORECASE)
_FULL_CODES = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
_NO_FILES = "disabled by configuration"
_ELSEWHERE = re.compile(r'does not match existing data path in the catalog "(.*?)"')
_UNREACHABLE = re.compile(r'Unable to connect to Postgres at "(.*?)": (.*)')


class Database:
    """A DuckDB connection with the lake attached as `lake` and in use,
    so that bare names are the lake's tables.
    """

    def __init__(
        self, home: Path, catalog: str | None = None, unwritable: str | None = None
    ) -> None:
        """Open, and make the folders where they are missing.

        `catalog` is what follows `ducklake:` in an ATTACH; the settings stand in docs/team.md.
        `unwritable` is why nothing can be written (see `frozen`).
        """
        self.folder = home / "lake"
        given = (
            catalog
            or os.environ.get("ORCHARD_CATALOG")
            or f"sqlite:{self.folder / 'catalog.sqlite'}"
        ).removeprefix("ducklake:")
        self.server = server_of(given)
        self.catalog = f"postgres:{self.server.shown}" if self.server else given
        self.files = self._place_of_files()
        self.confined = False
        self._must_hold_lock: Callable[[], None] = _held
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        with self.one_line():
            read_only = frozen.read_only(self.folder) if self.embedded else None
            self.unwritable = unwritable or read_only
            for name in () if self.unwritable else ("files", "tmp"):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
            self.connection = self._connect()

    @property
    def embedded(self) -> bool:
        """Whether the catalog is a file, for one host."""
        return self.server is None

    def attach(self) -> None:
        """Attach the catalog, which makes it at first; the caller holds the lock."""
        if self.embedded:
            check_catalog(Path(self.catalog.removeprefix("sqlite:")), self.folder)
        options = [f"DATA_PATH {quoted(self.files)}"]
        if self.embedded:
            # The catalog remembers an absolute path: without the override a moved home would not
            # open. A shared catalog gets none, so that a second host with another path is an error
            # and not a second set of files.
            options += [
                "OVERRIDE_DATA_PATH true",
                "META_JOURNAL_MODE 'WAL'",
                "META_BUSY_TIMEOUT 30000",
            ]
        elif self.server and self.server.password:
            options += [f"META_SECRET {advisory.SECRET}"]
        catalog = self.catalog
        if self.unwritable and self.embedded:
            self._copy = frozen.copied(Path(catalog.removeprefix("sqlite:")))
            catalog = f"sqlite:{Path(self._copy.name) / CATALOG}"
            options = [*options[:2], "READ_ONLY"]
        self.connection.execute(
            f"ATTACH {quoted('ducklake:' + catalog)} AS lake ({', '.join(options)})"
        )
        self.connection.execute("USE lake")
        self.connection.execute("SET ducklake_max_retry_count = 100")

    @cached_property
    def refused(self) -> frozenset[str]:
        """Names of the table functions that may do more than read."""
        return refused_by(self.connection)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """The writers' lock: a file beside the embedded catalog, or one that PostgreSQL keeps.

        Raises:
            OrchardError: nothing can be written.
        """
        if self.unwritable:
            raise OrchardError(self.unwritable)
        if self.embedded:
            with locked(self.folder / "lock"):
                yield
            return
        with advisory.advisory_lock(self.connection) as self._must_hold_lock:
            yield

    def rows(self, query: str, parameters: Parameters = None) -> pl.DataFrame:
        """The rows that a query answers."""
        return self.connection.execute(query, parameters).pl()

    def transact(self, body: Callable[[], T]) -> tuple[T, int]:
        """Run `body` in one transaction under the lock:
        (its value, the version that the commit made).

        Raises:
            OrchardError: the database or the disk refused; nothing was written.
        """
        with self.one_line(), self.lock():
            with self.transaction():
                value = body()
            query = "SELECT id FROM lake.last_committed_snapshot()"
            row = self.connection.execute(query).fetchone()
        return value, int(row[0]) if row and row[0] is not None else -1

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of what is written, or nothing; the caller holds the lock.

        The files that it adds to an embedded lake are on the disk, and their checksums in the table
        `file_sums`, before it commits. Those of a lake on PostgreSQL may be far away: neither.
        """
        root = self.folder / "files"
        before = added.names(root) if self.embedded else set()
        self.connection.execute("BEGIN")
        try:
            yield
            if self.embedded:
                added.secure(self.connection, root, added.names(root) - before)
            self._must_hold_lock()
            self.connection.execute("COMMIT")
        except BaseException:
            with suppress(duckdb.Error):  # a failed COMMIT has rolled back already
                self.connection.execute("ROLLBACK")
            raise

    @contextmanager
    def reading(self) -> Iterator[None]:
        """A transaction that sees one version throughout; it cannot write and leaves nothing."""
        with self.one_line():
            self.connection.execute("BEGIN TRANSACTION READ ONLY")
            try:
                yield
            finally:
                with suppress(duckdb.Error):  # the error that ended it is the one to show
                    self.connection.execute("ROLLBACK")

    @contextmanager
    def frames(self, frames: Mapping[str, pl.DataFrame]) -> Iterator[None]:
        """Frames as views for a while; they hide tables of the same name."""
        try:
            for name, frame in frames.items():
                # One chunk: DuckDB's threads take a chunk each, and DuckLake writes them in the
                # order of arrival.
                self.connection.register(
                    name, frame.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
                )
            yield
        finally:
            for name in frames:
                with suppress(duckdb.Error):
                    self.connection.unregister(name)

    @contextmanager
    def one_line(self) -> Iterator[None]:
        """Turn errors of the database and the disk into one line that names what to do."""
        try:
            yield
        except (duckdb.Error, OSError) as error:
            raise OrchardError(self._message(error)) from error

    def confine(self) -> None:
        """From now on this connection reads no files but the lake's, and nobody can change that."""
        own = [f"{self.files}/", f"{self._spill()}/"]
        self.connection.execute(f"SET allowed_directories = [{', '.join(map(quoted, own))}]")
        self.connection.execute("SET enable_external_access = false")
        self.connection.execute("SET lock_configuration = true")
        self.confined = True

    def close(self) -> None:
        """Close the connection; a second call does nothing."""
        self.connection.close()
        if self._copy is not None:
            self._copy.cleanup()

    def _connect(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(
            config={
                # a missing extension is an error and not a download
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                # Two processes that spill into one folder would overwrite each other's files.
                "temp_directory": str(self._spill() / uuid.uuid4().hex[:12]),
            }
        )
        scanner = "sqlite_scanner" if self.embedded else "postgres_scanner"
        remote = self.files.startswith(s3.SCHEME)
        for name in (scanner, "ducklake", *(s3.EXTENSIONS if remote else ())):
            connection.execute(f"LOAD {quoted(str(_extension(name)))}")
        connection.execute("SET TimeZone = 'UTC'")
        if remote:
            s3.sign_in(connection, self.files)
        if self.server:
            advisory.attach_server(connection, self.server)
        return connection

    def _spill(self) -> Path:
        return Path(tempfile.gettempdir()) if self.unwritable else self.folder / "tmp"

    def _place_of_files(self) -> str:
        given = os.environ.get("ORCHARD_DATA")
        if not given:
            return str(self.folder / "files")
        if self.embedded:
            raise OrchardError(
                "ORCHARD_DATA is for a catalog that hosts share: set ORCHARD_CATALOG=postgres:..., "
                "or unset ORCHARD_DATA"
            )
        if given.startswith(s3.SCHEME):
            return given
        if not given.startswith("/"):
            raise OrchardError(
                f"ORCHARD_DATA={given!r}: expected s3://BUCKET/FOLDER, or the absolute path of a "
                "folder that all hosts see"
            )
        return given

    def _message(self, error: Exception) -> str:
        text = " ".join(str(error).split("\n\nLINE")[0].split())
        if _FULL.search(text) or getattr(error, "errno", None) in _FULL_CODES:
            return frozen.NO_SPACE.format(folder=self.folder)
        if "disk I/O error" in text and frozen.no_space(self.folder):  # SQLite's word for it
            return frozen.NO_SPACE.format(folder=self.folder)
        if self.embedded and _NO_CATALOG.search(text):
            return f"lake in {self.folder}: its catalog is damaged: {way_back(self.folder)}"
        unreachable = _UNREACHABLE.search(text)
        if unreachable:
            where, reason = unreachable.groups()
            return f"no connection to the catalog of ORCHARD_CATALOG ({where}): {reason}"
        elsewhere = _ELSEWHERE.search(text)
        if elsewhere:
            return f"the catalog's files lie elsewhere: set ORCHARD_DATA={elsewhere[1]}"
        if self.confined and _NO_FILES in text:
            return f"{text.split(' - ')[0]}: queries read only the tables of the lake"
        missing = re.search(r"No snapshot found at version (\d+)", text)
        if missing:
            return f"version {missing[1]} is not in the lake: it expired, or was never made"
        return f"lake in {self.folder}: {text}" if isinstance(error, OSError) else text


def _held() -> None:
    """A lock file is held until it is given back."""


def _extension(name: str) -> Path:
    """The extension's file in site-packages, loaded in place:
    DuckDB's own loader copies it into HOME first.
    """
    package = f"duckdb_extension_{name}"
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for path in Path(folder).glob(f"extensions/v{duckdb.__version__}/{name}.duckdb_extension"):
            return path
    wanted = f"{package.replace('_', '-')}=={duckdb.__version__}"
    raise OrchardError(f"DuckDB's extension {name} is not installed: pip install {wanted}")
