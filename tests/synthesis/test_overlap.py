"""Overlap with evaluation prompts, counted by hand."""

import pytest

from pipeline.config import OverlapSettings as Limits
from pipeline.synthesis.overlap import code_overlaps, overlaps, same_prompts

TEMPLATE = "State the final answer to the following arithmetic problem: "


def test_a_question_inside_a_longer_prompt_is_found_by_its_runs() -> None:
    question = "How many pears does Ada have after she gives three of her nine pears away?"
    found = overlaps(
        {"s": f"{question}\n\nIn addition:\n- Do not use any commas.", "t": "How many?"},
        {"q": question},
    )
    assert found.select("text_id", "reference_id", "ngrams").rows() == [("s", "q", 1.0)]


def test_the_share_of_runs_and_the_similarity_are_those_counted_by_hand() -> None:
    # runs of 2 tokens of the reference: ab bc cd de; the text has ab and bc: 2 of 4
    found = overlaps({"s": "a b c x"}, {"q": "a b c d e"}, Limits(n=2, ngrams=0.5, edits=1))
    # 7 and 9 characters with spaces, 'a b c ' in common: 1 - (1 + 3) / 16
    assert found.rows() == [("s", "q", 0.5, pytest.approx(0.75))]


def test_slight_rewording_is_found_by_edits_but_other_numbers_are_another_problem() -> None:
    reference = {"q": "Tom has 3 apples and eats 2. How many are left now?"}
    texts = {
        "reworded": "Tom has 3 apples and ate 2. How many are left?",
        "numbers": "Tom has 5 apples and eats 2. How many are left now?",
    }
    assert overlaps(texts, reference, Limits(n=20))["text_id"].to_list() == ["reworded"]


def test_the_pools_template_is_no_overlap_and_the_same_problem_is() -> None:
    references = {f"q{a}{b}": f"{TEMPLATE}{a} + {b} =" for a in range(1, 10) for b in range(1, 10)}
    assert overlaps(
        {"s": f"{TEMPLATE}31 + 4 =", "t": "State the final answer."}, references
    ).is_empty()
    found = overlaps({"s": f"{TEMPLATE}3 + 4 =\n\nIn addition:\n- Write 2 lines."}, references)
    assert found["reference_id"].to_list() == ["q34"]


def test_nothing_overlaps_with_nothing() -> None:
    assert overlaps({}, {"q": "a"}).is_empty() and overlaps({"s": "a"}, {}).is_empty()
    assert overlaps({"s": ""}, {"q": "a b"}).is_empty()


def test_a_sum_that_differs_in_one_number_is_another_sum_whatever_runs_they_share() -> None:
    # 2-token runs of the reference: 12 of 13 are in the text too
    reference = {"q": "add 1 then 2 then 3 then 4 then 5 then 6 now"}
    text = "add 1 then 2 then 3 then 4 then 5 then 7 now"
    assert overlaps({"s": text}, reference, Limits(n=2, edits=1)).is_empty()
    found = overlaps({"s": text}, reference, Limits(n=2, edits=1), numbers=False)
    # '5 then', 'then 6', '6 now' ...: 'then 6' and '6 now' lack.
    assert found["ngrams"].item() == pytest.approx(10 / 12)


def test_before_training_normalised_equality_and_runs_count_and_a_rewording_does_not() -> None:
    references = {
        "q": "Which river is the longest of all the rivers in Europe, and where does it end?"
    }
    texts = {
        "same": (
            "  which RIVER is the longest of all the rivers in Europe,\nand where does it end? "
        ),
        "inside": references["q"] + "\n\nIn addition:\n- Use 3 commas.",
        "reworded": "What river is the longest of all rivers of Europe, and where does it end?",
    }
    found = same_prompts(texts, references)
    assert found["text_id"].to_list() == ["inside", "same"]


def test_code_repeats_code_whatever_its_comments_and_numbers() -> None:
    reference = {"t": 'def f(n):\n    """Sum."""\n    return sum(k * k for k in range(n + 1))'}
    codes = {
        "copy": "def f(n):\n    # squares\n    return sum(k * k for k in range(n + 2))",
        "other": "def g(text):\n    return [word.lower() for word in text.split()]",
        "broken": "def f(n:\n    return",
    }
    assert code_overlaps(codes, reference)["text_id"].to_list() == ["copy"]
