"""Rationales over a scripted model:
order by hash, checks with reasons, and what the control permutes.
"""

from collections.abc import Callable
from dataclasses import replace

import polars as pl
import pytest

from pipeline import tables
from pipeline.config import RationaleSettings
from pipeline.engine.base import Prompt
from pipeline.judge.rationales import permuted_rows, polarity, write
from tests.judge.simulated import SimulatedJudge, sigmoid

SETTINGS = RationaleSettings()


class Writer(SimulatedJudge):
    """Writes `says(question)`.

    Read alone, a text argues for the seat it names, plus `seat` log-odds for the first.
    """

    def __init__(self, says: Callable[[str], str], seat: float = 0.0, answers: str = " A") -> None:
        super().__init__(lambda first, second: 0.0)
        self.says = says
        self.answers = answers  # its own first token when it is asked for the side
        self.seat = seat

    async def sample(self, prompt, sampling, seeds):
        asked = prompt.messages[-1]["content"]
        text = self.answers if asked.startswith("Somebody compared") else self.says(asked)
        return [self._complete(text, sampling) for _ in seeds]

    async def verdict(self, prompt: Prompt, words):
        content = prompt.messages[-1]["content"]
        odds = (1.0 if "Response A is right" in content else -1.0) + (
            self.seat if "A or B?" in content else -self.seat
        )
        return [sigmoid(odds), sigmoid(-odds)]


def honest(question: str) -> str:
    better = question.split("Response ")[1][0]
    number = question.split("right ")[1].split()[0]
    return f"Response {better} is right about number {number}."


def pairs(n: int, split: str = "train") -> pl.DataFrame:
    rows = [
        {
            "prompt_id": f"p{i}", "split": split, "messages": [{"role": "user", "content": "q?"}],
            "chosen": f"right {i} is said", "rejected": f"wrong {i}", "chosen_id": f"c{i}",
            "rejected_id": f"r{i}",
        }
        for i in range(n)
    ]  # fmt: skip
    return pl.DataFrame(rows)


def with_control(writer: Writer, given: pl.DataFrame) -> pl.DataFrame:
    """The rows that were written, and those of the control."""
    rows, _ = write(writer, given, SETTINGS, 0)
    splits = dict(given.select("prompt_id", "split").iter_rows())
    return pl.concat([rows, permuted_rows(rows, splits)])


def test_the_chosen_side_is_first_in_about_half_of_the_pairs_and_the_question_names_it() -> None:
    rows, rejects = write(Writer(honest), pairs(200), SETTINGS, 0)
    real = rows.filter(~pl.col("permuted"))
    assert not rejects and real.height == 200 and 80 <= real["chosen_first"].sum() <= 120
    for row in real.to_dicts():
        asked = row["messages"][-1]["content"]
        seat = "A" if row["chosen_first"] else "B"
        assert f"Response {seat} is the better one" in asked
        assert (asked.index("right ") < asked.index("wrong ")) == row["chosen_first"]
        assert row["agrees"] and row["p_chosen"] == pytest.approx(sigmoid(1.0))
    assert not tables.Rationales.filter(rows)[1].counts()


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        (lambda asked: " \n", "empty rationale"),
        (lambda asked: "...", "empty rationale"),
        (lambda asked: "Right 0 is said!", "a copy of the chosen response (100 of 100 alike)"),
        (lambda asked: "Wrong 0", "a copy of the rejected response (100 of 100 alike)"),
        (
            lambda asked: f"Response {'B' if honest(asked)[9] == 'A' else 'A'} is right, I think.",
            "it argues for the rejected side",
        ),
    ],
)
def test_a_rationale_that_fails_a_check_is_rejected_with_the_reason(says, reason: str) -> None:
    rows, rejects = write(Writer(says), pairs(1), SETTINGS, 0)
    assert rows.is_empty() and [reject.reason[: len(reason)] for reject in rejects] == [reason]


def test_a_rationale_that_was_cut_is_rejected_and_says_what_to_raise() -> None:
    class Cut(Writer):
        async def sample(self, prompt, sampling, seeds):
            return [
                replace(one, finish_reason="length")
                for one in await super().sample(prompt, sampling, seeds)
            ]

    rows, (reject,) = write(Cut(honest), pairs(1), SETTINGS.model_copy(update={"max_tokens": 9}), 0)
    assert rows.is_empty() and reject.reason == "cut at 9 tokens: raise judge.rationales.max_tokens"


