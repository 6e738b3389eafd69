"""Which word a reply answers with: by hand, and without a side that is favoured."""

import math
from itertools import product

import pytest

from pipeline.engine.answers import Place, answer_of
from pipeline.engine.base import RequestFailed


def place(said: str, top: dict[str, float]) -> Place:
    return Place(said.encode(), [(token, math.log(p)) for token, p in top.items()])


@pytest.mark.parametrize(
    "text",
    ["A", " A\n", "**A**", "(A)", "a", "[[A]]", "A.", "A: it is shorter.", "A\nB has an error.",
     "Response A", "The better response is A.", "I find response A better", "Answer: A",
     "Option A is right"],
)  # fmt: skip
def test_a_text_that_answers_is_read_alike_for_both_sides(text: str) -> None:
    swapped = text.translate(str.maketrans("ABa", "BAb"))
    swapped = swapped.replace("Bnswer", "Answer")
    assert answer_of(text, [], [" A", " B"]).shares == [1.0, 0.0]
    assert answer_of(swapped, [], [" A", " B"]).shares == [0.0, 1.0]


@pytest.mark.parametrize(
    "text",
    ["", "?", "Both are good.", "A or B", "A is better than B.", "Neither A nor B", "A/B",
     "A better one could be written", "Response A is better than response B.", "AB", "C"],
)  # fmt: skip
def test_any_other_text_is_no_answer(text: str) -> None:
    with pytest.raises(RequestFailed, match="answers with none of A, B"):
        answer_of(text, [], [" A", " B"])


@pytest.mark.parametrize(
    ("text", "said"),
    [("7", "7"), ("7 out of 9? No: 7", None), ("Score: 7", "7"), ("I rate it 7 of ten", "7"),
     ("7.5", None), ("17", None), ("It is a 7, or an 8", None)],
)  # fmt: skip
def test_a_number_is_no_part_of_another(text: str, said: str | None) -> None:
    words = [str(n) for n in range(1, 10)]
    if said is None:
        with pytest.raises(RequestFailed):
            answer_of(text, [], words)
    else:
        assert words[answer_of(text, [], words).shares.index(1.0)] == said


def test_yes_and_no_in_any_case() -> None:
    for text in ("yes", "Yes, because there is no error.", "YES!", "The answer is yes"):
        assert answer_of(text, [], ["Yes", "No"]).shares == [1.0, 0.0]


def test_spellings_of_a_word_are_added_up_and_an_article_is_none() -> None:
    top = {"A": 0.4, " A": 0.2, "a": 0.1, "B": 0.2, "The": 0.1}
    found = answer_of("A", [place("A", top)], [" A", " B"])
    assert found.shares == pytest.approx([0.75, 0.25]) and found.mass == pytest.approx(0.8)
    top = {"Yes": 0.5, "yes": 0.1, " YES": 0.1, "No": 0.1, "no": 0.1}
    assert answer_of("Yes", [place("Yes", top)], ["Yes", "No"]).shares == pytest.approx(
        [7 / 9, 2 / 9]
    )


@pytest.mark.parametrize(
    ("top", "expected"),
    [
        ({"A": 0.9, "I": 0.05, "The": 0.02}, [0.9 / 0.92, 0.02 / 0.92]),  # as likely as "The"
        ({"A": 0.96}, [0.96, 0.04]),  # what A leaves
        ({"A": 1.0}, [1.0, 0.0]),
    ],
)
def test_a_word_that_is_not_listed_has_what_the_listed_ones_leave(
    top: dict[str, float], expected: list[float]
) -> None:
    """As of a completion server (tests/engine/test_server.py)."""
    found = answer_of("A", [place("A", top)], ["A", "B"])
    assert found.shares == pytest.approx(expected)
    assert found.mass == pytest.approx(top["A"])


def test_the_place_of_the_answer_is_found_behind_marks_words_and_a_thought() -> None:
    sure, other = {"A": 0.8, "B": 0.2}, {"B": 0.99, "A": 0.01}
    marks = [place("**", {"**": 1.0}), place("A", sure), place("**", {"**": 1.0})]
    assert answer_of("**A**", marks, ["A", "B"]).shares == pytest.approx([0.8, 0.2])
    words = [place("Response", {"Response": 1.0}), place(" A", sure), place(".", {".": 1.0})]
    assert answer_of("Response A.", words, ["A", "B"]).shares == pytest.approx([0.8, 0.2])
    thought = [place("B", other), place("</think>", {"</think>": 1.0}), place("A", sure)]
    assert answer_of("A", thought, ["A", "B"]).shares == pytest.approx([0.8, 0.2])


def test_a_first_token_is_the_answer_where_the_text_says_so() -> None:
    """'A' may be an article: such a reply is read as one without log-probabilities is."""
    likely = {"A": 0.6, "B": 0.4}
    alone = answer_of("A.", [place("A", likely), place(".", {".": 1.0})], "AB")
    stopped = answer_of("A\nIt", [place("A", likely), place("\nIt", {"\nIt": 1.0})], "AB")
    assert alone.shares == stopped.shares == pytest.approx([0.6, 0.4])
    for text in ("A is", "B is", "A good answer is B"):
        said = [place(word, {word: 0.6, "B": 0.4}) for word in text.replace(" ", " |").split("|")]
        with pytest.raises(RequestFailed, match="answers with none of"):
            answer_of(text, said, "AB")


def test_tokens_that_spell_no_word_leave_the_text() -> None:
    """And so do words of which one begins another: the first token may be either."""
    halves = [place("Ye", {"Ye": 0.9, "No": 0.1}), place("s", {"s": 1.0})]
    assert answer_of("Yes", halves, ["Yes", "No"]).shares == [1.0, 0.0]
    found = answer_of("10", [place("1", {"1": 0.9}), place("0", {"0": 0.9})], ["1", "10"])
    assert found.shares == [0.0, 1.0] and found.mass is None


def test_the_shares_are_the_simulated_reader_s() -> None:
    """A reader with known probabilities, spelt in several ways and cut to its likeliest tokens."""
    for p, blank, cut in product((0.05, 0.5, 0.97), (0.0, 0.3), (3, 20)):
        top = {"A": p * (1 - blank), " A": p * blank, "B": 1 - p}
        top = dict(sorted(((t, q) for t, q in top.items() if q), key=lambda one: -one[1])[:cut])
        said = max(top, key=lambda token: top[token])
        assert answer_of(said, [place(said, top)], "AB").shares == pytest.approx([p, 1 - p])
