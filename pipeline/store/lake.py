"""The lake: write a table, read it at a version, tag a release, compare two versions, expire old ones."""

import re
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
import polars as pl
import pyarrow as pa

from pipeline import config, tables
from pipeline.errors import OrchardError
from pipeline.ids import content_id
from pipeline.store import layout, releases
from pipeline.store.checks import Checked, check, declared
from pipeline.store.commits import Commit, Entry, Partition, Written, entries, latest, record
from pipeline.store.database import Database, Parameters
from pipeline.store.replace import replace_rejects, replace_rows

_READS = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}


class Lake:
    """All tables of a data folder. One connection: open one Lake per process, and as many processes as you like."""

    def __init__(self, home: Path, catalog: str | None = None) -> None:
        """Open the lake of a data folder, or make it.

        Args:
            home: the data folder; it may have been moved since.
            catalog: what follows `ducklake:` in an ATTACH; default ORCHARD_CATALOG, then SQLite in the data folder.

        Raises:
            OrchardError: no extension, no space, no permission, or not a catalog.
        """
        self.home = Path(home).expanduser().resolve()
        self._database = Database(self.home, catalog)
        try:
            with self._database.one_line(), self._database.lock():
                self._database.attach()
                layout.ensure(self._database)
        except BaseException:
            self._database.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; a second call does nothing."""
        self._database.close()

    def write(
        self,
        table: str,
        rows: pl.DataFrame,
        commit: Commit,
        *,
        partition: Partition | None = None,
        rejects: pl.DataFrame | None = None,
    ) -> Written:
        """Replace a table, or the rows of one partition, in one transaction.

        Rows that break a rule go to `rejects`, in place of those that the same step had for this table before.

        Args:
            table: a declared table.
            rows: all its columns, in any order; values are cast.
            commit: who writes, and from what.
            partition: replace only rows with these values; all of `rows` must have them.
            rejects: rows that the step itself dropped, shaped as the table `rejects`.

        Raises:
            OrchardError: unknown table or column, a row outside the partition, or no space; nothing was written.
        """
        started = time.monotonic()
        checked = check(table, rows, commit.step, partition, rejects)
        body = partial(self._replace, table, checked, commit, partition or {}, started)
        (written, same_as), version = self._database.transact(body)
        return replace(written, version=version if same_as is None else same_as)

    def fresh(self, table: str, fingerprint: str, partition: Partition | None = None) -> int | None:
        """The version of the last commit to the table or partition if it has this fingerprint, else None."""
        declared(table)
        entry = latest(self._entries(table), partition or {})
        if entry is None or not fingerprint or entry.fingerprint != fingerprint:
            return None
        return entry.version if entry.partition == (partition or {}) else None

    def fingerprint(self, table: str) -> str:
        """What a table's rows came from: a hash of the last fingerprint of every partition of it.

        A commit without a fingerprint counts by its version.
        """
        declared(table)
        last: dict[str, str] = {}
        for entry in self._entries(table):
            last.setdefault(repr(sorted(entry.partition.items())), entry.fingerprint or str(entry.version))
        return content_id(table, sorted(last.items()))

    def read(self, table: str, *, version: int | None = None, where: str | None = None) -> pl.DataFrame:
        """A table's rows, now or at a version; empty where it was not written yet.

        Raises:
            OrchardError: no such table or version, or a condition that is not SQL.
        """
        declared(table)
        condition = f" WHERE {where}" if where else ""
        return layout.conform(table, self.sql(f'SELECT * FROM "{table}"{condition}', version=version))

    def arrow(self, table: str, version: int | None = None) -> pa.Table:
        """A table's rows as Arrow, with the plain types that every reader knows (large strings, no views)."""
        return self.read(table, version=version).to_arrow(compat_level=pl.CompatLevel.oldest())

    def sql(
        self,
        query: str,
        parameters: Parameters = None,
        *,
        version: int | None = None,
        frames: Mapping[str, pl.DataFrame] | None = None,
    ) -> pl.DataFrame:
        """Ask the tables by their bare names, in DuckDB's SQL.

        Args:
            query: one SELECT.
            parameters: for `$name` or `?`.
            version: read every table as it was then; `commits` and `releases` stay as they are now.
            frames: more tables for this query; they hide the lake's of the same name.

        Raises:
            OrchardError: a statement that writes, a mistake in the query, or no such version; in one line.
        """
        with ExitStack() as stack:
            stack.enter_context(self._database.one_line())
            _only_reads(query)
            stack.enter_context(self._database.frames(frames or {}))
            if version is not None:
                self._show_at(stack, version, _mentioned(query, frames or {}))
            stack.enter_context(self._database.reading())
            return self._database.rows(query, parameters)

    def query_file(self, name: str, /, **parameters: Any) -> pl.DataFrame:
        """Run sql/<name>.sql with `$name` parameters."""
        path = config.SHIPPED / "sql" / f"{name}.sql"
        if not path.is_file():
            known = ", ".join(sorted(file.stem for file in path.parent.glob("*.sql"))) or "none"
            raise OrchardError(f"no query {name!r} in {path.parent}: there are {known}")
        return self.sql(path.read_text(encoding="utf-8"), parameters or None)

    def version(self, table: str) -> int:
        """The last version that changed a table; 0, where all tables are empty, if none did."""
        declared(table)
        query = 'SELECT max(version) FROM commits WHERE "table" = $table'
        if table == "rejects":  # they come with the commits of other tables
            query = "SELECT max(snapshot) FROM commits WHERE $table = 'rejects'"
        return int(self.sql(query, {"table": table}).item() or 0)

    def history(self, table: str) -> pl.DataFrame:
        """A table's commits, oldest first: version, step, run, fingerprint, parents, rows, seconds, ..."""
        declared(table)
        return self.sql('SELECT * FROM commits WHERE "table" = ? ORDER BY snapshot', [table])

    def tag(self, name: str, version: int | None = None) -> int:
        """Name a version, by default the current one, so that it never expires; the version.

        Raises:
            OrchardError: the name stands for another version, or there is no such version.
        """
        return releases.tag(self._database, name, version)

    def releases(self) -> pl.DataFrame:
        """Tagged versions, oldest first: name, version, tagged_at."""
        return self.sql("SELECT * FROM releases ORDER BY tagged_at, name")

    def diff(self, table: str, old: int, new: int) -> pl.DataFrame:
        """Rows in which two versions differ, with a first column `change`.

        insert and delete: the key is in one version only; update_preimage and update_postimage: it is in both.
        """
        schema = declared(table)
        return releases.diff(self.read(table, version=old), self.read(table, version=new), schema.primary_key())

    def expire(self, keep_days: float) -> int:
        """Forget versions older than `keep_days` days that no release names and no last commit needs; how many.

        Files that nothing needs any more are deleted at a later call, when they are over a day old.
        """
        return releases.expire(self._database, keep_days)

    def _replace(
        self, table: str, checked: Checked, commit: Commit, partition: Partition, started: float
    ) -> tuple[Written, int | None]:
        """The body of a write: what it did (its version is known after the commit), and the version it repeats."""
        last = latest(entries(self._database, table), partition)
        changed = replace_rows(self._database, table, checked.rows, partition) or last is None
        replace_rejects(self._database, table, commit.step, checked.rejects, partition)
        same_as = None if changed or last is None else last.version
        written = Written(0, checked.rows.height, checked.rejects.height, changed)
        record(self._database, table, commit, partition, written, same_as=same_as, seconds=time.monotonic() - started)
        return written, same_as

    def _entries(self, table: str) -> list[Entry]:
        with self._database.reading():
            return entries(self._database, table)

    def _show_at(self, stack: ExitStack, version: int, names: list[str]) -> None:
        """Temporary views that hide the tables until the stack is left."""
        connection = self._database.connection
        releases.must_exist(self._database, version)
        for name in names:
            source = f'lake.main."{name}" AT (VERSION => {int(version)})'
            try:
                connection.execute(f'CREATE OR REPLACE TEMP VIEW "{name}" AS FROM {source}')
            except duckdb.CatalogException:  # declared after that version was made
                stack.enter_context(self._database.frames({name: tables.empty(name)}))
            else:
                stack.callback(connection.execute, f'DROP VIEW IF EXISTS temp.main."{name}"')


def _mentioned(query: str, hidden: Mapping[str, pl.DataFrame]) -> list[str]:
    words = set(re.findall(r"\w+", query.lower()))
    return [name for name in tables.TABLES if name in words and name not in hidden]


def _only_reads(query: str) -> None:
    kinds = [statement.type for statement in duckdb.extract_statements(query)]
    # PIVOT parses into the CREATE of a temporary type and a SELECT; any other CREATE fails: the transaction only reads.
    allowed = {*_READS, duckdb.StatementType.CREATE}
    if not kinds or kinds[-1] not in _READS or any(kind not in allowed for kind in kinds):
        found = next((kind.name for kind in kinds if kind not in _READS), "nothing")
        raise OrchardError(f"SQL here only reads: expected one SELECT, not {found}; tables are written by Lake.write")
