"""A real vLLM server on loopback, with the small model."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.config import EngineSettings, ModelSettings, ServerSettings
from pipeline.engine.base import Completion, Engine, Prompt, Sampling, Turn
from pipeline.engine.cache import CachedEngine
from pipeline.engine.chat import ChatEngine
from pipeline.engine.model import Model, resolve
from pipeline.engine.resident import Resident
from pipeline.engine.server import ServerEngine
from pipeline.engine.vllm import VllmEngine
from pipeline.errors import OrchardError

MODEL = ModelSettings(name="small", max_model_len=256)
QUESTIONS = [Prompt(({"role": "user", "content": f"What is {n} + 3?"},)) for n in range(4)]
GREEDY = Sampling(24, temperature=0.0, stop=("\n",))


@dataclass
class Running:
    """A server process, in a process group of its own."""

    process: subprocess.Popen[bytes]
    settings: EngineSettings

    def kill(self) -> None:
        """kill -9 of the server and its workers."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it was killed by a test
        self.process.wait()


@dataclass
class Answers:
    """What one back end says to the same requests."""

    greedy: list[Completion]
    shares: list[float]


def ask(engine: Engine) -> Answers:
    """One request at a time, so that both back ends run the same batches."""
    greedy = [asyncio.run(engine.sample(question, GREEDY, [0]))[0] for question in QUESTIONS]
    return Answers(greedy, asyncio.run(engine.verdict(QUESTIONS[0], [" A", " B"])))


@pytest.fixture(scope="module")
def expected(model: Model) -> Answers:
    """vLLM in this process, which is closed before the server takes the memory."""
    resident = Resident(EngineSettings(kv_cache_gib=1), MODEL)
    try:
        return ask(VllmEngine(model, resident, MODEL))
    finally:
        resident.drop()


@pytest.fixture(scope="module")
def server(
    model: Model, expected: Answers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = (
        f"--model {model.path} --served-model-name small --host 127.0.0.1 --port {port} "
        "--dtype bfloat16 --max-model-len 256 --max-num-seqs 64 --block-size 32 "
        "--enforce-eager --generation-config vllm"
    )
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", *options.split()]
    log = tmp_path_factory.mktemp("server") / "log"
    quiet = {
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "1",
    }
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, env={**os.environ, **quiet}, start_new_session=True
        )
    url = f"http://127.0.0.1:{port}"
    running = Running(
        process,
        EngineSettings(backend="server", servers=(ServerSettings(url=url),), patience_seconds=1),
    )
    try:
        wait_for(process, url, log)
        yield running
    finally:
        running.kill()


def wait_for(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + 240
    while time.monotonic() < until and process.poll() is None:
        try:
            urllib.request.urlopen(f"{url}/health", timeout=5)
            return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"no server: {log.read_text()[-2000:]}")


def test_a_server_gives_the_same_as_vllm_in_the_process(
    server: Running, expected: Answers, model: Model
) -> None:
    engine = ServerEngine(model, server.settings, MODEL)
    found = ask(engine)
    for theirs, ours in zip(found.greedy, expected.greedy, strict=True):
        assert (theirs.text, theirs.token_ids, theirs.stopped_by) == (
            ours.text,
            ours.token_ids,
            ours.stopped_by,
        )
        assert theirs.logprobs == pytest.approx(ours.logprobs, abs=0.02)  # bf16
        assert (theirs.finish_reason, theirs.prompt_tokens) == (
            ours.finish_reason,
            ours.prompt_tokens,
        )
    assert found.shares == pytest.approx(expected.shares, abs=0.01)
    assert (
        engine.identity()["kind"] == "server of vllm" and engine.identity()["version"][0].isdigit()
    )
    assert engine.usage.sampled_tokens == sum(len(one.token_ids) for one in found.greedy) + 1


