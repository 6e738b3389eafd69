"""Judges and writers of rationales on chat servers, from the settings to the rows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipeline import tables
from pipeline.config import (
    AskedModelSettings,
    JudgeModelSettings,
    JudgeSettings,
    RationaleSettings,
    ServerSettings,
    Settings,
)
from pipeline.engine.base import Engine
from pipeline.engine.room import EngineRoom
from pipeline.errors import OrchardError
from pipeline.judge import rationales
from pipeline.judge.collect import collect
from pipeline.judge.strength import paired
from pipeline.steps.context import RunContext
from tests.fake_server import Answer, FakeServer, chat
from tests.judge.simulated import prompts, responses

TEXTS = {"p": ["good", "bad"], "q": ["good", "bad"]}
NOTHING = tables.empty("recorded_pairs")


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    with FakeServer().up() as server:
        server.models = Answer({"data": [{"id": "big", "owned_by": "somebody"}]})
        yield server


def room(fake: FakeServer, tmp_path: Path) -> RunContext:
    server = ServerSettings(url=fake.url, api="chat")
    asked = {"name": "served:big", "servers": (server,), "max_model_len": 4096}
    writer = AskedModelSettings(**asked, revision="writer")
    judge = JudgeSettings(
        models=(JudgeModelSettings(**asked),), rationales=RationaleSettings(model=writer)
    )
    settings = Settings(profile="test", pools=(), judge=judge)
    return RunContext(settings, None, EngineRoom(settings, tmp_path), tmp_path)  # type: ignore[arg-type]


def engine_of(run: RunContext, role: str) -> Engine:
    (model,) = run.models(role)
    found: Engine = run.room.engine(model, role)
    return found


def asked(body: dict[str, Any]) -> str:
    return str(body["messages"][-1]["content"])


def better(question: str) -> str:
    return "A" if question.index("good") < question.index("bad") else "B"


def test_a_judge_votes_by_log_probability_in_both_orders(fake: FakeServer, tmp_path: Path) -> None:
    def script(body: dict[str, Any], n: int) -> Answer:
        assert asked(body).endswith("Answer with A or B.")
        word, other = better(asked(body)), {"A": "B", "B": "A"}[better(asked(body))]
        return Answer(chat(word, tokens=[(word, {word: 0.7, f" {word}": 0.1, other: 0.2})]))

    fake.script = script
    judge = engine_of(room(fake, tmp_path), "judges")
    rows, rejects = collect(judge, prompts(*TEXTS), responses(TEXTS), NOTHING, JudgeSettings())
    found = {row["first_id"]: row["p_first"] for row in rows.to_dicts()}
    assert not rejects and found == pytest.approx({"p-0": 0.8, "p-1": 0.2, "q-0": 0.8, "q-1": 0.2})
    assert len(fake.bodies) == 4 and set(rows["tokens"]) == {1}  # one request a vote
    assert set(rows["judge_id"]) == {judge.policy_id}
    again, _ = collect(judge, prompts(*TEXTS), responses(TEXTS), NOTHING, JudgeSettings())
    assert again.equals(rows) and len(fake.bodies) == 4


def test_a_judge_without_log_probabilities_votes_by_what_it_says(
    fake: FakeServer, tmp_path: Path
) -> None:
    """Of one prompt it finds the same response better in both orders, of the other always the
    first: that pair is not consistent, and makes no strength.
    """
    fake.chat_trial = lambda body: Answer(chat("2"))

    def script(body: dict[str, Any], n: int) -> Answer:
        right = "question p" in asked(body)
        return Answer(chat(f"The better response is {better(asked(body)) if right else 'A'}."))

    fake.script = script
    judge = engine_of(room(fake, tmp_path), "judges")
    rows, rejects = collect(judge, prompts(*TEXTS), responses(TEXTS), NOTHING, JudgeSettings())
    assert not rejects and sorted(rows["p_first"]) == [0.0, 1.0, 1.0, 1.0]
    pairs = {row["prompt_id"]: row for row in paired(rows, JudgeSettings()).to_dicts()}
    assert pairs["p"]["consistent"] and not pairs["q"]["consistent"] and pairs["q"]["flipped"]
    assert 0 < 1 - pairs["p"]["p"] < 0.1 or 0 < pairs["p"]["p"] < 0.1  # clipped, never certain


def test_an_answer_that_names_no_side_is_a_reject_with_its_words(
    fake: FakeServer, tmp_path: Path
) -> None:
    fake.chat_trial = lambda body: Answer(chat("2"))
    fake.script = lambda body, n: Answer(
        chat("I cannot say." if "question q" in asked(body) else better(asked(body)))
    )
    judge = engine_of(room(fake, tmp_path), "judges")
    rows, rejects = collect(judge, prompts(*TEXTS), responses(TEXTS), NOTHING, JudgeSettings())
    assert set(rows["prompt_id"]) == {"p"}
    (reject,) = rejects
    assert reject.reason.endswith("the reply 'I cannot say.' answers with none of A, B")
    assert not reject.passing


def test_a_scale_whose_numbers_begin_alike_is_told_before_anything_is_asked(
    fake: FakeServer, tmp_path: Path
) -> None:
    judge = engine_of(room(fake, tmp_path), "judges")
    settings = JudgeSettings(method="scores", scale=10)
    with pytest.raises(OrchardError, match="'1' begins another one: set answer_tokens"):
        collect(judge, prompts(*TEXTS), responses(TEXTS), NOTHING, settings)
    assert not fake.bodies


def test_rationales_are_written_and_read_by_the_model_that_the_profile_names(
    fake: FakeServer, tmp_path: Path
) -> None:
    def script(body: dict[str, Any], n: int) -> Answer:
        if "wrote down why" in asked(body):
            return Answer(chat("A", tokens=[("A", {"A": 0.9, "B": 0.1})]))
        said = chat("Response A is right, since it adds both numbers.", message={"reasoning": "Hm"})
        return Answer(said)

    fake.script = script
    run = room(fake, tmp_path)
    writer = engine_of(run, "rationale_writer")
    assert writer.policy_id != engine_of(run, "judges").policy_id
    pairs = prompts("p").select("prompt_id", "split", "messages")
    frames = {"chosen": "seven", "rejected": "eight", "chosen_id": "c", "rejected_id": "r"}
    rows, rejects = rationales.write(
        writer, pairs.with_columns(**{k: pl.lit(v) for k, v in frames.items()}),
        run.settings.judge.rationales, 0,
    )  # fmt: skip
    found = [*rows["text"], *(str(one.row.get("text")) for one in rejects)]
    assert found == ["Response A is right, since it adds both numbers."]  # without its thought
    assert set(rows["judge_id"]) <= {writer.policy_id} and rows.height + len(rejects) == 1
