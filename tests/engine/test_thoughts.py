"""What a model thinks is never its response."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine.thoughts import opens_thought, split_thought
from pipeline.verify import canonical, verify
from pipeline.verify.response import check_answer

# Opening mark, closing mark: as each template writes them.
MARKS = [
    ("<think>", "</think>"),
    ("<thought>", "</thought>"),
    ("<thinking>", "</thinking>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|START_THINKING|>", "<|END_THINKING|><|START_RESPONSE|>"),
    ("<reasoning>", "</reasoning>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    (  # a tool's call
        "<|channel|>commentary to=functions.f <|constrain|>json<|message|>",
        "<|call|><|start|>assistant<|channel|>final<|message|>",
    ),
    (
        "<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
    ),
]
WEIGHED = ["The answer is 5. Wait.", r"\boxed{4}? no.", "#### 3", "Answer: A", "hm", ""]
pieces = st.lists(st.sampled_from([*WEIGHED, "\n", " "]), max_size=4).map("".join)
answers = st.sampled_from(["The answer is 7.", "#### 7", r"\boxed{7}", "So, 7."])
marks = st.sampled_from(MARKS)


@given(marks, pieces, pieces, answers, st.booleans(), st.booleans())
def test_only_what_follows_the_last_closing_mark_is_the_response(
    mark: tuple[str, str], thought: str, more: str, answer: str, opened: bool, again: bool
) -> None:
    opening, closing = mark
    text = ("" if opened else opening) + thought + closing  # the template may have opened it
    if again:
        text += f"{more}{opening}{more}{closing}"
    parts = split_thought(f"{text}\n\n{answer}", opened=opened)
    assert (parts.thought, parts.response) == (text + "\n\n", answer)
    assert verify(
        split_thought(text + answer).response or "", canonical("7", "number"), "number"
    ).correct


@given(marks, pieces, answers, st.booleans())
def test_an_unfinished_thought_has_no_response(
    mark: tuple[str, str], thought: str, answer: str, before: bool
) -> None:
    said = (answer if before else "") + mark[0] + thought + answer
    assert split_thought(said).response is None
    assert split_thought(thought + answer, opened=True).response is None


@given(pieces, answers)
def test_a_text_without_marks_is_all_response(work: str, answer: str) -> None:
    parts = split_thought(work + answer)
    assert (parts.thought, parts.response) == (None, work + answer)


@pytest.mark.parametrize("quote", ["`", "'", '"'])
def test_a_mark_that_is_spoken_of_is_none(quote: str) -> None:
    said = f"Put it between {quote}<think>{quote} and {quote}</think>{quote}: the answer is 7."
    assert split_thought(said).thought is None


def test_another_familys_closing_mark_ends_no_thought() -> None:
    assert split_thought("<think>as in </thought> The answer is 7.").response is None


@pytest.mark.parametrize(("between", "response"), [
    ("\n\n    return 7", "    return 7"), (" 7", "7"), ("\n 7", " 7"), ("7", "7"), (" \n \n", ""),
])  # fmt: skip
def test_indentation_belongs_to_the_response(between: str, response: str) -> None:
    parts = split_thought("<think>hm</think>" + between)
    assert parts.response == response
    assert f"{parts.thought}{parts.response}" == "<think>hm</think>" + between


def test_a_mark_behind_the_response_is_not_part_of_it() -> None:
    said = "<|channel|>analysis<|message|>2+5<|end|><|start|>assistant<|channel|>final<|message|>7"
    assert split_thought(said + "<|return|>").response == "7"
    said = "<|START_THINKING|>2+5<|END_THINKING|><|START_RESPONSE|>7<|END_RESPONSE|>"
    assert split_thought(said).response == "7"


@pytest.mark.parametrize(("rendered", "opened"), [
    ("<|im_start|>assistant\n<think>\n", True),
    ("<|im_start|>assistant\n<think>\n\n</think>\n\n", False),  # thoughts switched off
    ("<|im_start|>assistant\n", False),
    ("[THINK]", True),
])  # fmt: skip
def test_a_template_may_open_the_thought(rendered: str, opened: bool) -> None:
    assert opens_thought(rendered) is opened


# Rows of the field: an answer weighed in a thought, and the verifier that must not see it.
CASES = [
    (
        "number",
        "<think>\nIs the answer 5? No: 3 + 4 is 7.\n</think>\n\nThe answer is 7.",
        "7",
        True,
    ),
    ("number", "so the answer is 5, hmm.\n</think>\n\nThe answer is 7.", "7", True),
    ("number", "<think>The answer is 7 but let me check whether", "7", False),
    ("math", "\\boxed{4} hm</think>\n\\boxed{5}", "5", True),
    ("yesno", "<think>Let me see.</think>\nNo.", "no", True),
    ("choice", "<think>Answer: A? no.</think>\nAnswer: B", "B", True),
    ("exact", "<think>hm</think>\nParis", "Paris", True),
]


@pytest.mark.parametrize(("verifier", "said", "reference", "right"), CASES)
def test_verifiers_read_the_response(verifier: str, said: str, reference: str, right: bool) -> None:
    prompt = {"answer": canonical(reference, verifier), "verifier": verifier, "metadata": None}
    assert check_answer(split_thought(said).response, prompt).correct is right
    assert check_answer(said, prompt).correct is right  # what came in with its thought


def test_without_a_verifier_nothing_is_right_or_wrong() -> None:
    prompt = {"answer": None, "verifier": None, "metadata": None}
    assert check_answer(None, prompt) == check_answer("7", prompt)
    assert check_answer(None, {**prompt, "answer": "7", "verifier": "number"}).correct is False
