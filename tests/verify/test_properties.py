"""One property per kind of answer:
an answer written in any of its ways is right, another one is wrong.
"""

from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipeline.verify import Verdict, verify

WORKS = ["First I add.\n", "Let me think step by step.\nThat leaves some.\n", ""]
works = st.sampled_from(WORKS)
small = st.integers(-(10**6), 10**6)


def judged(text: str, reference: str, verifier: str) -> bool:
    verdict = verify(text, reference, verifier)
    assert verdict.correct is not None
    return verdict.correct


@given(small, st.integers(2, 999), st.integers(1, 50), works)
def test_a_fraction_is_right_however_it_is_reduced_and_wrong_one_part_beside(
    over: int, under: int, factor: int, work: str
) -> None:
    value = Fraction(over, under)
    for text in (
        f"{work}The answer is {over * factor}/{under * factor}.",
        f"{work}#### {over}/{under}",
        rf"{work}\boxed{{\frac{{{over * factor}}}{{{under * factor}}}}}",
    ):
        assert judged(text, f"{value.numerator}/{value.denominator}", "number"), text
        assert not judged(text, f"{over + 1}/{under}", "number"), text


@given(st.decimals(0, 10**6, places=2), works)
def test_a_percentage_is_its_number_with_or_without_the_sign(value: object, work: str) -> None:
    for text in (
        f"{work}The answer is {value}%.",
        f"{work}#### {value} %",
        rf"{work}\boxed{{{value}\%}}",
    ):
        for reference in (f"{value}%", f"{value}"):
            assert judged(text, reference, "number"), (text, reference)
        assert not judged(text, f"1{value}", "number"), text


@given(st.integers(0, 10**9), st.integers(0, 99), st.sampled_from("$€£¥₹"), works)
def test_an_amount_of_money_is_right_with_and_without_currency_and_separators(
    units: int, cents: int, sign: str, work: str
) -> None:
    amount = f"{units}.{cents:02d}"
    for text in (
        f"{work}The answer is {sign}{units:,}.{cents:02d}.",
        f"{work}The total is 1 + 1 = {sign}{amount}",
        f"{work}#### {sign}{units:,}.{cents:02d}",
        f"{work}Answer: {amount} dollars",
    ):
        assert judged(text, amount, "number"), text
        assert not judged(text, f"{units + 1}.{cents:02d}", "number"), text


@given(small, st.integers(1, 999))
def test_a_boxed_answer_is_right_as_number_or_fraction_whatever_stands_before(
    value: int, under: int
) -> None:
    for text, reference in (
        (rf"We get 3 and 4. \boxed{{{value}}}", str(value)),
        (rf"$$x = 5$$ so $\boxed{{{value:,}}}$.", str(value)),
        (rf"\boxed{{\text{{no}}}}? No: \boxed{{{value}}}", None),
    ):
        if reference is None:  # two different boxes: ambiguous
            assert verify(text, str(value), "math") == Verdict(None, False)
        else:
            assert judged(text, reference, "math") and not judged(text, str(value + 1), "math"), (
                text
            )


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 99), st.integers(2, 99))
def test_equal_expressions_are_right_and_unequal_ones_wrong(a: int, b: int) -> None:
    assume(a != b)
    text = rf"\boxed{{{a}x + {b}}}"
    assert judged(text, f"{b} + {a}x", "math") and not judged(text, f"{a} + {b}x", "math")


@given(st.sampled_from("ABCDE"), st.sampled_from("ABCDE"), works)
def test_a_choice_is_right_in_every_way_to_write_it_and_no_other_letter_is(
    right: str, other: str, work: str
) -> None:
    for text in (
        f"{work}The answer is {right}.",
        f"{work}The correct answer is ({right}) because it fits.",
        f"{work}Answer: {right.lower()}",
        rf"{work}\boxed{{{right}}}",
        f"{work}{right}) seven",
    ):
        assert judged(text, other, "choice") is (right == other), text
    if right != other:
        assert verify(f"{work}The answer is {right} or {other}.", right, "choice") == Verdict(
            None, False
        )


@given(st.sampled_from(["yes", "no"]), st.sampled_from(["yes", "no"]), works)
def test_yes_and_no_are_told_apart(said: str, reference: str, work: str) -> None:
    same = {"yes": "true", "no": "false"}[said]
    for text in (
        f"{work}The answer is {said}.",
        f"{work}Answer: {same.title()}",
        f"{work}#### {said.upper()}",
    ):
        assert judged(text, reference, "yesno") is (said == reference), text
    assert verify(f"{work}The answer is yes and no.", reference, "yesno") == Verdict(None, False)


words = st.text(st.characters(categories=("Lu", "Ll")), min_size=1, max_size=12).filter(str.isalpha)


@given(st.lists(words, min_size=1, max_size=3), words, works)
def test_an_exact_text_is_right_whatever_its_case_and_spaces(
    parts: list[str], other: str, work: str
) -> None:
    reference = " ".join(parts)
    assume(other.casefold() not in reference.casefold().split())
    for text in (f"{work}The answer is {'  '.join(parts)}.", f'{work}Answer: "{reference}"'):
        assert judged(text, reference, "exact"), text
        assert not judged(text, f"{reference} {other}", "exact"), text


@pytest.mark.parametrize("verifier", ["number", "math", "choice", "yesno", "exact"])
def test_a_missing_answer_is_wrong_and_has_no_text_to_count(verifier: str) -> None:
    references = {"number": "7", "math": "x+1", "choice": "B", "yesno": "no", "exact": "Paris"}
    assert verify("", references[verifier], verifier) == Verdict(None, False)
