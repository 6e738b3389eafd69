"""All verifiers: names, and that no response makes them raise."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import OrchardError
from pipeline.verify import Verdict, canonical, has_final_answer, verifiers, verify

REFERENCES = {
    "number": "7",
    "math": "7",
    "choice": "B",
    "yesno": "yes",
    "exact": "x",
    "reasoning_gym:chain_sum": "7",
}
PIECES = [
    "The answer is ",
    "\\boxed{",
    "}",
    "#### ",
    "=",
    "7",
    "-",
    "1/0",
    "10**100000",
    "1e999",
    " or ",
    "$",
    "\\frac{",
    "\n",
]
texts = st.one_of(st.text(), st.lists(st.sampled_from(PIECES)).map("".join))


@settings(max_examples=200, deadline=None)
@given(texts)
def test_no_response_makes_a_verifier_raise(text: str) -> None:
    for verifier, reference in REFERENCES.items():
        assert verify(text, reference, verifier).correct in (True, False)
        assert has_final_answer(text, verifier) in (True, False)


@pytest.mark.parametrize(
    "text",
    [
        "\\boxed{1e9999}",
        "\\boxed{2 \\times 10^{9999}}",
        "\\boxed{9^{9999}}",
        "9" * 10**5,
        "1/0",
        "\u0661\u0662",
        "\\boxed{" * 10**4,
        "answer " * 10**4,
        "1," * 10**4,
    ],
)
@pytest.mark.parametrize("verifier", REFERENCES)
def test_hostile_texts(verifier: str, text: str) -> None:
    assert verify(text, REFERENCES[verifier], verifier).correct is False


@pytest.mark.parametrize("run", [" ", "*", "5", "\\", "not ", "$", "-"])
@pytest.mark.parametrize(
    "start", ["", "The answer is 5", "The answer is A", "answer not", "x = 5", "A"]
)
def test_the_time_for_a_long_run_grows_with_its_length(run: str, start: str) -> None:
    began = time.process_time()
    for verifier, reference in REFERENCES.items():
        for end in ("q", "q 6 B"):
            verify(start + run * (20_000 // len(run)) + end, reference, verifier)
    # 12 texts of 20,000 characters: 0.1 s, or minutes where it is quadratic
    assert time.process_time() - began < 2


def test_without_a_verifier_or_an_answer_there_is_no_verdict() -> None:
    assert verify("7", None, None, None) == Verdict(None, None)
    assert verify("7", None, "number", None) == Verdict("7", None)
    assert verify("7", None, "reasoning_gym:chain_sum", None) == Verdict("7", None)


def test_every_verifier_has_a_name() -> None:
    assert {"number", "math", "choice", "yesno", "exact", "reasoning_gym:chain_sum"} <= set(
        verifiers()
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "nunber",
            r"^unknown verifier 'nunber': did you mean number\? use one of choice, code, exact, ",
        ),
        ("reasoning_gym:chain_sun", r"did you mean reasoning_gym:chain_sum"),
        ("???", r"^unknown verifier '\?\?\?': use one of choice, "),
    ],
)
def test_an_unknown_verifier_is_an_error(name: str, message: str) -> None:
    for call in (
        lambda: verify("7", "7", name),
        lambda: canonical("7", name),
        lambda: has_final_answer("7", name),
    ):
        with pytest.raises(OrchardError, match=message):
            call()