def on_chat(server: Running, model: Model | None = None) -> ChatEngine:
    """The same server by its other door; without a model one that only the server has."""
    chat = server.settings.servers[0].model_copy(update={"api": "chat"})
    settings = server.settings.model_copy(update={"servers": (chat,)})
    known = MODEL if model else MODEL.model_copy(update={"name": "served:small"})
    return ChatEngine(model or resolve(known, Path()), settings, known)


def warm(engine: Engine, prompt: Prompt) -> Completion:
    """A greedy reply to a prompt that is in the server's prefix cache already: before it is, sums
    in bf16 come in another order, and near ties fall otherwise.
    """
    asyncio.run(engine.sample(prompt, GREEDY, [0]))
    return asyncio.run(engine.sample(prompt, GREEDY, [0]))[0]


def test_a_chat_server_replies_as_the_completion_server_does(server: Running, model: Model) -> None:
    """The server's own template says what ours does; of vLLM's stop string both are cut alike."""
    plain = ServerEngine(model, server.settings, MODEL)
    engines = (on_chat(server, model), on_chat(server))
    for question in QUESTIONS:
        told = warm(plain, question)
        for engine in engines:
            said = warm(engine, question)
            assert (said.text, said.stopped_by, said.finish_reason, said.prompt_tokens) == (
                told.text,
                told.stopped_by,
                told.finish_reason,
                told.prompt_tokens,
            )
            assert told.stopped_by or said.tokens == told.tokens
    assert engines[1].identity()["votes"] == "1 tokens by log-probability"


def test_a_chat_server_votes_as_the_completion_server_does(server: Running, model: Model) -> None:
    """The answer's beginning is gone on with, and the likeliest tokens hold both words."""
    turn: Turn = {
        "role": "user",
        "content": "Which is larger, A: 9, or B: 3? Answer with A or B.",
    }
    begun = Prompt((turn,), "The answer is")
    plain, chat = ServerEngine(model, server.settings, MODEL), on_chat(server)
    assert warm(chat, begun).text == warm(plain, begun).text
    told, read = (asyncio.run(one.verdict(begun, [" A", " B"])) for one in (plain, chat))
    assert read == pytest.approx(told, abs=0.005) and told[0] != pytest.approx(0.5, abs=0.05)


def test_a_seed_repeats_its_draw_at_a_server(server: Running, model: Model) -> None:
    engine = ServerEngine(model, server.settings, MODEL)
    draws = asyncio.run(engine.sample(QUESTIONS[0], Sampling(16), [1, 2, 3, 4, 1]))
    assert draws[0].token_ids == draws[4].token_ids and len({draw.text for draw in draws}) > 1


def test_a_folder_with_another_tokenizer_is_found_out(
    server: Running, model: Model, tmp_path: Path
) -> None:
    for file in model.path.iterdir():
        if file.name != "tokenizer.json":
            (tmp_path / file.name).symlink_to(file)
    tokenizer = json.loads((model.path / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary["1"], vocabulary["2"] = vocabulary["2"], vocabulary["1"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(OrchardError, match="its tokenizer is not that of .*: it has another model"):
        ServerEngine(Model(tmp_path, "other@1"), server.settings, MODEL).identity()


def test_a_server_killed_in_mid_run_is_one_clear_line_and_what_it_gave_is_kept(
    server: Running, model: Model, tmp_path: Path
) -> None:
    """The last test: it kills the server."""
    engine = CachedEngine(ServerEngine(model, server.settings, MODEL), tmp_path / "c.sqlite")
    kept = asyncio.run(engine.sample(QUESTIONS[0], Sampling(4), range(8)))
    threading.Timer(1.0, server.kill).start()
    with pytest.raises(
        OrchardError, match=r"^no server has worked for 1 s \(http://127.0.0.1:\d+: .*\): mend one"
    ):
        asyncio.run(engine.sample(QUESTIONS[1], Sampling(200), range(400)))
    assert asyncio.run(engine.sample(QUESTIONS[0], Sampling(4), range(8))) == kept
    assert engine.usage.cache_hits == 8
