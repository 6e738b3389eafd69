"""Completion servers: what is asked and read, and what becomes of a run when a server fails."""

import asyncio
import gc
import json
import logging
import math
import re
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pipeline.config import BudgetSettings, EngineSettings, ModelSettings, ServerSettings, Settings
from pipeline.engine import base, client, pool
from pipeline.engine.base import AGAIN, Completion, Prompt, RequestFailed, Sampling
from pipeline.engine.budget import BudgetReached, Meter
from pipeline.engine.client import TryFailed
from pipeline.engine.dialect import OpenAIDialect, read
from pipeline.engine.model import Model, resolve
from pipeline.engine.resident import Resident
from pipeline.engine.server import ServerEngine
from pipeline.engine.session import open_engine
from pipeline.engine.vllm import VllmEngine
from pipeline.errors import OrchardError
from tests.fake_server import Answer, FakeServer, completion, listed

PROMPT = Prompt(({"role": "user", "content": "3 + 4"},))
SAMPLING = Sampling(8, 0.8, 0.9, ("\n",))
KEY = "sk-not-to-be-seen-anywhere"


class Letters:
    """A renderer whose tokens are letters."""

    path = Path("folder")
    stop_tokens: tuple[int, ...] = ()
    keeps_marks = False
    longest_token = 8  # characters; those of the fakes' texts stand for more than one letter

    def opens_thought(self, prompt: Prompt) -> bool:
        return False

    def encode(self, text: str) -> list[int]:
        return [ord(letter) for letter in text]

    def tokens(self, prompt: Prompt) -> list[int]:
        return self.encode(prompt.messages[0]["content"] + prompt.prefix)

    def single_tokens(self, words: list[str]) -> list[int]:
        return [ord(word) for word in words]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "FIRST_WAIT", 0.02)


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    with FakeServer().up() as server:
        yield server


def engine(*servers: FakeServer | str, **settings: Any) -> ServerEngine:
    limit, meter = settings.pop("max_in_flight", 64), settings.pop("meter", None)
    each = [
        ServerSettings(
            url=s if isinstance(s, str) else s.url, key_env="TEST_KEY", max_in_flight=limit
        )
        for s in servers
    ]
    settings = {"patience_seconds": 0.5, "request_seconds": 5, **settings}
    made = ServerEngine(
        Model(Path("folder"), "small@1"),
        EngineSettings(backend="server", servers=tuple(each), **settings),
        ModelSettings(name="small", max_model_len=256),
        meter,
    )
    made.renderer = Letters()  # type: ignore[assignment]
    return made


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The key is set in every test, and no log line of any shows it."""
    monkeypatch.setenv("TEST_KEY", KEY)
    with caplog.at_level(logging.DEBUG):
        yield
    assert KEY not in caplog.text


def draw(engine: ServerEngine, n: int = 1) -> list[Completion]:
    return asyncio.run(engine.sample(PROMPT, SAMPLING, range(n)))


def failure(engine: ServerEngine, n: int = 1) -> str:
    """The one clear line of a run that cannot go on."""
    with pytest.raises(OrchardError) as caught:
        draw(engine, n)
    assert not isinstance(caught.value, RequestFailed)
    assert KEY[:6] not in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


def rejection(engine: ServerEngine) -> str:
    with pytest.raises(RequestFailed) as caught:
        draw(engine)
    assert KEY[:6] not in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


def test_a_completion_is_asked_for_by_token_ids_and_read_whole(fake: FakeServer) -> None:
    fake.script = lambda body, n: Answer(completion(stop_reason="\n"))
    found = engine(fake)
    assert draw(found) == [Completion("seven", (5, 6, 2), (-0.5, -0.25, -1.0), "stop", "\n", 5)]
    (body,) = fake.bodies
    assert body["prompt"] == [ord(letter) for letter in "3 + 4"] and body["model"] == "small"
    assert {k: body[k] for k in ("max_tokens", "temperature", "top_p", "stop", "seed",
                                 "return_token_ids")} == {
        "max_tokens": 8, "temperature": 0.8, "top_p": 0.9, "stop": ["\n"], "seed": 0,
        "return_token_ids": True,
    }  # fmt: skip
    usage = found.usage  # counted here: the fake says 9 tokens of prompt
    assert (usage.requests, usage.prompt_tokens, usage.sampled_tokens) == (1, 5, 3)
    assert fake.keys == {f"Bearer {KEY}"}


def test_a_completion_that_holds_the_key_is_none(fake: FakeServer) -> None:
    fake.script = lambda body, n: Answer(completion(f"my key is {KEY}"))
    assert rejection(engine(fake)).endswith("its answer holds our API key: the next run asks again")


@pytest.mark.parametrize("dummy", ["EMPTY", "vllm", "small"])
def test_a_dummy_key_is_a_word_like_others(
    fake: FakeServer, monkeypatch: pytest.MonkeyPatch, dummy: str
) -> None:
    """vLLM's documentation has EMPTY; the others are the server's owner and the model's name."""
    monkeypatch.setenv("TEST_KEY", dummy)
    fake.script = lambda body, n: Answer(completion(f"the queue is {dummy}"))
    assert draw(engine(fake))[0].text == f"the queue is {dummy}"


