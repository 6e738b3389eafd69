"""A PostgreSQL of a test's own: on a socket in a folder, run by a user that is not root."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PACKAGED = Path("/usr/lib/postgresql")  # where Debian keeps what is not for every user's PATH
SETTINGS = "listen_addresses= fsync=off full_page_writes=off autovacuum=off".split()


def folder_of_programs() -> Path | None:
    """Where initdb and its like are; None where PostgreSQL is not installed."""
    found = [Path(name).resolve().parent for name in [shutil.which("initdb")] if name]
    found += sorted(PACKAGED.glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    return next((path for path in found if (path / "initdb").exists()), None)


class Server:
    """A running server."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.programs = programs
        self.folder = folder  # of the data and the socket

    def sql(self, query: str, database: str = "postgres") -> list[str]:
        """The lines that psql prints: a witness that is not DuckDB."""
        connection = ["-h", str(self.folder), "-U", "owner", "-d", database]
        done = subprocess.run(
            [str(self.programs / "psql"), *connection, "-AtXq", "-c", query],
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.splitlines()

    def catalog(self, database: str, **options: str) -> str:
        """The catalog in a database, as ORCHARD_CATALOG names it."""
        given = {"dbname": database, "host": str(self.folder), "user": "owner"} | options
        return "postgres:" + " ".join(f"{name}={value}" for name, value in given.items())

    def new_catalog(self, database: str, like: str = "template1") -> str:
        """The catalog in a new database, a copy of another."""
        self.sql(f"CREATE DATABASE {database} TEMPLATE {like}")
        return self.catalog(database)


@contextmanager
def running(programs: Path) -> Iterator[Server]:
    """A server with the superuser `owner`, who needs no password; others need theirs."""
    user: dict[str, Any] = {}
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # short: a socket's path has at most 107 bytes
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    data = folder / "data"
    initdb = [programs / "initdb", "-D", data, "-U", "owner", "-A", "trust", "--no-sync"]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "cwd": folder, **user}
    try:
        subprocess.run([*initdb, "-E", "UTF8", "--locale", "C"], check=True, **quiet)
        (data / "pg_hba.conf").write_text(
            "local all owner trust\nlocal all all scram-sha-256\n", encoding="utf-8"
        )
        settings = [part for setting in SETTINGS for part in ("-c", setting)]
        command = [programs / "postgres", "-D", data, "-k", folder, *settings]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(command, stderr=log, **quiet)
        try:
            ready = [programs / "pg_isready", "-q", "-t", "30", "-h", folder]
            while subprocess.run(ready).returncode:
                assert server.poll() is None, (folder / "log").read_text()
            yield Server(programs, folder)
        finally:
            server.send_signal(subprocess.signal.SIGQUIT)  # an end at once
            server.wait(30)
    finally:
        shutil.rmtree(folder)
