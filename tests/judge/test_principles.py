"""Principles with the words that say so, and judges that read their criterion or do not."""

import asyncio
import math

import pytest

from pipeline.judge.principles import (
    Dropped,
    Principle,
    Reversal,
    consensus,
    context_accuracy,
    extract,
    log_odds,
    parse,
)
from pipeline.judge.vote import Judge
from tests.judge.simulated import SimulatedJudge

FEEDBACK = "The answer is short and to the point, but it invents a date that nobody asked for."
TURNS = ({"role": "user", "content": "When?"},)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("it is fine", "not of the form"),
        ('conciseness | partially | "short and to the point"', "answered 'partially', neither yes nor no"),
        ('Helpfulness | yes | "short and to the point"', "no principle of its own"),
        ('conciseness | yes | ""', "no quoted words"),
        ('politeness | no | "rude words to the reader"', "its quoted words do not occur in the feedback"),
    ],
)
def test_a_line_that_is_no_principle_is_dropped_with_the_reason(line: str, reason: str) -> None:
    (found,) = parse(line, FEEDBACK)
    assert isinstance(found, Dropped) and found.reason.startswith(reason)


def test_principles_keep_the_words_of_the_feedback_that_say_so() -> None:
    answer = '1. conciseness | yes | "Short and to the point"\n- truth | No | "invents a date nobody asked for"\n'
    engine = SimulatedJudge(lambda first, second: 0.0, says=answer)
    found = asyncio.run(extract(engine, TURNS, "In 1066.", FEEDBACK, seed=0))
    assert [(one.name, one.satisfied) for one in found] == [("conciseness", True), ("truth", False)]
    assert found[0].likeness == 100 and 60 < found[1].likeness < 100


def test_consensus_keeps_what_every_judge_names_with_the_same_answer() -> None:
    def named(*principles: tuple[str, bool]) -> list[Principle]:
        return [Principle(name, satisfied, "x", 100) for name, satisfied in principles]

    one = named(("brevity", True), ("truth", False), ("style", True))
    other = named(("truth", False), ("brevity", False), ("Style", True))
    kept = consensus([one, other], lambda a, b: float(a.lower() == b.lower()))
    assert [principle.name for principle in kept] == ["truth", "style"]


def test_the_log_odds_of_yes_by_hand() -> None:
    class Reader(SimulatedJudge):
        async def verdict(self, prompt, words):
            assert words == (" Yes", " No") and "Principle: brevity" in prompt.messages[-1]["content"]
            return [0.8, 0.2]

    assert asyncio.run(log_odds(Reader(lambda a, b: 0.0), TURNS, "1066", "brevity")) == pytest.approx(math.log(4))


@pytest.mark.parametrize(("reads", "seat", "expected"), [(True, 0.3, 1.0), (False, 0.3, 0.5), (False, 3.0, 0.5)])
def test_a_judge_that_ignores_the_criterion_scores_exactly_half(reads: bool, seat: float, expected: float) -> None:
    """A criterion-blind judge of length, with or without a favourite seat, against one that reads the question."""

    class Reader(SimulatedJudge):
        async def verdict(self, prompt, words):
            asked = prompt.messages[-1]["content"]
            self.odds = lambda a, b: (len(a) - len(b)) * (-1 if reads and "shorter" in asked else 1) + seat
            return await super().verdict(prompt, words)

    engine = Reader(lambda a, b: 0.0)
    cases = [Reversal(TURNS, "long " * (i + 2), "short", "Which is longer?", "Which is shorter?") for i in range(5)] + [
        Reversal(TURNS, "x", "longer", "Which is shorter?", "Which is longer?")
    ]

    def judge(question: str) -> Judge:
        return Judge(engine, "c", question, must_answer=False)

    assert asyncio.run(context_accuracy(judge, cases)) == expected
    assert asyncio.run(context_accuracy(judge, [])) is None
