"""Numbers: what is extracted, what is equal, what is ambiguous.

Every expected value was worked out by hand.
"""

import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.errors import OrchardError
from pipeline.verify import Verdict, canonical, has_final_answer, language, verify
from pipeline.verify.number import extract

EXTRACTED = [
    ("The final answer is 7.", "7"),
    ("4 + 3 = 7", "7"),
    ("7", "7"),
    ("The final answer to the arithmetic problem is:\n\n4 + 3 = 7", "7"),
    ("3 - 5 = -2", "-2"),
    ("3 - 7 = -4\n-4 + 6 = 2\nThe answer is 2.", "2"),
    ("3 - 7 = -4\n-4 + 6 = 2", "2"),
    ("-3", "-3"),
    ("\u22123", "-3"),
    ("The answer is - 2", "-2"),
    ("x=-2", "-2"),
    ("12.", "12"),
    ("$1,200.50", "1200.5"),
    ("-$5", "-5"),
    ("$-5", "-5"),
    ("\u20ac3.10", "3.1"),
    ("It costs 18 dollars.", "18"),
    ("The answer is $18$ dollars.", "18"),
    ("50%", "50"),
    ("0.50", "0.5"),
    (".5", "0.5"),
    ("1/2", "0.5"),
    ("6/4", "1.5"),
    ("2/3", "2/3"),
    ("-2/6", "-1/3"),
    ("1 1/2", "1.5"),
    ("1e3", "1000"),
    ("007", "7"),
    ("1,000,000", "1000000"),
    ("so 12 eggs + 3 eggs\n#### 15", "15"),
    ("#### 1,234", "1234"),
    (r"\boxed{42}", "42"),
    (r"so $\boxed{\frac{1}{2}}$", "0.5"),
    (r"\boxed{1{,}200}", "1200"),
    (r"\boxed{\$18}", "18"),
    (r"\boxed{18\text{ dollars}}", "18"),
    (r"\boxed{7} and again \boxed{7.0}", "7"),
    ("**Answer:** 7", "7"),
    ("Answer: 7 apples", "7"),
    ("The answer is **7**.", "7"),
    ("<answer>7</answer>", "7"),
    ("The answer is 8 (since 4 + 3 = 7).", "8"),
    ("The answer is 4 + 3 = 7.", "7"),
    ("The answer is x = 7.", "7"),
    ("Answer: 4 - 7 = -3. Check: 4", "-3"),
    ("The answer is 7. Then 8 more.", "7"),
    ("To find the final answer: 3 - 7 = -4\n-4 + 6 = 2", "2"),
    ("We get the answer: add 3 to 4\nThe answer is 7.", "7"),
    ("The answer is not 5. It is 6", "6"),
    ("The answer is unclear. Perhaps 5", "5"),
    ("He has 3 boxes of 4, so 12 in all.", "12"),
    ("The answer is definitely not 5. The answer is 6.", "6"),
    ("The answer is 5, not 6.", "5"),
    ("He did not sell 3, so the answer is 7 - 3 = 4.", "4"),
    ("The answer could not be clearer: 7", "7"),
    ("The answer is 5 miles.", "5"),
    ("The answer is 5 km.", "5"),
    ("The answer is 5 bottles", "5"),
    (r"\boxed{2\frac{1}{2}}", "2.5"),
    ("So the number of students who did not pass is 7.", "7"),
    ("The number of guests who cannot swim is 7", "7"),
    ("The pages she has not read are 7", "7"),
    ("The probability that it does not rain is 0.7", "0.7"),
    ("Answer: the number of eggs not sold is 7", "7"),
    ("The distance not covered is 7 km", "7"),
    ("Since the answer cannot be negative, x = 5.", "5"),
    ("She has 7 left, and the answer cannot be negative.", "7"),
    ("She has 7 apples. I hope this answer isn't too long!", "7"),
    ("We get x = 5 or x = -5. Since the answer must be positive and cannot be -5, x = 5", "5"),
    ("The answer is not 5 but 6", "6"),
]
MISSING = [
    "",
    "no idea",
    "4 + 3 =",
    "4 + 3",
    "the answer is 4 + 3",
    "The answer is 3 or 4",
    "The answer is 3, 4",
    "Answer: 3 and 4.",
    r"\boxed{3} \boxed{4}",
    "The answer is 3. The answer is 4.",
    "1/0",
    "10^5",
    "2x",
    "1.2.3",
    "\u00b2",
    "\u0663",
    "9" * 5000,
    "1" + ",111" * 2000,
    r"\boxed{\sqrt{3}}",
    r"\boxed{\sqrt[3]{3}}",
    r"\boxed{3\pi}",
    r"The answer is \pi/3",
    r"The answer is 3\sqrt{2}",
    r"\boxed{\frac{\sqrt{3}}{2}}",
    "The answer is √3",
    "The answer is 3 pi",
    "There are 3 towns.\nThe answer is 5 million.",
    "The answer is 3 million people.",
    "The answer is 1,200 thousand",
    "The answer is 3k",
    "The answer is $3M",
    "The answer is 3 * 10^6",
    "The answer is not 3",
    "He has 3.\nThe answer is not 5.",
    "He has 3. The answer isn't 5.",
    "The answer is definitely not 3.",
    "I said 3.\nThe answer is definitely not 6.",
    "The answer cannot be 3",
    "The answer can\u2019t be 3",
    "The answer is unlikely to be 3",
    "The answer is not equal to 3",
    "The answer is less than 3",
    "The answer is more than 3",
    "The answer is at least 3",
    "The answer 3 is wrong",
    "x = 3.\nThe answer is not -3.",
    "The answer is not exactly 3",
    "I think 3.\nSo it is not just about 3",
    r"The answer is 3. $\boxed{5 \text{ million}}$",  # the stronger marker says so
]


