"""Ratings of prompts: the numbers by hand, and judges that give none."""

import json
from types import SimpleNamespace

import polars as pl
import pytest

from assets import judging
from pipeline.engine.base import Reject
from pipeline.errors import OrchardError
from pipeline.judge.ratings import rate
from tests.scripted import ScriptedEngine

PROMPTS = pl.DataFrame(
    {
        "prompt_id": ["easy", "hard"],
        "messages": [[{"role": "user", "content": text}] for text in ("1 + 1?", "Prove it.")],
    }
)


class Rater(ScriptedEngine):
    """Says 5 of what is easy and of every request's quality; a hard one's difficulty is 1 or 3."""

    async def verdict(self, prompt, words):  # type: ignore[no-untyped-def]
        asked = prompt.messages[-1]["content"]
        if "difficulty" not in asked and "knowledge" not in asked:
            return [0.0, 0.0, 0.0, 0.0, 1.0]
        return [0.5, 0.0, 0.5, 0.0, 0.0] if "Prove it." in asked else [0.25, 0.75, 0.0, 0.0, 0.0]


def rater(says: str = "5") -> Rater:
    return Rater(lambda prefix, sampling, n: says)


def test_a_rating_is_the_expected_number_brought_to_the_unit_interval() -> None:
    rows, rejects = rate(rater(), PROMPTS, 5, must_answer=True)
    assert not rejects
    found = {row["prompt_id"]: row for row in rows.iter_rows(named=True)}
    # easy: (.25 * 1 + .75 * 2 - 1) / 4; hard: (.5 * 1 + .5 * 3 - 1) / 4
    assert found["easy"]["difficulty"] == pytest.approx(0.1875)
    assert found["hard"]["difficulty"] == pytest.approx(0.25)
    assert {row["quality"] for row in found.values()} == {1.0}
    assert {row["tokens"] for row in found.values()} == {4}  # of two questions two tokens each


def test_a_judge_that_gives_no_number_makes_a_reject_and_no_guess() -> None:
    rows, rejects = rate(rater("As an AI"), PROMPTS, 5, must_answer=True)
    assert rows.is_empty() and len(rejects) == 2
    assert all(isinstance(one, Reject) and "'As an AI' instead of 1 or 2" in str(one.reason)
               for one in rejects)  # fmt: skip
    assert json.dumps(rejects[0].row)
    rows, rejects = rate(rater("As an AI"), PROMPTS, 5, must_answer=False)
    assert rows.height == 2 and not rejects


def test_a_number_of_two_tokens_is_refused_in_one_line() -> None:
    class Strict(Rater):
        def check_words(self, words):  # type: ignore[no-untyped-def]
            from pipeline.engine.base import RequestFailed

            raise RequestFailed("'10' is 2 tokens")

    with pytest.raises(OrchardError, match="'10' is 2 tokens: set judge.words or judge.scale"):
        rate(Strict(lambda prefix, sampling, n: "5"), PROMPTS, 10, must_answer=True)


def test_judges_that_answer_no_question_are_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(judging, "_answering", lambda inputs: [])
    inputs = SimpleNamespace(settings=SimpleNamespace(judge=None))
    with pytest.raises(OrchardError, match="prompt_ratings: no judge of the profile answers"):
        judging.PROMPT_RATINGS.make(inputs)  # type: ignore[arg-type]
