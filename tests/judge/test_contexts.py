"""Judges that read their question, and judges that do not,
under questions that prefer different sides.
"""

import polars as pl
import pytest

from pipeline import tables
from pipeline.config import JudgeSettings
from pipeline.judge.card import cards
from pipeline.judge.contexts import ask, by_length, by_principle, points
from tests.judge.simulated import SimulatedJudge, prompts, responses, votes

SETTINGS = JudgeSettings(must_answer=False)
TEXTS = {f"p{i}": [f"short {i}", "long " * (i + 5), "of middling length"] for i in range(6)} | {
    "even": ["12345", "123456"]
}
CASES = by_length(prompts(*TEXTS), responses(TEXTS))


class Reader(SimulatedJudge):
    """Judges by length: as the question wants, or, where it does not read it,
    always for the longer one.
    """

    def __init__(self, *, reads: bool, seat: float) -> None:
        super().__init__(lambda first, second: 0.0)
        self.reads, self.seat = reads, seat

    async def verdict(self, prompt, words):
        sign = -1 if self.reads and "shorter" in prompt.messages[-1]["content"] else 1
        self.odds = lambda a, b: sign * (len(a) - len(b)) / 10 + self.seat
        return await super().verdict(prompt, words)


@pytest.mark.parametrize(
    ("reads", "seat", "expected"), [(True, 0.3, 1.0), (False, 0.3, 0.5), (False, 30.0, 0.5)]
)
def test_a_judge_that_ignores_its_question_scores_exactly_half(
    reads: bool, seat: float, expected: float
) -> None:
    rows, rejects = ask(Reader(reads=reads, seat=seat), CASES, SETTINGS)
    assert rows.height == 12 and not rejects and rows["points"].mean() == expected
    assert not tables.JudgeContexts.filter(rows)[1].counts()
    own = votes([("a", "b", 0.9), ("b", "a", 0.3)], judge_id="judge@0")
    labels = pl.DataFrame(
        schema={"prompt_id": pl.String, "a_id": pl.String, "b_id": pl.String, "label": pl.Float64}
    )
    items = responses(TEXTS).select("response_id", "policy_id", chars=pl.lit(1, dtype=pl.Int64))
    card = cards(own, items, labels, SETTINGS, rows).to_dicts()[0]
    assert (card["context_accuracy"], card["n_contexts"]) == (expected, 6)
    assert f"right on {expected:.2f} of 6 reversed contexts" in card["verdict"]
    recorded = cards(
        own.with_columns(source=pl.lit("recorded")), items, labels, SETTINGS, rows
    ).to_dicts()[0]
    # another judge of that name
    assert (recorded["context_accuracy"], recorded["n_contexts"]) == (None, 0)


def test_points_by_hand() -> None:
    assert points(0.9, 0.2, a_is_better=True) == 1.0 and points(0.9, 0.2, a_is_better=False) == 0.0
    assert points(0.7, 0.7, a_is_better=True) == 0.5  # one seat wins both times: a tie


def test_only_responses_of_plainly_different_length_make_a_case() -> None:
    assert {case.prompt_id for case in CASES} == {f"p{i}" for i in range(6)}
    assert all(case.a.startswith("long") and case.b.startswith("short") for case in CASES)


def test_a_principle_makes_a_case_of_its_own_and_a_limit_counts_by_kind() -> None:
    row = {
        "prompt_id": "p0", "principle": "brevity", "chosen": "short 0", "rejected": "long",
        "chosen_id": "p0-0", "rejected_id": "p0-1",
    }  # fmt: skip
    (case,) = by_principle(prompts(*TEXTS), pl.DataFrame([row]))
    assert (
        case.prefers_a == "Which response satisfies this principle: brevity?"
        and case.a == "short 0"
    )
    rows, _ = ask(
        Reader(reads=False, seat=0.0), [*CASES, case], SETTINGS.model_copy(update={"contexts": 2})
    )
    assert rows.group_by("kind").len().sort("kind").rows() == [("length", 4), ("principle", 2)]
    assert ask(Reader(reads=False, seat=0.0), CASES, SETTINGS.model_copy(update={"contexts": 0}))[
        0
    ].is_empty()


def test_a_case_that_a_judge_refuses_is_rejected_as_a_whole() -> None:
    refusing = Reader(reads=True, seat=0.0)
    refusing.script = lambda prefix, sampling, n: "I cannot"
    rows, rejects = ask(refusing, CASES, JudgeSettings())
    assert rows.is_empty() and len(rejects) == 6
    assert rejects[0].reason == "the judge answered 'I cannot' instead of A or B"
