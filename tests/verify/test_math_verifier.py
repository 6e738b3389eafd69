"""Expressions: LaTeX, equivalence, and texts that would hang or kill SymPy."""

import threading
import time

import pytest

from pipeline.errors import OrchardError
from pipeline.verify import Verdict, canonical, has_final_answer, verify, worker


@pytest.mark.parametrize(
    ("text", "reference", "right"),
    [
        (r"So \boxed{\frac{1}{2}}.", "0.5", True),
        (r"So \boxed{\frac{1}{2}}.", r"\frac{2}{4}", True),
        ("The answer is $x+1$.", "1+x", True),
        ("The answer is $x+1$.", "x+2", False),
        (r"\boxed{\left( 3, \frac{\pi}{2} \right)}", r"(3,\frac{\pi}{2})", True),
        (r"\boxed{\text{Evelyn}}", r"\text{Evelyn}", True),
        (r"\boxed{12}", "1", False),
        (r"\boxed{11,\! 111}", "11111", True),
        (r"\boxed{3} or \boxed{4}", "3", False),
        ("4 + 3 = 7", "7", True),
        ("therefore $y = 7$", "7", True),
        ("The answer is 18 dollars.", "18", True),
        (r"\boxed{18\text{ dollars}}", "18", True),
        ("The answer is 5 apples", "5", True),
        ("The answer is 2 1/2", "2.5", True),
        (r"\boxed{50\%}", "50", True),
        (r"\boxed{50\%}", r"50\%", True),
        ("The answer is 50%", "0.5", False),  # our choice: the percent sign is a unit
        (r"\boxed{0.5}", r"50\%", False),
        (r"\boxed{2\pi}", r"2\pi", True),
        (r"\boxed{2\pi}", "2", False),
        (r"\boxed{\sqrt{4}}", "2", True),
        ("The answer is 5 million", "5", False),
        ("The answer is 5k", "5", False),
        (r"\boxed{2k}", "2k", True),
        ("The answer is definitely not 5", "5", False),
        ("The answer isn't 5", "5", False),
        ("The answer is less than 5", "5", False),
        (r"The answer is $\boxed{5 \text{ million}}$.", "5", False),
        (r"The answer is $\boxed{\text{at least } 5}$.", "5", False),
        ("So the number of students who did not pass is 7.", "7", True),
        ("The number of guests who cannot swim is 7", "7", True),
        ("The pages she has not read are 7", "7", True),
        ("The probability that it does not rain is 0.7", "0.7", True),
        ("The distance not covered is 7 km", "7", True),
        ("Since the answer cannot be negative, x = 5.", "5", True),
        ("She has 7 left, and the answer cannot be negative.", "7", True),
        ("She has 7 apples. I hope this answer isn't too long!", "7", True),
        ("$x=6$. The answer is not $5$. So $x=7$", "7", True),
        ("$x=5$. The answer is not $6$.", "6", False),
        ("no idea", "7", False),
        (r"\boxed{\frac{1}{0}}", "7", False),
        (r"\boxed{\frac{}{}{{}", "7", False),
    ],
)
def test_expressions(text: str, reference: str, right: bool) -> None:
    assert verify(text, canonical(reference, "math"), "math").correct is right


def test_equal_numbers_are_stored_as_one_text() -> None:
    halves = (
        r"\boxed{\frac{1}{2}}",
        r"\boxed{0.5}",
        r"\boxed{1/2}",
        r"\boxed{.50}",
        r"The answer is $\frac{2}{4}$",
    )
    assert {verify(text, "7", "math") for text in halves} == {Verdict("0.5", False)}
    assert verify(r"\boxed{x+1}", "1+x", "math") == Verdict("x+1", True)
    assert verify(r"\boxed{(1,2)}", "(1,2)", "math") == Verdict("(1,2)", True)


@pytest.mark.parametrize("reference", ["5 million", "not 5"])
def test_a_reference_that_no_response_can_match_is_an_error(reference: str) -> None:
    with pytest.raises(OrchardError, match="is not an answer that the verifier 'math' can read"):
        canonical(reference, "math")


def test_a_reference_is_stored_as_it_was_written() -> None:
    assert canonical(r"$\frac{1}{2}$", "math") == r"\frac{1}{2}"  # prompt ids are made from it


def test_a_tower_of_powers_is_stopped_and_the_next_answer_is_judged() -> None:
    start = time.monotonic()
    assert verify(r"\boxed{9^{9^{9^{9}}}}", "x+1", "math") == Verdict("9^{9^{9^{9}}}", False)
    assert time.monotonic() - start < worker.SECONDS + 60
    assert verify(r"\boxed{x+3}", "3+x", "math").correct


def test_it_works_outside_the_main_thread() -> None:
    verdicts: list[Verdict] = []
    threads = [
        threading.Thread(
            target=lambda n=n: verdicts.append(verify(rf"\boxed{{y+{n}}}", f"{n}+y", "math"))
        )
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [verdict.correct for verdict in verdicts] == [True] * 4


def test_explicit_expressions() -> None:
    assert has_final_answer(r"so \boxed{x+1}", "math")
    assert has_final_answer("The answer is $x+1$", "math")
    assert not has_final_answer("$y = x+1$", "math")
