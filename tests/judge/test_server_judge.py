"""A judge behind a server that speaks only OpenAI's protocol:
it lists the likeliest tokens, not those asked for.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline import tables
from pipeline.config import EngineSettings, JudgeSettings, ModelSettings, ServerSettings
from pipeline.engine.base import Prompt
from pipeline.engine.model import Model
from pipeline.engine.rendering import Renderer
from pipeline.engine.server import ServerEngine
from pipeline.errors import OrchardError
from pipeline.judge.collect import collect
from tests.fake_server import Answer, FakeServer, listed
from tests.judge.simulated import prompts, responses

TEXTS = {"p": ["good", "bad"]}
NOTHING = tables.empty("recorded_pairs")


class Words:
    """A tokenizer of whole words:
    each number stands for one, so that a test reads what the server is asked.
    """

    def __init__(self) -> None:
        self.known: dict[str, int] = {}

    def encode(self, text: str, add_special_tokens: bool = False) -> list[int]:
        parts = text.split(" ")
        words = [parts[0], *(f" {part}" for part in parts[1:])]
        return [self.known.setdefault(word, len(self.known)) for word in words if word]

    def get_vocab(self) -> dict[str, int]:
        return {"x" * 64: 0}

    def decode(self, ids: list[int]) -> str:
        names = {number: word for word, number in self.known.items()}
        return "".join(names[one] for one in ids)


class Spelling(Renderer):
    """Turns by their content alone; "10" is two tokens."""

    def __init__(self) -> None:
        self.path, self.tokenizer = Path("folder"), Words()

    def tokens(self, prompt: Prompt) -> list[int]:
        turns = "\n".join(turn["content"] for turn in prompt.messages)
        return self.encode(turns + prompt.prefix)

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text)

    def opens_thought(self, prompt: Prompt) -> bool:
        return False

    def single_tokens(self, words: Any) -> list[int]:
        return super().single_tokens(["1 0" if word == "10" else word for word in words])


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    with FakeServer().up() as server:
        server.models = Answer({"data": [{"id": "small", "owned_by": "somebody"}]})
        yield server


def judge(fake: FakeServer, verdict: Any) -> ServerEngine:
    """`verdict(question)` gives the likeliest tokens."""
    settings = EngineSettings(backend="server", servers=(ServerSettings(url=fake.url),))
    made = ServerEngine(
        Model(Path("folder"), "far@1"), settings, ModelSettings(name="small", max_model_len=4096)
    )
    made.renderer = spelling = Spelling()
    fake.script = lambda body, n: Answer(listed(verdict(spelling.tokenizer.decode(body["prompt"]))))
    return made


def test_a_judge_on_a_plain_server_votes_though_its_words_are_not_always_listed(
    fake: FakeServer,
) -> None:
    def verdict(question: str) -> dict[str, float]:
        # it is asked nothing without the template's prefix
        assert question.endswith("The answer is Response")
        better = " A" if question.index("good") < question.index("bad") else " B"
        return {better: 0.9, " C": 0.04, " The": 0.02, " I": 0.01, "\n": 0.005}

    fake.trial = Answer(listed({" A": 0.9}))  # its own first token
    rows, rejects = collect(
        judge(fake, verdict), prompts(*TEXTS), responses(TEXTS), NOTHING, JudgeSettings()
    )
    found = {row["first_id"]: row["p_first"] for row in rows.to_dicts()}
    assert not rejects and found == pytest.approx({"p-0": 0.9 / 0.905, "p-1": 0.005 / 0.905})


def test_absolute_scores_beyond_five_work_there_and_a_number_of_two_tokens_is_told_at_the_start(
    fake: FakeServer,
) -> None:
    def verdict(question: str) -> dict[str, float]:
        likely = "9" if "good" in question else "2"
        # nothing is left for the other six
        return {likely: 0.8, "5": 0.1, "6": 0.05, "x": 0.03, "y": 0.02}

    settings = JudgeSettings(method="scores", scale=9, must_answer=False)
    rows, rejects = collect(
        judge(fake, verdict), prompts(*TEXTS), responses(TEXTS), NOTHING, settings
    )
    good = next(row for row in rows.to_dicts() if row["first_id"] == "p-0")
    assert not rejects and good["score_first"] == pytest.approx(
        (9 * 0.8 + 5 * 0.1 + 6 * 0.05) / 0.95
    )
    assert good["score_second"] == pytest.approx((2 * 0.8 + 5 * 0.1 + 6 * 0.05) / 0.95)
    asked = len(fake.bodies)
    with pytest.raises(
        OrchardError, match=r"judge far@1: verdict word .* is 2 tokens.*judge.scale"
    ):
        ten = settings.model_copy(update={"scale": 10})
        collect(judge(fake, verdict), prompts(*TEXTS), responses(TEXTS), NOTHING, ten)
    assert len(fake.bodies) == asked
