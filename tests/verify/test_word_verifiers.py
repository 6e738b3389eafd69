"""Letters, yes or no, exact texts: worked out by hand."""

import pytest

from pipeline.errors import OrchardError
from pipeline.verify import Verdict, canonical, has_final_answer, verify

CASES = [
    ("choice", "B", "B"),
    ("choice", "b", "B"),
    ("choice", "(B)", "B"),
    ("choice", "B) six", "B"),
    ("choice", "The answer is (B) 6 apples.", "B"),
    ("choice", "The answer is b.", "B"),
    ("choice", "The correct answer is B because A is wrong.", "B"),
    ("choice", r"Hence \boxed{D}", "D"),
    ("choice", "First I think.\nC", "C"),
    ("choice", "The answer is B or C.", None),
    ("choice", "The answer is definitely not B.", None),
    ("choice", "B) six\nThe answer is definitely not A.", None),
    ("choice", "B) six\nThe answer isn't A.", None),
    ("choice", "The answer is definitely not A. The answer is B.", "B"),
    ("choice", "The answer cannot be A. The answer is B", "B"),
    ("choice", "The answer is B, not A", "B"),
    ("choice", "Answer: the statement that is not true is B", "B"),
    ("choice", "The answer is not a number.\nB", "B"),
    ("choice", "The answer is not A.\nB", "B"),
    ("choice", "A dog barks", None),
    ("choice", "Answer: F", "F"),
    ("choice", "Answer: K", None),
    ("choice", "", None),
    ("yesno", "Yes.", "yes"),
    ("yesno", "No, a minotaur cannot.", "no"),
    ("yesno", "It has legs. So the answer is yes.", "yes"),
    ("yesno", "The answer is: False", "no"),
    ("yesno", "The answer is yes or no.", None),
    ("yesno", "There are no reasons", None),
    ("yesno", "Not sure", None),
    ("yesno", "Answer: it is not true", None),
    ("yesno", "Yes, one could think.\nAnswer: it isn't true", None),
    ("yesno", "The answer is No, it is not true.", "no"),
    ("yesno", "The answer is true, it is not false.", "yes"),
    ("exact", "The answer is Paris.", "paris"),
    ("exact", "  PARIS ", "paris"),
    ("exact", 'I think.\nAnswer: "New   York"', "new york"),
    ("exact", "Thinking...\nParis", "paris"),
    ("exact", "", None),
]


@pytest.mark.parametrize(("verifier", "text", "answer"), CASES)
def test_the_final_word_is_found(verifier: str, text: str, answer: str | None) -> None:
    references = {"choice": "B", "yesno": "yes", "exact": "Paris"}
    right = answer is not None and answer == canonical(references[verifier], verifier)
    assert verify(text, references[verifier], verifier) == Verdict(answer, right)


@pytest.mark.parametrize(
    ("verifier", "reference", "stored"),
    [
        ("choice", " (c). ", "C"),
        ("choice", "Option D", "D"),
        ("yesno", "Yes", "yes"),
        ("yesno", "false", "no"),
    ],
)
def test_references_are_normalised(verifier: str, reference: str, stored: str) -> None:
    assert canonical(reference, verifier) == stored


@pytest.mark.parametrize(
    ("verifier", "reference"), [("choice", "six"), ("yesno", "maybe"), ("exact", "...")]
)
def test_references_that_cannot_be_read(verifier: str, reference: str) -> None:
    with pytest.raises(
        OrchardError,
        match=f"'{reference}' is not an answer that the verifier '{verifier}' can read",
    ):
        canonical(reference, verifier)


@pytest.mark.parametrize(
    ("verifier", "text", "final"),
    [
        ("choice", "The answer is (B).", True),
        ("choice", "B", False),
        ("yesno", "Answer: no", True),
        ("yesno", "Yes.", False),
        ("exact", "Answer: Paris", True),
        ("exact", "Paris", False),
    ],
)
def test_explicit_answers(verifier: str, text: str, final: bool) -> None:
    assert has_final_answer(text, verifier) is final