def test_a_reader_that_refuses_names_no_side_unless_only_probabilities_count() -> None:
    rows, rejects = write(Writer(honest, answers="I"), pairs(1), SETTINGS, 0)
    assert rows.is_empty() and [one.reason for one in rejects] == [
        "the judge answered 'I' instead of A or B"
    ]
    assert (
        write(Writer(honest, answers="I"), pairs(1), SETTINGS, 0, must_answer=False)[0].height == 1
    )


def test_without_the_polarity_check_its_result_is_unknown_and_not_true() -> None:
    rows, _ = write(
        Writer(honest), pairs(1), SETTINGS.model_copy(update={"check_polarity": False}), 0
    )
    assert rows.select("p_chosen", "agrees").rows() == [(None, None)]


def test_a_favourite_option_of_the_reader_cancels_in_the_polarity() -> None:
    import asyncio

    for seat in (-3.0, 0.0, 3.0):
        reader = Writer(honest, seat)
        assert asyncio.run(polarity(reader, "Response A is right.", "A")) == pytest.approx(
            sigmoid(1.0)
        )
        assert asyncio.run(polarity(reader, "Response A is right.", "B")) == pytest.approx(
            sigmoid(-1.0)
        )


def test_the_control_keeps_every_question_and_every_text_and_no_pair_keeps_its_own() -> None:
    both = pl.concat([pairs(30), pairs(31, "validation").tail(1)])
    rows = with_control(Writer(honest), both)
    real = {row["chosen_id"]: row for row in rows.filter(~pl.col("permuted")).to_dicts()}
    moved = {row["chosen_id"]: row for row in rows.filter(pl.col("permuted")).to_dicts()}
    assert set(real) - set(moved) == {"c30"}  # alone in its split
    assert sorted(row["text"] for row in moved.values()) == sorted(
        real[one]["text"] for one in moved
    )
    for one, row in moved.items():
        assert row["messages"] == real[one]["messages"] and row["text"] != real[one]["text"]
        assert row["text"].split()[1] == real[one]["text"].split()[1]  # the same seat is praised
        assert (row["tokens"], row["agrees"]) == (0, None)


def test_the_controls_text_is_of_another_prompt_and_never_the_pairs_own_words() -> None:
    """Twelve prompts with eight pairs each that share the chosen side.

    One prompt says what another one says.
    """
    rows = [
        {
            **pairs(1).row(0, named=True), "prompt_id": f"p{i}",
            "chosen": f"right {max(i, 1)} is said",
            "chosen_id": f"c{i}", "rejected": f"wrong {k}", "rejected_id": f"r{i}-{k}",
        }
        for i in range(12)
        for k in range(8)
    ]  # fmt: skip
    found = with_control(Writer(honest), pl.DataFrame(rows))
    real = {
        (row["chosen_id"], row["rejected_id"]): row
        for row in found.filter(~pl.col("permuted")).to_dicts()
    }
    moved = found.filter(pl.col("permuted")).to_dicts()
    for row in moved:
        assert row["text"] != real[row["chosen_id"], row["rejected_id"]]["text"]
    # Each text names its number: at most the eight pairs of one prompt could land on the other that
    # says the same.
    assert 96 - 8 <= len(moved) <= 96


def test_a_prompt_with_most_of_the_rows_gives_its_own_pairs_no_text_of_itself() -> None:
    rows = [
        {
            **pairs(1).row(0, named=True),
            "prompt_id": "big",
            "rejected": f"wrong {k}",
            "rejected_id": f"r{k}",
        }
        for k in range(20)
    ] + pairs(3).with_columns(prompt_id=pl.lit("small"), chosen_id=pl.lit("s")).tail(2).to_dicts()
    found = with_control(Writer(lambda asked: f"{honest(asked)} {asked}"), pl.DataFrame(rows))
    own = dict(found.filter(~pl.col("permuted")).select("text", "prompt_id").iter_rows())
    moved = found.filter(pl.col("permuted")).to_dicts()
    assert len(own) == 22 and all(own[row["text"]] != row["prompt_id"] for row in moved)
    assert len({row["text"] for row in moved}) == len(moved) > 0


def test_the_order_of_pairs_does_not_matter_and_a_limit_takes_the_same_ones() -> None:
    one, _ = write(Writer(honest), pairs(20), SETTINGS, 0)
    other, _ = write(Writer(honest), pairs(20).reverse(), SETTINGS, 0)
    assert one.equals(other)
    few, _ = write(
        Writer(honest), pairs(20).reverse(), SETTINGS.model_copy(update={"max_pairs": 5}), 0
    )
    kept = few.filter(~pl.col("permuted"))
    assert kept.height == 5 and set(kept["rationale_id"]) <= set(one["rationale_id"])