def test_a_verdict_reads_the_probabilities_of_the_tokens_asked_for(fake: FakeServer) -> None:
    top = {"token_id:65": -1.0, "token_id:66": -2.0, "token_id:7": -0.1}
    fake.script = lambda body, n: Answer(
        completion(logprobs={"token_logprobs": [-0.1], "top_logprobs": [top]})
    )
    shares = asyncio.run(engine(fake).verdict(PROMPT, ["A", "B"]))
    assert shares == pytest.approx([0.7310585786, 0.2689414214])  # the logistic function at 1
    assert fake.bodies[0]["logprob_token_ids"] == [65, 66]


@pytest.mark.parametrize("rubbish", [1000.0, math.inf, math.nan])
def test_a_verdict_whose_log_probability_is_none_is_tried_again(
    fake: FakeServer, rubbish: float
) -> None:
    """exp(1000) overflows, and infinity over infinity is no number: the cache would keep it."""

    def top(value: float) -> Answer:
        both = {"token_id:65": value, "token_id:66": -2.0}
        return Answer(completion(logprobs={"token_logprobs": [-0.1], "top_logprobs": [both]}))

    fake.script = lambda body, n: top(rubbish if n == 0 else -1.0)
    shares = asyncio.run(engine(fake).verdict(PROMPT, ["A", "B"]))
    assert shares == pytest.approx([0.7310585786, 0.2689414214]) and len(fake.bodies) == 2


def test_a_word_of_probability_zero_has_no_share() -> None:
    assert base.shares([-math.inf, -3.0], ["A", "B"]) == [0.0, 1.0]


def test_the_identity_is_what_the_server_says_of_itself(fake: FakeServer) -> None:
    expected = {"kind": "server of vllm", "version": "1.2.3", "model": "small", "dtype": "bfloat16"}
    assert engine(fake).identity() == expected
    fake.version = Answer({"version": "1.2.4"})
    assert engine(fake).identity() == {**expected, "version": "1.2.4"}


