"""The lake: write a table, read it at a version, tag a release,
compare two versions, expire old ones.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
import polars as pl
import pyarrow as pa

from pipeline import tables
from pipeline.errors import OrchardError
from pipeline.store import damage, layout, releases
from pipeline.store.checks import Checked, declared
from pipeline.store.commits import Commit, Entry, Partition, Written, entries, latest, overlap
from pipeline.store.connect import at_a_full_disk, opened
from pipeline.store.copies import keep_copy
from pipeline.store.database import Database, Parameters
from pipeline.store.files import query_text
from pipeline.store.reads import check_reads
from pipeline.store.verify import Verified, repair, verify
from pipeline.store.writing import Change, write_prompts, write_together


class Lake:
    """All tables of a data folder.

    One connection: open one Lake per process, and as many processes as you like.
    """

    def __init__(self, home: Path, catalog: str | None = None) -> None:
        """Open the lake of a data folder, or make it.

        One that cannot be written, because the home is read-only or the disk full, can be read.

        Args:
            home: the data folder; it may have been moved since.
            catalog: what follows `ducklake:` in an ATTACH; default ORCHARD_CATALOG, then SQLite in
                the data folder.

        Raises:
            OrchardError: no extension, no space, no permission, or not a catalog.
        """
        self.home = Path(home).expanduser().resolve()
        self._database = opened(self.home, catalog)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
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

        Rows that break a rule go to `rejects`, in place of those that the same step had for this
        table before.

        Args:
            table: a declared table.
            rows: all its columns, in any order; values are cast.
            commit: who writes, and from what.
            partition: replace only rows with these values; all of `rows` must have them.
            rejects: rows that the step itself dropped, shaped as the table `rejects`.

        Raises:
            OrchardError: unknown table or column, a row outside the partition, or no space; nothing
                was written.

        A lost or damaged file whose rows would all be replaced is dropped.
        """
        return self.write_together(commit, [Change(table, rows, partition or {}, rejects)])[0]

    def write_together(self, commit: Commit, changes: Sequence[Change]) -> list[Written]:
        """Make one change to each of several tables in one transaction: all of them, or none.

        Raises:
            OrchardError: as for `write`; or two changes to one table.
        """
        return write_together(self._database, commit, changes)

    def write_prompts(
        self,
        table: str,
        staged: Sequence[Checked],
        prompts: pl.DataFrame,
        commit: Commit,
        *,
        partition: Partition | None = None,
    ) -> Written:
        """Replace the rows of some prompts, and what the step rejected for them,
        in one transaction.

        Args:
            table: a declared table with the columns prompt_id and recipe.
            staged: the new rows and rejects, checked chunk by chunk.
            prompts: a column prompt_id: those whose rows go, with or without new ones.
            commit: who writes, and from what.
            partition: touch only rows with these values.

        Where nothing but recipes changes, the version stays: what was made from the rows is as it
            was.
        """
        return write_prompts(self._database, table, staged, prompts, commit, partition or {})

    def fresh(self, table: str, fingerprint: str, partition: Partition | None = None) -> int | None:
        """The version of the last commit to the table or partition if it has this fingerprint,
        else None.
        """
        declared(table)
        entry = latest(self._entries(table), partition or {})
        if entry is None or not fingerprint or entry.fingerprint != fingerprint:
            return None
        return entry.version if entry.partition == (partition or {}) else None

    def read(
        self, table: str, *, version: int | None = None, where: str | None = None
    ) -> pl.DataFrame:
        """A table's rows, now or at a version; empty where it was not written yet.

        Raises:
            OrchardError: no such table or version, or a condition that is not SQL.
        """
        declared(table)
        condition = f" WHERE {where}" if where else ""
        return layout.conform(
            table, self.sql(f'SELECT * FROM "{table}"{condition}', version=version)
        )

    def conform(self, table: str, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows with a table's declared columns and types; a column that they lack is null."""
        return layout.conform(table, rows)

    def arrow(self, table: str, version: int | None = None) -> pa.Table:
        """A table's rows as Arrow,
        with the plain types that every reader knows (large strings, no views).
        """
        return self.read(table, version=version).to_arrow(compat_level=pl.CompatLevel.oldest())

    def confine(self) -> None:
        """From now on queries read the tables and no other files: for queries of others."""
        self._database.confine()

    def sql(
        self,
        query: str,
        parameters: Parameters = None,
        *,
        version: int | None = None,
        frames: Mapping[str, pl.DataFrame] | None = None,
        only: Mapping[str, str] | None = None,
    ) -> pl.DataFrame:
        """Ask the tables by their bare names, in DuckDB's SQL.

        Args:
            query: one SELECT.
            parameters: for `$name` or `?`.
            version: read every table as it was then; `commits` and `releases` stay as they are now.
            frames: more tables for this query; they hide the lake's of the same name.
            only: of these tables, the rows for which a condition in SQL holds.

        Raises:
            OrchardError: a statement that writes, a mistake in the query, or no such version; in
                one line.
        """
        asked = partial(self._ask, query, parameters, version, frames or {}, only or {})
        try:
            return asked(self._database)
        except OrchardError:
            with at_a_full_disk(self.home, self._database) as other:
                if other is None:
                    raise
                if self._database.confined:
                    other.confine()
                return asked(other)

    def _ask(
        self,
        query: str,
        parameters: Parameters,
        version: int | None,
        frames: Mapping[str, pl.DataFrame],
        only: Mapping[str, str],
        database: Database,
    ) -> pl.DataFrame:
        with ExitStack() as stack:
            stack.enter_context(damage.explained(database))
            stack.enter_context(database.one_line())
            check_reads(query, database.refused)
            stack.enter_context(database.frames(frames))
            if version is not None:
                _show_at(database, stack, version, _mentioned(query, frames))
            for table, condition in only.items():
                _show(
                    database, stack, table, f'SELECT * FROM lake.main."{table}" WHERE {condition}'
                )
            stack.enter_context(database.reading())
            return database.rows(query, parameters)

    def query_file(
        self, name: str, /, *, frames: Mapping[str, pl.DataFrame] | None = None, **parameters: Any
    ) -> pl.DataFrame:
        """Run sql/<name>.sql with `$name` parameters."""
        return self.sql(query_text(name), parameters or None, frames=frames)

    def version(self, table: str, partition: Partition | None = None) -> int:
        """The last version that changed a table, or rows of a partition; 0 if none did.

        At version 0 all tables are empty.
        """
        declared(table)
        if partition:
            entries_ = self._entries(table)
            return max((e.version for e in entries_ if overlap(e.partition, partition)), default=0)
        query = 'SELECT max(version) FROM commits WHERE "table" = $table'
        if table == "rejects":  # they come with the commits of other tables
            query = "SELECT max(snapshot) FROM commits WHERE $table = 'rejects'"
        return int(self.sql(query, {"table": table}).item() or 0)

    def history(self, table: str) -> pl.DataFrame:
        """A table's commits, oldest first:
        version, step, run, fingerprint, parents, rows, seconds, ...
        """
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

        insert and delete: the key is in one version only; update_preimage and update_postimage: it
        is in both.
        """
        schema = declared(table)
        return releases.diff(
            self.read(table, version=old), self.read(table, version=new), schema.primary_key()
        )

    def expire(self, keep_days: float) -> int:
        """Forget versions older than `keep_days` days
        that no release names and no last commit needs; how many.

        Files that nothing needs any more are deleted at a later call, when they are over a day old.
        """
        return releases.expire(self._database, keep_days)

    def verify(self) -> Verified:
        """Compare every file that a version needs with what was committed; changes nothing.

        Raises:
            OrchardError: the catalog is not the embedded one.
        """
        if not self._database.embedded:
            raise OrchardError("only the lake in a data folder is verified, not a shared catalog")
        return verify(self._database)

    def repair(self) -> list[str]:
        """Mend what `verify` finds, as far as that can be; one line for each thing done."""
        return list(repair(self._database, self.verify()))

    def said(self, found: Verified) -> list[str]:
        """What was found, one line each."""
        return list(found.lines(self._database))

    def keep_copy(self) -> None:
        """Copy the embedded catalog beside itself; `orchard lake restore` takes it back."""
        database = self._database
        if database.embedded:
            with database.one_line(), database.lock():
                keep_copy(database.folder)

    def _entries(self, table: str) -> list[Entry]:
        with self._database.reading():
            return entries(self._database, table)


def _show_at(database: Database, stack: ExitStack, version: int, names: list[str]) -> None:
    """Temporary views that hide the tables until the stack is left."""
    releases.must_exist(database, version)
    for name in names:
        try:
            _show(database, stack, name, f'FROM lake.main."{name}" AT (VERSION => {int(version)})')
        except duckdb.CatalogException:  # declared after that version was made
            stack.enter_context(database.frames({name: tables.empty(name)}))


def _show(database: Database, stack: ExitStack, name: str, select: str) -> None:
    """A temporary view that hides a table until the stack is left."""
    connection = database.connection
    connection.execute(f'CREATE OR REPLACE TEMP VIEW "{name}" AS {select}')
    stack.callback(connection.execute, f'DROP VIEW IF EXISTS temp.main."{name}"')


def _mentioned(query: str, hidden: Mapping[str, pl.DataFrame]) -> list[str]:
    words = set(re.findall(r"\w+", query.lower()))
    return [name for name in tables.TABLES if name in words and name not in hidden]
