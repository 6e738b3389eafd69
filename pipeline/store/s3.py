"""Data files in S3, or in a store that speaks its protocol."""

import os
from urllib.parse import urlsplit

import duckdb

from pipeline.errors import OrchardError

SCHEME = "s3://"
EXTENSIONS = ("httpfs", "aws")
# What httpfs takes from the environment by itself, and then shows to every query.
_SHOWN = ("s3_access_key_id", "s3_secret_access_key", "s3_session_token")


def sign_in(connection: duckdb.DuckDBPyConnection, folder: str) -> None:
    """Give the connection the credentials that AWS's own tools would find: the AWS_* variables,
    ~/.aws, or the machine's role. AWS_ENDPOINT_URL names a store other than Amazon's.

    Raises:
        OrchardError: AWS_ENDPOINT_URL is no address.
        duckdb.Error: there are no credentials, or they do not open the folder.
    """
    for name in _SHOWN:
        connection.execute(f"RESET {name}")
    options = ["TYPE s3", "PROVIDER credential_chain", "REFRESH auto", *endpoint()]
    connection.execute(f"CREATE SECRET files ({', '.join(options)})")
    # Asked now: a new catalog remembers its folder for ever, also one that cannot be written.
    connection.execute("SELECT count(*) FROM glob(?)", [f"{folder}/.none*"]).fetchall()


def endpoint() -> list[str]:
    """The options of DuckDB's secret that say which store is meant."""
    url = os.environ.get("AWS_ENDPOINT_URL")
    if not url:
        return []
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or "'" in parts.netloc or parts.username is not None:
        raise OrchardError("AWS_ENDPOINT_URL: expected http://HOST:PORT or https://HOST:PORT")
    secure = str(parts.scheme == "https").lower()
    return [f"ENDPOINT '{parts.netloc}'", "URL_STYLE path", f"USE_SSL {secure}"]