def test_one_engine_serves_several_event_loops_and_leaves_no_connection_open(
    fake: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    found = engine(fake)
    assert draw(found) == draw(found) and len(fake.bodies) == 2
    del found
    gc.collect()
    assert "Unclosed" not in caplog.text  # aiohttp's own complaint


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (
            Answer(b"<html>hello</html>"),
            "does not speak the OpenAI protocol at /v1/models.*an HTML page",
        ),
        (Answer(b"<html>none</html>", 404), "/v1/models answers 404 .an HTML page.: check url"),
        (
            Answer({"data": [{"id": "large"}]}),
            "serves 'large' and not 'small': set model in engine.servers",
        ),
        (
            Answer({"data": [{"id": "small", "max_model_len": 64}]}),
            "takes at most 64 tokens: lower model.max_model_len",
        ),
        (
            Answer(f"GET /v1/models Authorization: Bearer {KEY}".encode()),
            "it sent 'GET /v1/models Auth.*Bearer [*]{3}'",
        ),
        (Answer({"message": f"bad key {KEY}"}), "it sent .*bad key [*]{3}"),
        (Answer({"data": [{"id": KEY}]}), "serves '[*]{3}' and not 'small'"),
        (
            Answer({"error": {"message": f"bad key {KEY}"}}, 401),
            "refuses us .401.: check what TEST_KEY holds",
        ),
        (Answer({"data": []}, 302, {"Location": "http://127.0.0.1:9/"}), "/v1/models answers 302"),
    ],
)
def test_another_protocol_or_model_is_one_clear_line(
    fake: FakeServer, answer: Answer, says: str
) -> None:
    fake.models = answer
    assert re.search(f"^server {fake.url}: .*{says}", failure(engine(fake)))


def test_a_server_that_is_not_http_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def greet() -> None:
            connection, _ = other.accept()
            connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
            connection.recv(4096)
            connection.close()

        threading.Thread(target=greet, daemon=True).start()
        assert "its answer is not HTTP" in failure(
            engine(f"http://127.0.0.1:{other.getsockname()[1]}")
        )


def test_a_server_that_is_not_there_is_one_clear_line() -> None:
    away = FakeServer()
    assert failure(engine(away)).startswith(
        f"no server answers ({away.url}: Connection refused): start one"
    )


def test_a_server_that_completes_no_token_ids_is_found_out_at_the_start(fake: FakeServer) -> None:
    fake.trial = Answer({"error": {"message": f"prompt must be a string, {KEY}"}}, 400)
    assert re.search("cannot be used: .*must be a string", failure(engine(fake)))
    fake.trial = Answer({"choices": []})
    assert "cannot be used: it answers rubbish: choices" in failure(engine(fake))


def test_servers_that_differ_are_one_clear_line(fake: FakeServer) -> None:
    with FakeServer().up() as other:
        other.version = Answer({"version": "9"})
        assert "run the same on all" in failure(engine(fake, other))


