"""The kinds of fault that verifiers of letters, words and texts had, with their neighbours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.verify import Verdict, canonical, verify
from tests.verify.test_answer_kinds import FEW, right


@FEW
@given(st.sampled_from("ABCDEFGHIJ"), st.sampled_from("ABCDEFGHIJ"))
def test_a_letter_is_read_before_and_behind_its_marker(letter: str, other: str) -> None:
    for text in (
        f"The correct option is {letter}.", f"Option {letter} is correct.", f"My choice: {letter}",
        f"{letter} is the correct answer.", f"Answer {letter}", f"The best choice is ({letter})",
        f"Answer: ({letter}) B, D and F turn left", f"{letter.lower()}. four", f"**{letter}**",
        f"The answer is {letter} because a car moves.", f"({letter}) is the right choice.",
        rf"\boxed{{\text{{{letter}}}}}", rf"The answer is $\textbf{{({letter})}}\ 7$.",
        f"正确选项是{letter}。", f"故选{letter}。", f"Die richtige Antwort ist {letter}.",
        f"La bonne réponse est {letter}.", f"La opción correcta es {letter}.",
    ):  # fmt: skip
        assert right(text, other, "choice") is (letter == other), text
    if letter != other:
        for text in (f"The answer is {letter} or {other}.",
                     f"Both {letter} and {other} are correct.",
                     f"({letter}) and ({other})", f"Option {letter} is not correct."):  # fmt: skip
            assert verify(text, letter, "choice") == Verdict(None, False), text


TWO_LETTERS = (
    r"\boxed{{{a} \text{{ or }} {b}}}", r"\boxed{{\text{{{a}}}, \text{{{b}}}}}",
    r"\boxed{{{a} \lor {b}}}", r"\boxed{{{a} \& {b}}}", "<answer>{a} {b}</answer>",
    "Answer: {a} | {b}", "Answer: {a} + {b}",
    "Answer: {a} or maybe {b}", "Answer: {a} (or {b})", "{a}, {b}", "选{a}或{b}", "选{a}、{b}",
    "I don't think {a} is correct.", "I doubt that {a} is correct.", "If {a} is correct, stop.",
    "The answer is {a}? No.",
)  # fmt: skip


@FEW
@given(st.permutations("BCDEFGHJ"), st.sampled_from(TWO_LETTERS))
def test_of_two_letters_neither_is_the_choice(order: list[str], said: str) -> None:
    a, b = order[:2]
    for letter in (a, b):
        assert not right(said.format(a=a, b=b), letter, "choice"), said


@pytest.mark.parametrize("command", ["text", "textbf", "mathrm", "mbox"])
def test_a_reference_of_a_choice_may_be_set_in_type(command: str) -> None:
    assert right("The answer is B.", rf"\{command}{{(B)}}", "choice")
    assert right(rf"\boxed{{\{command}{{(B) }} C and D}}", "B", "choice")


@pytest.mark.parametrize(("said", "reference"), [("don’t", "don't"), ("cafe\u0301", "café")])
def test_a_text_is_compared_as_it_is_read(said: str, reference: str) -> None:
    assert right(f"The answer is {said}.", reference, "exact")


@pytest.mark.parametrize(
    "text", ["A good guess would be four.", "I think it is a car.", "A dog barks."]
)
def test_a_word_of_one_letter_is_no_choice(text: str) -> None:
    assert verify(text, text[0], "choice") == Verdict(None, False)


@pytest.mark.parametrize(
    ("flag", "word"), [("1", "yes"), ("0", "no"), ("True", "yes"), ("0.0", "no")]
)
def test_a_flag_is_a_reference_of_yes_and_no(flag: str, word: str) -> None:
    assert canonical(flag, "yesno") == word
