"""Data files in an S3 that moto stands in for, under a catalog in a real PostgreSQL."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from pipeline.errors import OrchardError
from pipeline.store import Commit, Lake, s3
from tests.real.faults.postgres import Server
from tests.real.faults.worker import Worker, rows_of

STORE = """
import time
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print("http://{}:{}".format(*server.get_host_and_port()), flush=True)
time.sleep(86_400)
"""
SECRET = "zebra/giraffe"
BUCKET = "lake"


@pytest.fixture(scope="module")
def store() -> Iterator[tuple[str, Any]]:
    """(the store's address, a bucket seen by AWS's own library: a witness that is not DuckDB)."""
    # In a process of its own: vLLM looks at all modules of its process, and fails on one of flask.
    server = subprocess.Popen([sys.executable, "-c", STORE], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    address = server.stdout.readline().strip()
    keys = {"aws_access_key_id": "orchard", "aws_secret_access_key": SECRET}
    library = boto3.resource("s3", endpoint_url=address, region_name="us-east-1", **keys)
    try:
        yield address, library.create_bucket(Bucket=BUCKET)
    finally:
        server.kill()
        server.wait()


@pytest.fixture
def bucket(store: tuple[str, Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """The bucket, with what the environment says of it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", store[0])
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "orchard")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("ORCHARD_DATA", f"s3://{BUCKET}/team")
    return store[1]


@pytest.fixture(scope="module")
def catalog(server: Server) -> str:
    return server.new_catalog("s3")


def test_rows_lie_in_the_bucket_and_two_hosts_take_turns(
    bucket: Any, catalog: str, tmp_path: Path
) -> None:
    hosts = [Worker(tmp_path / name, catalog, f"s3://{BUCKET}/team") for name in "ab"]
    assert [host.answer() for host in hosts] == ["open", "open"]
    merged = 0
    with Lake(tmp_path / "c", catalog) as lake:
        for trial in range(2):
            for number, host in enumerate(hosts):
                mark = -1.0 - 10 * trial - number
                host.order("replace", {}, [[f"t{number}", "p"]], mark, [])
            versions = [host.answer()["value"] for host in hosts]
            last = max(range(2), key=lambda one: versions[one])
            merged += lake.read("reference_logps")["text_id"].to_list() != [f"t{last}"]
            lake.write("reference_logps", rows_of([], 0.0), Commit("worker"))
        old = [lake.read("reference_logps", version=version).height for version in versions]
    for host in hosts:
        host.end()
    objects = [item.key for item in bucket.objects.all()]
    print(f"two replaces at once in S3: 2, merged: {merged}, objects: {len(objects)}")
    assert merged == 0 and old == [1, 1]
    assert len([key for key in objects if key.startswith("team/main/reference_logps/")]) >= 4
    assert not [path for path in tmp_path.rglob("*") if path.suffix == ".parquet"]


def test_no_query_shows_the_secret_key(bucket: Any, catalog: str, tmp_path: Path) -> None:
    with Lake(tmp_path, catalog) as lake:
        for source in ("duckdb_settings()", "duckdb_secrets()"):
            assert "giraffe" not in str(lake.sql(f"SELECT * FROM {source}").rows())


def test_a_store_that_refuses_is_one_line_and_makes_no_catalog(
    bucket: Any, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHARD_DATA", "s3://no-such-bucket/team")
    refused = server.new_catalog("refused")
    with pytest.raises(OrchardError, match="no-such-bucket") as caught:
        Lake(tmp_path, refused)
    assert "giraffe" not in str(caught.value) and "\n" not in str(caught.value)
    made = "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'ducklake%'"
    assert server.sql(made, "refused") == ["0"], "the catalog does not remember a wrong folder"


def test_a_host_with_other_files_is_refused(
    bucket: Any, catalog: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Lake(tmp_path, catalog).close()
    monkeypatch.setenv("ORCHARD_DATA", f"s3://{BUCKET}/other")
    with pytest.raises(OrchardError, match=f"ORCHARD_DATA=s3://{BUCKET}/team/"):
        Lake(tmp_path, catalog)


@pytest.mark.parametrize("where", ["gs://bucket/x", "folder", "s3:/bucket"])
def test_no_other_place_is_taken(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHARD_DATA", where)
    with pytest.raises(OrchardError, match="expected s3://BUCKET/FOLDER, or the absolute path"):
        Lake(tmp_path, "postgres:host=/nowhere")
    with pytest.raises(OrchardError, match="ORCHARD_DATA is for a catalog that hosts share"):
        Lake(tmp_path)


@pytest.mark.parametrize("url", ["minio:9000", "http://a'b", "http://key:giraffe@store"])
def test_an_endpoint_is_an_address(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    with pytest.raises(OrchardError, match="AWS_ENDPOINT_URL: expected http") as caught:
        s3.endpoint()
    assert "giraffe" not in str(caught.value)
