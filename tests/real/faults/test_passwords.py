"""No message, no chain of errors and no query shows a password or a secret key."""

import os
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from pipeline.errors import OrchardError
from pipeline.store import Lake
from tests.real.faults.postgres import Server

PASSWORD = r"""zebra giraffe'2"\@:/?#%&=ö"""
PIECES = ("zebra", "giraffe", "%C3")  # of the password, however it is written


def shown(text: str) -> list[str]:
    """What a text gives away."""
    return [piece for piece in PIECES if piece in text]


def pairs(server: Server, password: str = PASSWORD, **changed: str) -> str:
    escaped = password.replace("\\", "\\\\").replace("'", "\\'")
    return server.catalog("safe", user="member", password=f"'{escaped}'", **changed)


def uri(server: Server, password: str = PASSWORD, **changed: str) -> str:
    given = {"dbname": "safe", "host": str(server.folder), "port": "5432"} | changed
    host = quote(given["host"], safe="")
    secret = quote(password, safe="")
    return f"postgresql://member:{secret}@{host}:{given['port']}/{given['dbname']}"


FORMS = [pairs, uri]
WRONG = {
    "password": ({"password": PASSWORD + "x"}, "password authentication failed"),
    "host": ({"host": "/no/such/folder"}, "No such file or directory"),
    "port": ({"port": "1"}, "No such file or directory"),
    "database": ({"dbname": "other"}, 'database "other" does not exist'),
}


@pytest.fixture(scope="module", autouse=True)
def member(server: Server) -> Iterator[None]:
    """A user with a password that needs every kind of quoting."""
    server.sql("CREATE DATABASE safe")
    literal = PASSWORD.replace("'", "''")
    server.sql(f"CREATE ROLE member LOGIN SUPERUSER PASSWORD '{literal}'")
    yield


@pytest.mark.parametrize("form", FORMS)
def test_the_right_password_opens_and_no_query_shows_it(
    server: Server, form: type, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.getbasetemp() / "safe"  # the catalog remembers where its files are
    told = []
    with Lake(home, form(server)) as lake:
        for source in ("duckdb_databases()", "duckdb_settings()", "duckdb_secrets()"):
            told.append(str(lake.sql(f"SELECT * FROM {source}").rows()))
        told.append(str(lake.sql("SELECT * FROM lake.settings()").rows()))
    assert "member" in told[0]
    assert not shown("".join(told))


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize("form", FORMS)
def test_a_failed_connection_shows_the_reason_and_no_password(
    server: Server, form: type, what: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    changed, reason = WRONG[what]
    with pytest.raises(OrchardError) as caught:
        Lake(tmp_path, form(server, **changed))
    message = str(caught.value)
    assert message.startswith("no connection to the catalog of ORCHARD_CATALOG (dbname=") or (
        message.startswith("no connection to the catalog of ORCHARD_CATALOG (user=")
    )
    assert reason in message and "\n" not in message
    # What Dagster keeps and shows of an error; the lines of source are this file's.
    chain = traceback.TracebackException.from_exception(caught.value)
    while chain is not None:
        assert not shown("".join(chain.format_exception_only()))
        chain = chain.__cause__ or chain.__context__
    assert not shown(message + "".join(capfd.readouterr()))


def test_the_command_line_shows_no_password(server: Server, tmp_path: Path) -> None:
    """A process of its own, with all that its libraries print."""
    for catalog in (uri(server, PASSWORD + "x"), pairs(server).replace("'", "")):
        environment = {"ORCHARD_HOME": str(tmp_path), "ORCHARD_CATALOG": catalog}
        done = subprocess.run(
            [sys.executable, "-m", "assets.cli.main", "tables"],
            env=os.environ | environment,
            capture_output=True,
            text=True,
        )
        told = done.stdout + done.stderr
        assert done.returncode == 1 and "ORCHARD_CATALOG" in told
        assert len(told.strip().splitlines()) == 1, told
        assert not shown(told)


def test_a_connection_that_breaks_later_shows_no_password(server: Server, tmp_path: Path) -> None:
    server.sql("CREATE DATABASE broken")
    with Lake(tmp_path, pairs(server, dbname="broken")) as lake:
        server.sql("ALTER ROLE member PASSWORD 'other'")
        server.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'member'"
        )
        with pytest.raises(OrchardError) as caught:
            lake.releases()
    chain = "".join(map(str, [caught.value, caught.value.__cause__, caught.value.__context__]))
    assert not shown(chain)
