"""Connection strings: the password apart, the rest as libpq would read it, or nothing quoted."""

import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import OrchardError
from pipeline.store.conninfo import read_conninfo, server_of

# As PostgreSQL's manual says that libpq reads them.
READ = [
    ("dbname=lake host=db", "dbname=lake host=db", None),
    ("", "", None),
    (" host = db  password = 'a b' ", "host=db", "a b"),
    (r"password=a\ b\\c host=db", "host=db", r"a b\c"),
    (r"password='it\'s' user='o\\k'", r"user='o\\k'", "it's"),
    ("password=it's host=db", "host=db", "it's"),
    ("password= host=db", "", "host=db"),
    ("host=db password=", "host=db", None),
    ("password=a://b host=db", "host=db", "a://b"),
    ("postgresql://", "", None),
    ("postgres://db", "host=db", None),
    ("postgresql://me:p%40ss%25@db:6543/lake", "user=me dbname=lake host=db port=6543", "p@ss%"),
    ("postgresql://me:a:b@db/lake", "user=me dbname=lake host=db", "a:b"),
    ("postgresql://me@%2Frun%2Fpg/lake?password=x&sslmode=require",
     "user=me dbname=lake host=/run/pg sslmode=require", "x"),
    ("postgresql://a:1,b:2/lake?target_session_attrs=read-write",
     "dbname=lake host=a,b port=1,2 target_session_attrs=read-write", None),
    ("postgresql://a:1,b/lake", "dbname=lake host=a,b port=1,", None),
    ("postgresql://[2001:db8::1]:5432/lake", "dbname=lake host=2001:db8::1 port=5432", None),
]  # fmt: skip
REFUSED = [
    "password=hunter2 sword",
    "password=hunter2 sword host=db",
    "password='hunter2",
    "password='hunter2'sword",
    "password=hunter2 sword=fish",
    "sslpassword=hunter2",
    "hunter2",
    "postgresql://me:hun/ter2@db/lake",
    "postgresql://me:hun@ter2@db/lake",
    "postgresql://me:hun#ter2@db/lake",
    "postgresql://me:hun?ter2@db/lake",
    "postgresql://me:hunter2%@db/lake",
    "postgresql://me:hunter2%zz@db/lake",
    "postgresql://me@db/lake?sslpassword=hunter2",
    "postgresql://me@db/lake?hunter2",
    "postgresql://db:hunter2/lake",
]


@pytest.mark.parametrize(("text", "shown", "password"), READ)
def test_a_password_is_taken_out(text: str, shown: str, password: str | None) -> None:
    assert read_conninfo(text) == (shown, password)


@pytest.mark.parametrize("text", REFUSED)
def test_of_what_cannot_be_read_nothing_is_quoted(text: str) -> None:
    with pytest.raises(OrchardError) as caught:
        read_conninfo(text)
    assert "ORCHARD_CATALOG cannot be read" in str(caught.value)
    assert not re.search(r"hun|ter2|\bsword|fish", str(caught.value))
    assert caught.value.__cause__ is None and caught.value.__context__ is None


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
def test_any_password_comes_through_both_forms(password: str) -> None:
    escaped = password.replace("\\", "\\\\").replace("'", "\\'")
    assert read_conninfo(f"user=me password='{escaped}' host=db") == ("user=me host=db", password)
    uri = f"postgresql://me:{quote(password, safe='')}@db"
    assert read_conninfo(uri) == ("user=me host=db", password)


@pytest.mark.parametrize("name", ["postgres:{}", "postgres:postgresql://me@db", "postgres://me@db"])
def test_a_catalog_says_what_keeps_it(name: str) -> None:
    assert server_of("sqlite:/a/catalog.sqlite") is None
    where = server_of(name.format("user=me host=db"))
    assert where == ("user=me host=db", None)


@pytest.mark.parametrize("name", ["mysql:password=hunter2", "duckdb:x", "lake.db", "postgresql:x"])
def test_no_other_catalog_is_opened(name: str) -> None:
    with pytest.raises(OrchardError, match="must start with postgres:") as caught:
        server_of(name)
    assert "hunter2" not in str(caught.value)
