"""A hub of one data set on this machine: as much of the hub's HTTP as the libraries ask for."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlparse

COMMIT = "0123456789" * 4
ID = "org/set"


@contextmanager
def serve(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The address of a hub whose one data set is a folder; and the files that were fetched."""
    fetched: list[str] = []

    class Handler(_Handler):
        root = folder
        seen = fetched

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", fetched
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    root: Path
    seen: list[str]

    def do_GET(self) -> None:
        path = unquote(urlparse(self.path).path)
        if path.startswith(f"/datasets/{ID}/resolve/"):
            self._file(path.split("/resolve/")[1].partition("/")[2])
        elif path.startswith(f"/api/datasets/{ID}/tree/"):
            self._tree(path.split("/tree/")[1].partition("/")[2])
        elif path.startswith(f"/api/datasets/{ID}"):
            self._json({"id": ID, "sha": COMMIT, "private": False, "siblings": []})
        else:
            self._missing("RepoNotFound")

    do_HEAD = do_GET

    def _file(self, name: str) -> None:
        file = self.root / name
        if not file.is_file():
            self._missing("EntryNotFound")
            return
        data = file.read_bytes()
        headers = {"ETag": f'"{_hash(file)}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if self.command == "GET":
            self.seen.append(name)
        if wanted := self.headers.get("Range"):
            first, last = wanted.removeprefix("bytes=").split("-")
            end = min(int(last or len(data)) + 1, len(data))
            headers["Content-Range"] = f"bytes {first}-{end - 1}/{len(data)}"
            self._send(206, data[int(first) : end], headers)
        else:
            self._send(200, data, headers)

    def _tree(self, inside: str) -> None:
        files = [path for path in sorted((self.root / inside).glob("*")) if path.is_file()]
        names = [(path.relative_to(self.root).as_posix(), path) for path in files]
        sizes = [(name, path.stat().st_size, _hash(path)) for name, path in names]
        self._json([{"type": "file", "path": n, "size": s, "oid": h} for n, s, h in sizes])

    def _missing(self, code: str) -> None:
        self._send(404, b"{}", {"X-Error-Code": code, "X-Repo-Commit": COMMIT})

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


def _hash(path: Path) -> str:
    return hashlib.sha1(path.read_bytes()).hexdigest()
