"""Which rows an erasure takes: of all versions, those that are asked for and all made from them.

Every Parquet file that some version needs is read. Only ids are kept for the search
(pipeline/tables/links.py says which), so it spills no text.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import polars as pl

from pipeline import tables
from pipeline.errors import OrchardError
from pipeline.store.database import Database
from pipeline.store.datafiles import DataFile, listed
from pipeline.store.quoting import quoted
from pipeline.tables.links import ANY, LINKS, Id, Links

TRAINED = "training_runs"
_TABLES = """
CREATE TABLE files (file INTEGER, path VARCHAR);
CREATE TABLE mentions (file INTEGER, pos BIGINT, kind VARCHAR, id VARCHAR);
CREATE TABLE names (file INTEGER, pos BIGINT, kind VARCHAR, id VARCHAR);
CREATE TABLE gone (kind VARCHAR, id VARCHAR);
CREATE TABLE rows (file INTEGER, pos BIGINT);
"""
_REACHED = f"""
INSERT INTO rows
SELECT DISTINCT file, pos FROM mentions SEMI JOIN gone
ON mentions.id = gone.id AND (mentions.kind = gone.kind OR mentions.kind = '{ANY}')
ANTI JOIN rows USING (file, pos)
"""
_NAMED = """
INSERT INTO gone
SELECT DISTINCT kind, id FROM names SEMI JOIN rows USING (file, pos) ANTI JOIN gone USING (kind, id)
"""


@dataclass(frozen=True)
class Held:
    """A Parquet file with rows of a table."""

    number: int
    table: str
    path: Path
    data: DataFile


@dataclass
class Reached:
    """What goes. rows: places of rows in their file, from 0; gone: ids by kind."""

    rows: dict[int, list[int]] = field(default_factory=dict)
    gone: set[Id] = field(default_factory=set)

    def ids(self, kind: str) -> set[str]:
        """The ids of a kind."""
        return {name for own, name in self.gone if own == kind}


class Search:
    """A search over the rows of all versions of a lake."""

    def __init__(self, database: Database) -> None:
        """Read the ids of all rows.

        Raises:
            OrchardError: a file that cannot be read.
        """
        self.held = held_files(database)
        self._duck = duckdb.connect(config={"temp_directory": str(database.folder / "tmp")})
        self._duck.execute(_TABLES)
        self._views: set[str] = set()
        for table, links in (*LINKS.items(), (TRAINED, Links())):
            files = [one for one in self.held if one.table == table]
            if files:
                self._read(table, files, links)

    def close(self) -> None:
        """Forget what was read."""
        self._duck.close()

    def start(self, ids: Iterable[Id]) -> None:
        """Take all rows that have one of these ids, or were made from one."""
        for kind, name in ids:
            self._duck.execute("INSERT INTO gone VALUES (?, ?)", [kind, name])

    def start_rows(self, table: str, condition: str) -> None:
        """Take the rows of a table for which a condition in SQL holds."""
        if table in self._views:
            places = f'SELECT file, pos FROM "all_{table}" WHERE {condition}'
            self._duck.execute(f"INSERT INTO rows FROM ({places}) ANTI JOIN rows USING (file, pos)")

    def start_places(self, places: Iterable[tuple[int, int]]) -> None:
        """Take rows by their files' numbers and their places."""
        found = pl.DataFrame(list(places), schema={"file": pl.Int32, "pos": pl.Int64}, orient="row")
        self._duck.register("places", found.to_arrow())
        self._duck.execute("INSERT INTO rows FROM places ANTI JOIN rows USING (file, pos)")
        self._duck.unregister("places")

    def follow(self) -> None:
        """Take all that was made from what is taken, until there is no more."""
        before = -1
        while (now := self._count()) != before:
            before = now
            self._duck.execute(_REACHED)
            self._duck.execute(_NAMED)

    def reached(self) -> Reached:
        """What is taken so far."""
        found = Reached()
        rows = self._duck.execute("SELECT DISTINCT file, pos FROM rows ORDER BY ALL").fetchall()
        for file, place in rows:
            found.rows.setdefault(file, []).append(place)
        found.gone = {(kind, name) for kind, name in self._duck.execute("FROM gone").fetchall()}
        return found

    def taken(self, table: str, columns: str) -> pl.DataFrame:
        """Columns (in SQL) of the rows of a table that are taken; each once."""
        return self._asked(table, columns, "SEMI")

    def left(self, table: str, columns: str) -> pl.DataFrame:
        """Columns (in SQL) of the rows of a table that are not taken; each once."""
        return self._asked(table, columns, "ANTI")

    def knows(self, table: str, condition: str) -> bool:
        """Whether any version has a row of a table for which a condition in SQL holds."""
        if table not in self._views:
            return False
        query = f'SELECT 1 FROM "all_{table}" WHERE {condition} LIMIT 1'
        return self._duck.execute(query).fetchone() is not None

    def _asked(self, table: str, columns: str, join: str) -> pl.DataFrame:
        if table not in self._views:
            return pl.DataFrame()
        query = f'SELECT DISTINCT {columns} FROM "all_{table}" {join} JOIN rows USING (file, pos)'
        return self._duck.execute(query).pl()

    def _count(self) -> int:
        query = "SELECT (SELECT count(*) FROM rows) + (SELECT count(*) FROM gone)"
        return int((self._duck.execute(query).fetchone() or (0,))[0])

    def _read(self, table: str, files: list[Held], links: Links) -> None:
        """Make a view of a table's rows in all files, and read their ids."""
        for one in files:
            self._duck.execute("INSERT INTO files VALUES (?, ?)", [one.number, str(one.path)])
        paths = ", ".join(quoted(str(one.path)) for one in files)
        # A file of before a column was declared lacks it: the empty frame has them all.
        declared = f"declared_{table}"
        empty = tables.empty(table).to_arrow(compat_level=pl.CompatLevel.oldest())
        self._duck.register(declared, empty)
        query = f"""
            CREATE VIEW "all_{table}" AS
            SELECT files.file, found.* EXCLUDE (filename, file_row_number),
                   file_row_number AS pos
            FROM (
                FROM {declared} UNION ALL BY NAME
                FROM read_parquet([{paths}], union_by_name = true, filename = true,
                                  file_row_number = true)
            ) AS found JOIN files ON files.path = found.filename
        """
        try:
            self._duck.execute(query)
            self._views.add(table)
            for kind, expression in links.own:
                self._insert("names", table, kind, expression)
            for kind, expression in (*links.own[:1], *links.made_from):
                self._insert("mentions", table, kind, expression)
        except duckdb.Error as error:
            raise OrchardError(
                f"table {table}: one of its files cannot be read, so nothing tells what it holds: "
                "mend it first (`orchard lake verify --repair`)"
            ) from error

    def _insert(self, target: str, table: str, kind: str, expression: str) -> None:
        shown = self._duck.execute(f'SELECT {expression} FROM "all_{table}" LIMIT 0').description
        several = bool(shown) and str(shown[0][1]).endswith("[]")
        value = f"unnest({expression})" if several else expression
        self._duck.execute(
            f"INSERT INTO {target} SELECT file, pos, {quoted(kind)}, id FROM "
            f'(SELECT file, pos, {value} AS id FROM "all_{table}") WHERE id IS NOT NULL'
        )


def held_files(database: Database) -> list[Held]:
    """All data files that some version needs and that are there."""
    return [
        Held(number, one.table, one.path(database), one)
        for number, one in enumerate(listed(database))
        if not one.deletes and one.path(database).is_file()
    ]


def unneeded(database: Database) -> list[Path]:
    """Parquet files below the lake's folder that no version needs."""
    known = {one.path(database) for one in listed(database)}
    return [
        one for one in sorted((database.folder / "files").rglob("*.parquet")) if one not in known
    ]
