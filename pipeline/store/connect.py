"""The lake opened for writing, or, where it cannot be written, for reading."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pipeline.errors import OrchardError
from pipeline.store import frozen, layout
from pipeline.store.database import Database


def opened(home: Path, catalog: str | None) -> Database:
    """The database with the lake attached, and with all tables where it can be written.

    Raises:
        OrchardError: no extension, no space, no permission, or not a catalog.
    """
    try:
        return _attached(home, catalog)
    except OrchardError:
        folder = home / "lake"
        full = frozen.no_space(folder) if folder.exists() else None
        if full is None:
            raise
        return _attached(home, catalog, full)


@contextmanager
def at_a_full_disk(home: Path, database: Database) -> Iterator[Database | None]:
    """The same lake for one query at a full disk; null where that is not what is wrong.

    Even to read, SQLite needs some space beside the catalog.
    """
    full = frozen.no_space(database.folder) if database.embedded else None
    if full is None or database.unwritable:
        yield None
        return
    frozen_lake = _attached(home, database.catalog, full)
    try:
        yield frozen_lake
    finally:
        frozen_lake.close()


def _attached(home: Path, catalog: str | None, unwritable: str | None = None) -> Database:
    database = Database(home, catalog, unwritable)
    try:
        with ExitStack() as stack:
            stack.enter_context(database.one_line())
            if not database.unwritable:
                stack.enter_context(database.lock())
            database.attach()
            if not database.unwritable:
                layout.ensure(database)
    except BaseException:
        database.close()
        raise
    return database
