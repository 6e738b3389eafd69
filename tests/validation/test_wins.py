"""Judged win rate with a judge whose taste and whose favourite seat are known."""

from collections.abc import Sequence

import polars as pl

from pipeline.config import JudgeSettings
from pipeline.engine.base import Prompt, RequestFailed
from pipeline.validation.wins import win_rate
from tests.scripted import ScriptedEngine

SETTINGS = JudgeSettings(must_answer=False)


class Taste(ScriptedEngine):
    """Prefers the answer with more exclamation marks; of equals the first seat.

    It cannot read "unreadable".
    """

    def __init__(self) -> None:
        super().__init__(lambda prefix, sampling, n: "A")
        self.asked = 0

    async def verdict(self, prompt: Prompt, words: Sequence[str]) -> list[float]:
        said = prompt.messages[-1]["content"]
        if "unreadable" in said:
            raise RequestFailed("prompt of 999 tokens leaves no room")
        self.asked += 1
        first, _, second = said.partition("Response B")
        more = first.count("!") - second.count("!")
        return [0.8, 0.2] if more >= 0 else [0.2, 0.8]


def test_wins_losses_ties_flips_and_failures() -> None:
    own = {
        "won": "me!!",
        "lost": "me",
        "flips": "me",
        "equal": "same",
        "failed": "unreadable",
        "alone": "x",
    }
    base = {"won": "you", "lost": "you!", "flips": "you", "equal": "same", "failed": "you"}
    ids = list(own)
    prompts = pl.DataFrame(
        {"prompt_id": ids, "messages": [[{"role": "user", "content": "say"}]] * len(ids)}
    )
    judge = Taste()
    found, rejects = win_rate([judge], prompts, own, base, SETTINGS)
    assert dict(found["win_rate"].iter_rows()) == {
        "won": 1.0,
        "lost": 0.0,
        "flips": 0.5,
        "equal": 0.5,
    }
    assert dict(found["win_flips"].iter_rows()) == {
        "won": 0.0,
        "lost": 0.0,
        "flips": 1.0,
        "equal": 0.0,
    }
    assert [reject.row["prompt_id"] for reject in rejects] == ["failed"]
    assert judge.asked == 6  # three pairs in both orders: the words are checked by the tokenizer


def test_two_judges_are_averaged_and_the_other_side_sees_the_opposite() -> None:
    prompts = pl.DataFrame({"prompt_id": ["p"], "messages": [[{"role": "user", "content": "say"}]]})
    own, base = {"p": "me!"}, {"p": "you"}
    one, other = (
        win_rate([Taste(), Taste()], prompts, own, base, SETTINGS),
        win_rate([Taste()], prompts, base, own, SETTINGS),
    )
    assert one[0]["win_rate"]["value"].to_list() == [1.0] and other[0]["win_rate"][
        "value"
    ].to_list() == [0.0]
    assert win_rate([Taste()], prompts, {}, {}, SETTINGS)[0]["win_rate"].is_empty()


def test_who_says_nothing_loses_and_two_that_say_nothing_tie() -> None:
    """Left out, they would flatter a policy that is silent where it is hard."""
    own = {"silent": "", "answered": "x", "both": "", "failed here": "x"}
    base = {"silent": "x", "answered": "", "both": ""}
    prompts = pl.DataFrame(
        {"prompt_id": list(own), "messages": [[{"role": "user", "content": "say"}]] * len(own)}
    )
    judge = Taste()
    found, rejects = win_rate([judge], prompts, own, base, SETTINGS)
    values = {"silent": 0.0, "answered": 1.0, "both": 0.5}
    assert dict(found["win_rate"].iter_rows()) == values
    assert set(found["win_flips"]["value"]) == {0.0} and not rejects and not judge.asked