def test_a_missing_key_names_its_variable(
    fake: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEST_KEY")
    with pytest.raises(OrchardError, match="the environment has no TEST_KEY: export it"):
        engine(fake)


def test_bad_server_settings_are_refused_without_showing_them() -> None:
    for url in ("localhost:8000", "http://user:pass@host", "http://host/v1?key=1"):
        with pytest.raises(ValidationError, match="a server's url"):
            ServerSettings(url=url)
    with pytest.raises(ValidationError, match="at least one of engine.servers"):
        EngineSettings(backend="server")
    assert ServerSettings(url="http://host:1/v1/").url == "http://host:1"


def test_a_busy_server_is_left_alone_for_as_long_as_it_asks(fake: FakeServer) -> None:
    asked: list[float] = []

    def script(body: dict[str, Any], n: int) -> Answer:
        asked.append(time.monotonic())
        return (
            Answer({"error": "slow down"}, 429, {"Retry-After": "1"})
            if n < 3
            else Answer(completion())
        )

    fake.script = script
    assert len(draw(engine(fake, patience_seconds=10), 3)) == 3  # all three are refused together
    assert min(asked[3:]) - max(asked[:3]) >= 0.95


def test_a_busy_server_that_asks_for_no_rest_gets_one_all_the_same(fake: FakeServer) -> None:
    """Its rests last at least 0.02, 0.04, 0.08, 0.16 and 0.32 s:
    six rounds of eight requests in half a second.
    """
    fake.script = lambda body, n: Answer({"error": "slow down"}, 429, {"Retry-After": "0"})
    assert "no server has worked for 0.5 s" in failure(engine(fake), 8)
    assert len(fake.bodies) <= 6 * 8


def test_retry_after_may_be_seconds_or_a_date_and_rubbish_is_unknown() -> None:
    in_a_minute = datetime.now(UTC) + timedelta(seconds=60)
    assert client._seconds("2.5") == 2.5
    assert client._seconds(format_datetime(in_a_minute, usegmt=True)) == pytest.approx(60, abs=3)
    assert client._seconds("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert client._seconds("soon") is None and client._seconds(None) is None


@pytest.mark.parametrize(
    "fault",
    [
        Answer({"error": {"message": "oops"}}, 500),
        Answer(b"[" * 200_000, 500),  # deeper than the reader of JSON goes
        Answer({"error": "starting"}, 503),
        Answer({"error": "you took too long"}, 408),
        Answer({"error": "too early"}, 425),
        Answer(b"<html>bad gateway</html>", 502),
        Answer(b"{not json"),
        Answer({"choices": [{"text": 7}]}),
        Answer(completion(token_ids=[1])),  # as many log-probabilities as before
        Answer(completion(finish_reason="abort")),
        Answer(completion(logprobs={"token_logprobs": [-0.5, 1000.0, -1.0]})),
        Answer(completion(), cut=20),  # the connection is lost in the middle of the body
        Answer(completion(), cut=0),
        Answer(completion(), wait=1.5),  # longer than request_seconds
    ],
)
def test_a_fault_that_passes_is_tried_again_and_costs_nothing(
    fake: FakeServer, fault: Answer
) -> None:
    fake.script = lambda body, n: fault if n == 0 else Answer(completion())
    assert draw(engine(fake, request_seconds=1, patience_seconds=10))[0].text == "seven"
    assert len(fake.bodies) == 2


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (
            Answer({"error": {"message": f"oops {KEY}"}}, 500),
            r"3 tries failed, the last at server \S+: 500: oops",
        ),
        (Answer(b"rubbish"), "3 tries failed.*it answers rubbish: body: Invalid JSON"),
        (Answer(completion(), cut=30), "3 tries failed.*the connection was lost in the middle"),
        (Answer(b"x" * 190 + KEY.encode(), 400), r"refuses the request \(400\): x{190}[*]{3}$"),
        (
            Answer(json.dumps({"error": KEY}).replace("-", "\\u002d").encode(), 400),
            r"request \(400\): [*]{3}$",
        ),
        (
            Answer({"error": {"message": f"too long {KEY}"}}, 400),
            r"refuses the request \(400\): too long",
        ),
    ],
)
def test_a_request_that_always_fails_is_a_rejected_row_and_the_others_go_on(
    fake: FakeServer, fault: Answer, says: str
) -> None:
    fake.script = lambda body, n: fault if body["seed"] == 0 else Answer(completion())
    found = engine(fake, tries=3, patience_seconds=10)
    reason = rejection(found)
    # a refusal is for good
    assert re.search(says, reason) and reason.endswith(AGAIN) == ("3 tries" in says)
    assert asyncio.run(found.sample(PROMPT, SAMPLING, [1]))[0].text == "seven"


@pytest.mark.parametrize("form", ["{}", r"\u{:04x}", "%{:02x}"], ids=["plain", "JSON", "URL"])
def test_an_echo_of_the_key_is_found_in_every_form(fake: FakeServer, form: str) -> None:
    """Once in a completion, which is none, and once in an error, which is quoted."""
    echo = "".join(form.format(letter if form == "{}" else ord(letter)) for letter in KEY)
    body = json.dumps(completion("KEY")).replace("KEY", echo)
    fake.script = lambda body_, n: Answer(body.encode())
    assert "its answer holds our API key" in rejection(engine(fake, tries=1))
    fake.script = lambda body_, n: Answer(f"bad key {echo}".encode(), 400)
    assert "bad key ***" in rejection(engine(fake, tries=1))