@pytest.mark.parametrize(("text", "answer"), EXTRACTED)
def test_the_final_number_is_found(text: str, answer: str) -> None:
    assert verify(text, answer, "number") == Verdict(answer, True)


@pytest.mark.parametrize("text", MISSING)
def test_a_missing_or_ambiguous_number_is_no_answer(text: str) -> None:
    assert verify(text, "3", "number") == Verdict(None, False)


@pytest.mark.parametrize(
    ("text", "reference", "right"),
    [
        ("12", "1", False),
        ("1", "12", False),
        ("12", "12.0", True),
        ("50%", "50", True),  # our choice: the percent sign is a unit
        ("50", "50%", True),
        ("50%", "0.5", False),
        ("0.5", "50%", False),
        ("0.333", "1/3", False),
        ("2", "-2", False),
        ("$1,200.50", "1200.5", True),
    ],
)
def test_numbers_are_compared_exactly(text: str, reference: str, right: bool) -> None:
    assert verify(text, reference, "number").correct is right


@pytest.mark.parametrize(
    ("text", "final"),
    [
        ("The final answer is 7.", True),
        ("Answer: 7", True),
        ("#### 7", True),
        (r"\boxed{7}", True),
        ("3 + 4 = 7\nSo the answer is 7", True),
        ("The answer is 3 or 4", True),  # stated, though ambiguous: the response is over
        ("4 + 3 = 7", False),
        ("7", False),
        ("The final answer is:", False),
        ("The answer is", False),
        ("To find the answer: 3 - 7 = -4", False),
        ("", False),
    ],
)
def test_an_explicit_answer_ends_a_response(text: str, final: bool) -> None:
    assert has_final_answer(text, "number") is final
    assert has_final_answer(text, None) is False


@pytest.mark.parametrize(
    ("reference", "stored"),
    [
        ("She sold 48/2 = <<48/2=24>>24 clips.\n#### 72", "72"),
        ("8.0", "8"),
        ("1,200", "1200"),
        ("5 apples", "5"),
    ],
)
def test_a_reference_is_normalised(reference: str, stored: str) -> None:
    assert canonical(reference, "number") == stored


