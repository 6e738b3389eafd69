"""A PostgreSQL connection string taken apart, so that its password stays out of what is shown.

DuckDB quotes the string in its errors and lists it in `duckdb_databases()`. So it gets the string
without the password, and the password as a secret. A string that cannot be taken apart is refused,
and no part of it is quoted: libpq's own errors quote whatever stands behind a blank in a password.
"""

import re
from typing import NamedTuple
from urllib.parse import unquote

from pipeline.errors import OrchardError

# What libpq knows and what holds no secret; of a word it does not know it would quote the text.
OPTIONS = frozenset(
    {
        "application_name", "channel_binding", "client_encoding", "connect_timeout", "dbname",
        "fallback_application_name", "gssencmode", "host", "hostaddr", "keepalives",
        "keepalives_count", "keepalives_idle", "keepalives_interval", "krbsrvname",
        "load_balance_hosts", "options", "passfile", "password", "port", "require_auth",
        "requirepeer", "service", "ssl_max_protocol_version", "ssl_min_protocol_version",
        "sslcert", "sslcertmode", "sslcrl", "sslcrldir", "sslkey", "sslmode", "sslnegotiation",
        "sslrootcert", "sslsni", "target_session_attrs", "tcp_user_timeout", "user",
    }
)  # fmt: skip

_PAIR = re.compile(
    r"\s*(?P<name>\w+)\s*=\s*"
    r"(?:'(?P<quoted>(?:\\.|[^'\\])*)'|(?P<plain>(?:\\.|[^\s\\'])(?:\\.|[^\s\\])*))?(?=\s|$)",
    re.DOTALL,
)
_URI = re.compile(
    r"postgres(?:ql)?://(?:(?P<user>[^:@/?#\s]*)(?::(?P<password>[^@/?#\s]*))?@)?"
    r"(?P<hosts>[^@/?#\s]*)(?:/(?P<dbname>[^@/?#\s]*))?(?:\?(?P<options>[^@?#\s]*))?"
)
_HOST = re.compile(r"(\[[^\[\]]*\]|[^\[\]:]*)(?::(\d*))?")
_URIS = ("postgres://", "postgresql://")
_BARE = re.compile(r"[\w./:@,-]+", re.ASCII)  # a value that needs no quotes

_UNREADABLE = (
    "ORCHARD_CATALOG cannot be read as a connection string of PostgreSQL (it is not shown, because "
    "it may hold a password): write postgres:dbname=... host=... user=..., or postgresql://..., "
    "put a value with a blank in single quotes, and percent-encode what is special in a URI"
)


class Conninfo(NamedTuple):
    """Where a server is, as `name=value` pairs without the password; and the password."""

    shown: str
    password: str | None  # None: libpq asks PGPASSWORD and ~/.pgpass


def server_of(catalog: str) -> Conninfo | None:
    """Where the PostgreSQL of a catalog is; None for a catalog in an SQLite file.

    Raises:
        OrchardError: it is neither, or its connection string cannot be read.
    """
    if catalog.startswith("sqlite:"):
        return None
    if catalog.startswith(_URIS):
        return read_conninfo(catalog)
    if catalog.startswith("postgres:"):
        return read_conninfo(catalog.removeprefix("postgres:"))
    raise OrchardError(
        "ORCHARD_CATALOG must start with postgres: or postgresql://; without it the catalog is an "
        "SQLite file in the home"
    )


def read_conninfo(text: str) -> Conninfo:
    """Takes a connection string apart: `name=value` pairs, or a URI.

    Raises:
        OrchardError: it is neither, or names an option that is unknown or a secret; the message
            quotes nothing of it.
    """
    options = _of_uri(text) if text.startswith(_URIS) else _of_pairs(text)
    if options is None or not OPTIONS.issuperset(options):
        raise OrchardError(_UNREADABLE)
    password = options.pop("password", "")
    shown = " ".join(f"{name}={_value(value)}" for name, value in options.items())
    return Conninfo(shown, password or None)


def _of_pairs(text: str) -> dict[str, str] | None:
    options = {}
    at = 0
    while text[at:].strip():
        pair = _PAIR.match(text, at)
        if pair is None:
            return None
        value = pair["quoted"] or pair["plain"] or ""
        options[pair["name"]] = re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL)
        at = pair.end()
    return options


def _of_uri(text: str) -> dict[str, str] | None:
    found = _URI.fullmatch(text)
    if found is None or re.search(r"%(?![0-9A-Fa-f]{2})", text):
        return None
    hosts = [_HOST.fullmatch(host) for host in found["hosts"].split(",")]
    pairs = [pair.partition("=") for pair in (found["options"] or "").split("&") if pair]
    if not all(hosts) or not all(equals for _, equals, _ in pairs):
        return None
    options = {name: found[name] for name in ("user", "password", "dbname")}
    options["host"] = ",".join(host[1].strip("[]") for host in hosts if host)
    ports = [host[2] or "" for host in hosts if host]
    options["port"] = ",".join(ports) if any(ports) else ""
    options |= {name: value for name, _, value in pairs}
    return {unquote(name): unquote(value) for name, value in options.items() if value}


def _value(text: str) -> str:
    if _BARE.fullmatch(text):
        return text
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
