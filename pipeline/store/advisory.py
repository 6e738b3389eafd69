"""The writers' lock of a PostgreSQL catalog: one writer at a time, whatever host it is on.

DuckLake sees a conflict where two transactions delete the same rows, or change one table's columns.
It sees none where one reads that there are no rows yet and another adds some; and whatever we write
depends on what was read. So writers take turns, as with the embedded catalog's lock file.

The lock belongs to a transaction of a session of its own. PostgreSQL frees it when that session
ends, however it does: a killed process, a host that went away, a broken connection. (A lock of the
session would not do: DuckDB gives sessions back to a pool, which discards what they hold.)
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import duckdb

from pipeline.errors import OrchardError
from pipeline.lock import PATIENCE
from pipeline.store.conninfo import Conninfo
from pipeline.store.quoting import quoted

SECRET = "catalog"  # the name of DuckDB's secret with the server's password
DATABASE = "writers"  # the name under which the catalog's server is attached for the lock
_KEY = int.from_bytes(b"orchard")  # PostgreSQL keeps such locks apart by database, as catalogs are
_POLL = 0.02  # seconds
# The lock must outlast a long commit, and must not outlast by hours a host that lost its power.
_SETTINGS = {
    "idle_in_transaction_session_timeout": "0",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}
_SET = ", ".join(
    f"set_config(''{name}'', ''{value}'', true) AS {name}" for name, value in _SETTINGS.items()
)
_PREPARE = f"FROM postgres_query('{DATABASE}', 'SELECT {_SET}')"
_TRY = f"FROM postgres_query('{DATABASE}', 'SELECT pg_try_advisory_xact_lock({_KEY})')"
_ALIVE = f"FROM postgres_query('{DATABASE}', 'SELECT 1')"


def attach_server(connection: duckdb.DuckDBPyConnection, server: Conninfo) -> None:
    """Attach the catalog's server for the lock, which is taken before the catalog is opened."""
    options = "TYPE postgres, READ_ONLY"
    if server.password:
        connection.execute(
            f"CREATE SECRET {SECRET} (TYPE postgres, PASSWORD {quoted(server.password)})"
        )
        options += f", SECRET {SECRET}"
    connection.execute(f"ATTACH {quoted(server.shown)} AS {DATABASE} ({options})")


@contextmanager
def advisory_lock(
    connection: duckdb.DuckDBPyConnection, patience: float = PATIENCE
) -> Iterator[Callable[[], None]]:
    """Hold the lock; what it gives fails if the lock was lost, and is for the moment of a commit.

    Raises:
        OrchardError: another process held it for `patience` seconds.
    """
    session = connection.cursor()
    try:
        session.execute("BEGIN")
        session.execute(_PREPARE).fetchall()
        _wait(session, patience)
        yield lambda: _must_be_alive(session)
    finally:
        with suppress(duckdb.Error):  # a session that is gone holds nothing
            session.execute("ROLLBACK")
        session.close()


def _wait(session: duckdb.DuckDBPyConnection, patience: float) -> None:
    deadline = time.monotonic() + patience
    while session.execute(_TRY).fetchall() != [(True,)]:
        if time.monotonic() > deadline:
            raise OrchardError(
                f"another process held the catalog's lock for {patience:.0f} s: see which "
                "(SELECT * FROM pg_locks WHERE locktype = 'advisory'), and end it or wait"
            )
        time.sleep(_POLL)


def _must_be_alive(session: duckdb.DuckDBPyConnection) -> None:
    try:
        session.execute(_ALIVE).fetchall()
    except duckdb.Error as error:
        raise OrchardError(
            "the PostgreSQL session that held the catalog's lock was ended: nothing was written, "
            "run again"
        ) from error
