"""Behind a marker only listed words may stand right before an answer; what takes it back counts.

The words that make another value of a number have no end ('under 5', 'log 5', 'double 5'), those
that name it do: so no list of the first is needed, and words that nobody thought of are refused.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.verify import canonical, has_final_answer, language, verify
from tests.verify.test_answer_kinds import FEW, naturals, right

AMOUNTS = ("number", "math")
OTHER = (
    "under", "over", "above", "below", "beyond", "double", "triple", "log", "up to", "smaller than",
    "a multiple of", "divisible by", "the square of", "the reciprocal of", "a third of", "hardly",
    "unlikely", "no longer", "nearly always above", "a maximum of", "cannot possibly be",
    "not really", "unter", "das Doppelte von", "sous", "le carré de", "hasta", "el cuadrado de",
)  # fmt: skip
unlisted = st.text("abcdefghijklmnopqrstuvwxyz", min_size=4, max_size=12).filter(
    lambda word: (
        not language.words(
            "article", "states", "leads", "perhaps", "negative", "answer", "right", "wrong"
        ).intersection([word])
    )
)


@FEW
@given(naturals, st.one_of(st.sampled_from(OTHER), unlisted), st.sampled_from(AMOUNTS))
def test_a_word_that_is_not_listed_makes_another_value(n: int, word: str, verifier: str) -> None:
    for text in (f"The answer is {word} {n}.", f"Antwort: {word} {n}", f"**Answer:** {word} ${n}$"):
        assert not right(text, str(n), verifier), text


@pytest.mark.parametrize("name", sorted(language.LANGUAGES))
@pytest.mark.parametrize("verifier", AMOUNTS)
def test_every_listed_word_may_stand_before_a_number(name: str, verifier: str) -> None:
    own = language.LANGUAGES[name]
    for lead in own.leads:
        assert right(f"{own.answer[0]}: {lead} 7", "7", verifier), lead


BEHIND = (
    "5 or so", "5 at most", "5 minimum", "5-ish", "5 and up", "5 or above", "5 (or 6)",
    "5 (maybe 6)", "5 plus tax", "5 times the rest", "5 more than x", "5 per 6", "(5)²", "(5)^2",
    "(5)*3", "5's double", "5 oder so", "5 au moins", "5 como máximo", "5的两倍", "5次方",
)  # fmt: skip


@pytest.mark.parametrize("verifier", AMOUNTS)
@pytest.mark.parametrize("said", BEHIND)
def test_words_behind_a_number_make_another_value_too(said: str, verifier: str) -> None:
    assert not right(f"The answer is {said}", "5", verifier)
    assert not right(f"答案是{said}", "5", verifier)


TAKEN_BACK = (
    "{a}, no wait, {b}", "{a}. Wait, no. It is {b}.", "{a}, I mean {b}", "{a}, which is wrong.",
    "{a}. That is incorrect.", "{a} — oops, {b}", "{a}. Hold on, I forgot one.",
    "{a}. Moment, das ist falsch.", "{a}。等等，是{b}",
)  # fmt: skip


@pytest.mark.parametrize("said", TAKEN_BACK)
@pytest.mark.parametrize(
    ("verifier", "a", "b"),
    [("number", "5", "6"), ("math", "5", "6"), ("choice", "B", "C"), ("yesno", "yes", "no")],
)
def test_an_answer_that_is_taken_back_is_none(said: str, verifier: str, a: str, b: str) -> None:
    text = f"The answer is {said.format(a=a, b=b)}"
    assert not right(text, a, verifier)
    assert not has_final_answer(text, verifier)
    assert right(f"{text}\nThe answer is {b}.", b, verifier)


@pytest.mark.parametrize(
    "text",
    ["I'm not sure the answer is {}", "It is false that the answer is {}.",
     "It's not true that the answer is {}.", "It is unlikely that the answer is {}."],
)  # fmt: skip
@pytest.mark.parametrize(("verifier", "said"), [("number", "5"), ("choice", "B"), ("yesno", "yes")])
def test_what_nobody_claims_is_no_answer(text: str, verifier: str, said: str) -> None:
    assert not right(text.format(said), said, verifier)


@pytest.mark.parametrize("verifier", AMOUNTS)
@pytest.mark.parametrize(
    "text",
    ["The answer is <b>5</b>.", "The answer is _5_.", "The answer is __5__", "Answer: <em>5</em>",
     "The answer is that Tom needs 5 eggs.", "The answer is a total of 5 eggs.",
     "The answer is 5 times a week.", "The answer is 5 minutes. They wait for the bus."],
)  # fmt: skip
def test_a_value_that_is_named_is_read(text: str, verifier: str) -> None:
    assert right(text, "5", verifier)


@pytest.mark.parametrize(
    "text",
    ["The answer is vitamin B", "The answer comes after option B", "Eliminate option B.",
     "We can rule out option B.", "The opposite of option B", "Option A is better than option B",
     "The least likely option is B", r"\boxed{\neg B}", r"\boxed{B'}", r"\boxed{\overline{B}}",
     r"\boxed{B^c}", "<answer>!B</answer>", "不选B", "B不正确", "не B", "B نيست"],
)  # fmt: skip
def test_a_letter_of_something_else_is_no_choice(text: str) -> None:
    assert not right(text, "B", "choice")


def test_two_letters_behind_two_markers_are_no_choice() -> None:
    """'A' is an answer there, and no article."""
    for letter in "AB":
        assert not right("Answer: A\nAnswer: B", letter, "choice")
    assert right("Answer: A\nAnswer: A", "A", "choice")


@pytest.mark.parametrize(
    "text",
    ["I choose {}", "I would choose {}.", "I'd go with {}.", "Choose {}", "The letter is {}"],
)
def test_a_letter_that_is_chosen_is_read(text: str) -> None:
    assert right(text.format("B"), "B", "choice")
    assert not right(text.replace("choose", "not choose").format("B"), "C", "choice")
    assert not right("I would not choose B.", "B", "choice")


@pytest.mark.parametrize(
    "text",
    ["Yes? No.", "Yes... no", "Yes, if x is 2; no otherwise", "The answer is unlikely yes",
     "Yes. No, wait: no."],
)  # fmt: skip
def test_yes_and_no_together_are_neither(text: str) -> None:
    assert not right(text, "yes", "yesno")


@pytest.mark.parametrize("text", ["Yes. There are no eggs left.", "Yes, it is. Nobody knows."])
def test_a_no_that_answers_nothing_is_none(text: str) -> None:
    assert right(text, "yes", "yesno")


def test_references_are_read_as_they_were() -> None:
    assert canonical("She has 5 eggs", "number") == "5"
    assert verify("5", canonical("under 5", "number"), "number").correct
