"""A completion server that does what a test tells it to: for tests of faults only."""

import json
import math
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pipeline.engine.chat import TRIAL


@dataclass
class Answer:
    """An HTTP answer.

    `cut` ends the connection after so many bytes of the body; `wait` delays it, in seconds.
    """

    body: Any = None  # bytes, or something to send as JSON
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    wait: float = 0.0


def completion(text: str = "seven", **more: Any) -> dict[str, Any]:
    """A sound answer in vLLM's form: three tokens."""
    logprobs = {"token_logprobs": [-0.5, -0.25, -1.0], "top_logprobs": [{"a": -0.5}]}
    choice = {
        "text": text,
        "finish_reason": "stop",
        "token_ids": [5, 6, 2],
        "logprobs": logprobs,
        **more,
    }
    return {"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 3}}


def listed(top: dict[str, float]) -> dict[str, Any]:
    """A sound answer in OpenAI's form: one token, and the probabilities of the likeliest ones."""
    logprobs = {
        "token_logprobs": [-0.1],
        "top_logprobs": [{word: math.log(p) for word, p in top.items()}],
    }
    choice = {
        "text": max(top, key=lambda word: top[word]),
        "finish_reason": "length",
        "logprobs": logprobs,
    }
    return {"choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}


def chat(content: str | None = "seven", **more: Any) -> dict[str, Any]:
    """A sound answer of /v1/chat/completions; `tokens` are (token, {likely token: probability})."""
    tokens, message = more.pop("tokens", None), more.pop("message", {})
    choice: dict[str, Any] = {
        "message": {"role": "assistant", "content": content, **message},
        "finish_reason": "stop",
        **more,
    }
    if tokens is not None:
        choice["logprobs"] = {"content": [_chat_token(*one) for one in tokens]}
    usage = {"prompt_tokens": 9, "completion_tokens": 3}
    return {"choices": [choice], "usage": usage}


def _chat_token(token: str, top: dict[str, float]) -> dict[str, Any]:
    listed = [{"token": one, "logprob": math.log(p), "bytes": None} for one, p in top.items()]
    own = math.log(top.get(token, 0.5))
    return {"token": token, "logprob": own, "bytes": list(token.encode()), "top_logprobs": listed}


class FakeServer:
    """Answers /v1/completions and /v1/chat/completions by `script(body, n)`, n counting from 0.

    The check's trial is answered soundly.

    `bodies` are the requests after the trial; `keys` the Authorization headers of all.
    """

    def __init__(self, script: Callable[[dict[str, Any], int], Answer] | None = None) -> None:
        self.script = script or (lambda body, n: Answer(completion()))
        self.models: Answer = Answer(
            {"data": [{"id": "small", "owned_by": "vllm", "max_model_len": 512}]}
        )
        self.version: Answer = Answer({"version": "1.2.3"})
        one = {"token_ids": [5], "logprobs": {"token_logprobs": [-0.5]}}
        self.trial: Answer = Answer(completion("1", **one))
        # what the check of a chat server gets, by the request
        self.chat_trial: Callable[[dict[str, Any]], Answer] = lambda body: Answer(
            chat("2", tokens=[("2", {"2": 0.9, "3": 0.1})])
        )
        self.bodies: list[dict[str, Any]] = []
        self.keys: set[str | None] = set()
        self.running = self.most = 0
        self._lock = threading.Lock()
        self._http: ThreadingHTTPServer | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    @contextmanager
    def up(self) -> Iterator["FakeServer"]:
        """Serves in a thread until the block ends."""
        self.start()
        try:
            yield self
        finally:
            self.stop()

    def start(self) -> None:
        """Begins to listen."""
        self._http = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
        self._http.daemon_threads = True
        self._http.connections = set()  # type: ignore[attr-defined]
        threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()

    def stop(self) -> None:
        """Goes away at once, like a killed process: no connection is answered any more."""
        if self._http is not None:
            http, self._http = self._http, None
            http.shutdown()
            http.server_close()
            for connection in list(http.connections):  # type: ignore[attr-defined]
                _hang_up(connection)

    def answer(self, path: str, body: dict[str, Any]) -> Answer:
        """What a request gets."""
        if path == "/v1/models":
            return self.models
        if path == "/version":
            return self.version
        if path == "/v1/completions" and body["max_tokens"] == 1 and _asks_for_no_verdict(body):
            return self.trial
        if path == "/v1/chat/completions" and body["messages"] == list(TRIAL.messages):
            return self.chat_trial(body)
        if path not in ("/v1/completions", "/v1/chat/completions"):
            return Answer({"detail": "Not Found"}, 404)
        with self._lock:
            number = len(self.bodies)
            self.bodies.append(body)
            self.running += 1
            self.most = max(self.most, self.running)
        try:
            return self.script(body, number)
        finally:
            with self._lock:
                self.running -= 1


def _asks_for_no_verdict(body: dict[str, Any]) -> bool:
    return body["logprobs"] <= 1 and "logprob_token_ids" not in body


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it is gone already


def _handler(fake: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            self.server.connections.add(self.connection)  # type: ignore[attr-defined]

        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, body: dict[str, Any]) -> None:
            fake.keys.add(self.headers.get("Authorization"))
            answer = fake.answer(self.path, body)
            if answer.wait:
                threading.Event().wait(answer.wait)
            content = (
                answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            )
            try:
                self.send_response(answer.status)
                for name, value in {"Content-Length": str(len(content)), **answer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content[: answer.cut])
            except OSError:
                return  # the client has hung up
            if answer.cut is not None:
                self.wfile.flush()
                _hang_up(self.connection)
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            """Silence."""

    return Handler