@pytest.mark.parametrize("reference", ["three", "3 or 4", ""])
def test_a_reference_that_is_no_number_is_an_error(reference: str) -> None:
    with pytest.raises(OrchardError, match=r"is not an answer that the verifier 'number' can read"):
        canonical(reference, "number")


def _ways(value: int) -> list[str]:
    return [
        str(value),
        f"{value:,}",
        f"{value}.0",
        f"{value}.",
        f"${value}$",
        f"The answer is {value}.",
        f"1 + 1 = {value}",
        f"#### {value}",
        rf"\boxed{{{value}}}",
        f"{str(value).replace('-', chr(0x2212))}",
        f"{2 * value}/2",
        f"Answer: **{value}** apples",
    ]


@given(st.integers(-(10**20), 10**20))
def test_an_integer_matches_itself_and_not_the_next(value: int) -> None:
    for text in _ways(value):
        assert verify(text, str(value), "number").correct, text
        assert not verify(text, str(value + 1), "number").correct, text


@given(st.decimals(-(10**9), 10**9, places=3))
def test_a_decimal_matches_itself_whatever_its_zeros(value: object) -> None:
    assert verify(f"The answer is {value}", f"{value}000", "number").correct


def test_it_is_fast() -> None:
    texts = [
        f"The final answer to the arithmetic problem is:\n\n4 + 3 = {number}"
        for number in range(5000)
    ]
    start = time.process_time()
    for text in texts:
        verify(text, "7", "number")
    assert len(texts) / (time.process_time() - start) > 5000  # 40,000/s and more on an idle machine


@pytest.mark.parametrize("marker", ["Die Antwort ist", "Antwort:", "La réponse est", "Respuesta:"])
@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("3,5.", "3.5"), ("-0,25", "-0.25"), ("**3,75**", "3.75"), ("3,50 €", "3.5"),
        ("12,3456", "12.3456"), ("1.234,5", "1234.5"), ("1.234.567,25 km", "1234567.25"),
        ("3,5%", "3.5"), ("1,234", "1234"),  # thousands, as everywhere
        ("3,5,6", None), ("3,5; 6", None), ("(3,5)", None), ("[3,5]", None), ("{3,5}", None),
        ("$3,5$", None), ("\\boxed{3,5}", None), ("3,5/2", None), ("3,5 million", None),
    ],
)  # fmt: skip
def test_a_decimal_comma_is_read_behind_a_marker_of_its_language(
    marker: str, written: str, value: str | None
) -> None:
    assert extract(f"{marker} {written}") == value


@pytest.mark.parametrize(
    "text",
    ["The answer is 3,5.", "3,5", "Also: 3,5", "答案是3,5", "Die Antworten: 3,5", "Respuestas: 3,5",
     "Die Antwort ist nicht 3,5", "La réponse est 3,5 ou 4", "Die Antwort ist 3,5 und 6"],
)  # fmt: skip
def test_a_decimal_comma_is_guessed_nowhere_else(text: str) -> None:
    assert extract(text) is None


@given(
    st.sampled_from(["The answer is", "Answer:", "Die Antwort ist", "La réponse est", "答案是"]),
    st.integers(2, 999),
    st.integers(2, 999),
    st.text(st.characters(categories=["Ll"], max_codepoint=0x7A), min_size=2, max_size=9),
)
def test_of_a_value_that_goes_on_to_another_without_a_reason_nothing_is_read(
    marker: str, n: int, m: int, word: str
) -> None:
    """'5 out of 6', '5 feet 6 inches', '5 von 6': which words there are does not matter."""
    assume(word not in language.words("reason", "states"))
    assert extract(f"{marker} {n} {word} {m}.") is None
    for explained in (", ", " (", " because ", " since ", " - that is, "):
        assert extract(f"{marker} {n} apples{explained}{m}") == str(n)