def test_an_answer_without_end_is_not_read_to_its_end(fake: FakeServer) -> None:
    """What may be read depends on the tokens that were asked for: here 8, and 10 MB come."""
    fake.script = lambda body, n: Answer(completion("x" * 10_000_000))
    assert "its answer is longer than 96 KiB" in rejection(engine(fake, tries=1))


@pytest.mark.parametrize(("room", "asked"), [(9, 8), (8, 8), (7, 7), (4, 4)])
def test_a_limit_is_lowered_to_what_the_prompt_leaves_of_the_context(
    fake: FakeServer, room: int, asked: int
) -> None:
    """Of the context of 256 tokens; the limit is 8, and a letter is a token."""
    fake.script = lambda body, n: Answer(completion(finish_reason="length"))
    prompt = Prompt(({"role": "user", "content": "x" * (256 - room)},))
    asyncio.run(engine(fake).sample(prompt, SAMPLING, [0]))
    assert fake.bodies[0]["max_tokens"] == asked


def test_less_than_half_of_a_limit_is_not_enough(fake: FakeServer) -> None:
    prompt = Prompt(({"role": "user", "content": "x" * 253},))
    with pytest.raises(RequestFailed, match="leaves 3 of the 8 tokens asked for"):
        asyncio.run(engine(fake).sample(prompt, SAMPLING, [0]))
    assert fake.bodies == []


def test_a_server_that_ignores_max_tokens_gives_no_completion(fake: FakeServer) -> None:
    many = completion(token_ids=[5] * 5001, logprobs={"token_logprobs": [-0.5] * 5001})
    fake.script = lambda body, n: Answer(many)
    assert "ignores max_tokens: 5001 tokens where 8 tokens" in rejection(engine(fake, tries=1))
    fake.script = lambda body, n: Answer(completion("x" * 25))  # of 3 tokens of 8 characters
    assert "ignores max_tokens: 25 characters where 3" in rejection(engine(fake, tries=1))


@pytest.mark.parametrize("text", ["x" * 20, "x" * 73])
def test_another_server_s_text_is_as_long_as_its_tokens_allow(text: str) -> None:
    """Of 9 tokens of at most 8 characters; a letter is a token here."""
    with pytest.raises(TryFailed, match="ignores max_tokens"):
        plain(text)


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": 10**30, "completion_tokens": 0}])
def test_tokens_are_counted_here_and_not_by_the_server(fake: FakeServer, usage: Any) -> None:
    cached = {"prompt_tokens_details": {"cached_tokens": 10**30}}
    said = None if usage is None else usage | cached
    fake.script = lambda body, n: Answer(completion() | {"usage": said})
    found = engine(fake)
    draw(found)
    usage = found.usage
    assert (usage.prompt_tokens, usage.sampled_tokens) == (5, 3)
    assert usage.cached_prompt_tokens == (0 if said is None else 5)


