"""Expressions: LaTeX, equivalence, and texts that would hang or kill SymPy."""

import threading
import time

import pytest

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
        ("no idea", "7", False),
        (r"\boxed{\frac{1}{0}}", "7", False),
        (r"\boxed{\frac{}{}{{}", "7", False),
    ],
)
def test_expressions(text: str, reference: str, right: bool) -> None:
    assert verify(text, canonical(reference, "math"), "math").correct is right


def test_a_tower_of_powers_is_stopped_and_the_next_answer_is_judged() -> None:
    start = time.monotonic()
    assert verify(r"\boxed{9^{9^{9^{9}}}}", "x+1", "math") == Verdict("9^{9^{9^{9}}}", False)
    assert time.monotonic() - start < worker.SECONDS + 60
    assert verify(r"\boxed{x+3}", "3+x", "math").correct


def test_it_works_outside_the_main_thread() -> None:
    verdicts: list[Verdict] = []
    threads = [
        threading.Thread(target=lambda n=n: verdicts.append(verify(rf"\boxed{{y+{n}}}", f"{n}+y", "math")))
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