def test_a_server_that_dies_in_mid_run_is_taken_out_and_the_other_does_its_work(
    fake: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    with FakeServer().up() as dying:

        def die(body: dict[str, Any], n: int) -> Answer:
            if n == 5:
                threading.Thread(target=dying.stop).start()
            return Answer(completion(), wait=0.3 if n >= 5 else 0.01)

        dying.script = die
        fake.script = lambda body, n: Answer(completion(), wait=0.01)
        drawn = draw(engine(fake, dying, max_in_flight=4), 60)
    assert len(drawn) == 60 and len(dying.bodies) < 15 and len(fake.bodies) >= 50
    assert f"server {dying.url} is out" in caplog.text


@pytest.mark.parametrize("status", [401, 404])
def test_a_server_that_refuses_us_in_mid_run_is_taken_out_and_the_other_does_its_work(
    fake: FakeServer, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    def script(body: dict[str, Any], n: int) -> Answer:
        return Answer(completion()) if n < 5 else Answer({"error": "gone"}, status)

    with FakeServer(script).up() as changed:
        fake.script = lambda body, n: Answer(completion(), wait=0.01)
        assert len(draw(engine(fake, changed, max_in_flight=4), 60)) == 60
    assert f"server {changed.url} is out: " in caplog.text and str(status) in caplog.text


def test_the_last_server_that_refuses_us_stops_the_run(fake: FakeServer) -> None:
    fake.script = lambda body, n: Answer(completion()) if n < 5 else Answer({"error": "gone"}, 404)
    assert "/v1/completions answers 404 (gone): check url" in failure(
        engine(fake, max_in_flight=1), 9
    )


def test_a_server_that_comes_back_is_used_again(fake: FakeServer) -> None:
    away = FakeServer()
    fake.script = lambda body, n: Answer(completion(), wait=0.02)
    found = engine(fake, away, max_in_flight=2)
    timer = threading.Timer(0.2, away.start)
    timer.start()
    try:
        assert len(draw(found, 200)) == 200
    finally:
        timer.join()
        away.stop()
    assert len(away.bodies) > 20


def test_a_server_that_comes_back_with_another_version_stays_out(fake: FakeServer) -> None:
    away = FakeServer()
    away.version = Answer({"version": "0.1"})
    found = engine(fake, away)
    found.identity()
    with away.up():
        assert len(draw(found, 20)) == 20
    assert not away.bodies


def test_when_every_server_is_gone_the_run_stops_with_one_clear_line(fake: FakeServer) -> None:
    def die(body: dict[str, Any], n: int) -> Answer:
        threading.Thread(target=fake.stop).start()
        return Answer(completion(), wait=0.3)

    fake.script = die
    start = time.monotonic()
    message = failure(engine(fake), 10)
    assert (
        message.startswith(f"no server has worked for 0.5 s ({fake.url}: ")
        and time.monotonic() - start < 5
    )


def test_a_server_that_stays_busy_stops_the_run_and_rejects_no_row(fake: FakeServer) -> None:
    fake.script = lambda body, n: Answer({"error": {"message": "quota used up"}}, 429)
    assert "no server has worked for 0.5 s" in failure(engine(fake)) and fake.bodies


def test_a_broken_server_does_not_use_up_the_tries_of_every_request(fake: FakeServer) -> None:
    """It fails at once and so always has places, while the sound one is full."""
    with FakeServer(lambda body, n: Answer({"error": "broken"}, 500)).up() as broken:
        fake.script = lambda body, n: Answer(completion(), wait=0.01)
        assert len(draw(engine(fake, broken, max_in_flight=2, tries=2), 60)) == 60


def test_no_more_requests_are_in_flight_than_allowed(fake: FakeServer) -> None:
    def slow(body: dict[str, Any], n: int) -> Answer:
        time.sleep(0.01)
        return Answer(completion())

    fake.script = slow
    draw(engine(fake, max_in_flight=3), 40)
    assert fake.most == 3


def test_a_cancelled_request_gives_its_place_back(fake: FakeServer) -> None:
    fake.script = lambda body, n: Answer(completion(), wait=0.5 if n == 0 else 0.0)
    found = engine(fake, max_in_flight=1)

    async def main() -> str:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(found.sample(PROMPT, SAMPLING, [0]), 0.1)
        return (await found.sample(PROMPT, SAMPLING, [1]))[0].text

    assert asyncio.run(main()) == "seven"


def test_a_budget_that_is_reached_stops_the_requests(fake: FakeServer) -> None:
    found = engine(fake, max_in_flight=1, meter=Meter(BudgetSettings(tokens=9)))
    with pytest.raises(BudgetReached, match="9 of 9 sampled tokens"):
        draw(found, 10)  # all ten wait for their place from the start
    assert len(fake.bodies) == 3


def test_servers_sample_the_policy_of_the_settings_and_trained_ones_stay_in_this_process(
    fake: FakeServer, tmp_path: Path
) -> None:
    base, trained = tmp_path / "small", tmp_path / "trained"
    for path in (base, trained):
        path.mkdir()
        for file in ("config.json", "model.safetensors", "tokenizer.json"):
            (path / file).write_text(path.name)
    settings = Settings(
        profile="p",
        pools=(),
        model=ModelSettings(name=str(base)),
        engine=EngineSettings(
            backend="server", servers=(ServerSettings(url=fake.url),), cache=False
        ),
    )
    resident, meter = Resident(settings.engine, settings.model), Meter(settings.budget)
    kinds = [
        type(
            open_engine(
                resolve(ModelSettings(name=str(path)), tmp_path),
                settings,
                tmp_path,
                resident,
                meter,
            )
        )
        for path in (base, trained)
    ]
    assert kinds == [ServerEngine, VllmEngine]


def test_a_wait_between_tries_derives_from_the_ids_and_grows() -> None:
    assert pool.backoff(1, "a") == pool.backoff(1, "a") != pool.backoff(1, "b")
    assert all(0.5 <= pool.backoff(n, "a") / (0.02 * 2**n) < 1.5 for n in range(5))
    assert pool.backoff(10_000, "a") < 1.5 * pool.LONGEST_WAIT


PLAIN = OpenAIDialect(Letters())  # type: ignore[arg-type]


def plain(text: str, finish: str = "length", logprobs: list[float] | None = None) -> Completion:
    top = (
        {"token_logprobs": logprobs, "top_logprobs": [{"A": -1.0, "C": -3.0}]} if logprobs else None
    )
    choice = {"text": text, "finish_reason": finish, "logprobs": top}
    reply = read(
        json.dumps(
            {"choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 9}}
        ).encode()
    )
    return PLAIN.completion(reply, Sampling(9, stop=("\n", "END", "\n\n")), 4)


def test_a_server_that_names_no_stop_string_is_cut_here() -> None:
    assert "stop" not in PLAIN.sample_body([1], SAMPLING, 0)
    assert plain("abENDc\nd") == Completion("ab", (97, 98), (), "stop", "END", 4)
    assert plain("ab\n\nc").stopped_by == "\n\n"
    assert plain("ab", "stop", [-0.1, -0.2]) == Completion(
        "ab", (97, 98), (-0.1, -0.2), "stop", None, 4
    )
    # one number for two tokens: of which is unknown
    assert plain("ab", "length", [-0.1]).logprobs == ()


@pytest.mark.parametrize(
    ("top", "words", "expected"),
    [
        ({"A": 0.6, "B": 0.2}, "AB", [0.75, 0.25]),
        # B: at most as likely as "The"
        ({"A": 0.9, "I": 0.05, "The": 0.02}, "AB", [0.9 / 0.92, 0.02 / 0.92]),
        ({"A": 0.96}, "AB", [0.96, 0.04]),  # B: at most what A leaves
        # three share 0.06
        ({"A": 0.5, "C": 0.3, "x": 0.14}, "ABCDE", [50 / 86, 2 / 86, 30 / 86, 2 / 86, 2 / 86]),
        ({"A": 1.0}, "AB", [1.0, 0.0]),
    ],
)
def test_a_verdict_word_beyond_the_likeliest_tokens_has_at_most_what_they_leave(
    top, words, expected
) -> None:
    reply = read(json.dumps(listed(top)).encode())
    assert PLAIN.verdict(reply, list(words), []) == pytest.approx(expected)


def test_where_no_verdict_word_is_among_the_likeliest_tokens_there_is_no_answer() -> None:
    reply = read(json.dumps(listed({"I": 0.7, "The": 0.2})).encode())
    with pytest.raises(
        RequestFailed, match=r"no verdict word of \['A', 'B'\] is among the 2 likeliest tokens"
    ):
        PLAIN.verdict(reply, ["A", "B"], [65, 66])
    with pytest.raises(TryFailed):
        read(b"null")
