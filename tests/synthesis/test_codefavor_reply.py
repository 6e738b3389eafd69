"""A critic's replies: every outcome by hand."""

from dataclasses import replace

import pytest

from pipeline.engine.base import Completion
from pipeline.synthesis import codefavor_prompts
from pipeline.synthesis.codefavor_code import same, stripped
from pipeline.synthesis.codefavor_reply import (
    GoodEnough,
    Improved,
    Malformed,
    copies,
    read_commit,
    read_evol,
    says_better,
)

DRAFT = 'def f(n):\n    """Sum."""\n    # slow\n    return sum(range(n + 1))'
THINKS = "[BEGIN REFLECTION]\nIt loops.\n[END REFLECTION]\n"
BETTER = """[BEGIN CRITERIA]
Constant time.
[END CRITERIA]
[BEGIN ATTEMPT_2]
```python
def f(n):
    return n * (n + 1) // 2  # Gauss
```
[END ATTEMPT_2]
[BEGIN FEEDBACK]
[ATTEMPT_2] does not loop.
[END FEEDBACK]"""
COMMIT = """[BEGIN INSTRUCTION]
Sum the numbers up to n.
[END INSTRUCTION]
[BEGIN CRITERIA]
Constant time.
[END CRITERIA]
[BEGIN NAIVE_CODE]
def f(n):
    return sum(range(n + 1))
[END NAIVE_CODE]
[BEGIN IMPROVED_CODE]
def f(n):
    return n * (n + 1) // 2
[END IMPROVED_CODE]
[BEGIN FEEDBACK]
[NAIVE_CODE] loops.
[END FEEDBACK]"""


def reply(text: str, finish: str = "stop") -> Completion:
    return Completion(text, (1,), (-1.0,), finish, None, 1)


def test_an_improvement_comes_back_without_comments_and_docstrings() -> None:
    assert read_evol(reply(THINKS + BETTER), DRAFT) == Improved(
        "Constant time.",
        "def f(n):\n    return sum(range(n + 1))",
        "def f(n):\n    return n * (n + 1) // 2",
        "[ATTEMPT_2] does not loop.",
        reflection="It loops.",
    )


def test_good_enough_and_malformed_are_two_things() -> None:
    assert read_evol(reply(THINKS), DRAFT) == GoodEnough("It loops.")
    assert read_evol(reply("It is good enough."), DRAFT) == Malformed("no [BEGIN REFLECTION]")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no [BEGIN REFLECTION]"),
        ("[BEGIN REFLECTION]\nwell", "no [END REFLECTION]"),
        ("[BEGIN REFLECTION]\n\n[END REFLECTION]", "section REFLECTION is empty"),
        (BETTER, "expected [BEGIN REFLECTION], found [BEGIN CRITERIA]"),
        (
            THINKS + BETTER.replace("[END CRITERIA]\n", ""),
            "expected [END CRITERIA], found [BEGIN ATTEMPT_2]",
        ),
        (THINKS + BETTER + "\n" + THINKS, "[BEGIN REFLECTION] after the last section"),
        (THINKS + BETTER.replace("return n", "return ("), "section ATTEMPT_2 is not Python"),
        (
            THINKS + BETTER.replace("[ATTEMPT_2] does", "It does"),
            "the feedback names neither ATTEMPT_1 nor ATTEMPT_2",
        ),
        (
            THINKS + BETTER.replace("n * (n + 1) // 2", "sum(range(n + 1))"),
            "both codes say the same",
        ),
    ],
)
def test_each_malformed_reply_has_its_reason(text: str, reason: str) -> None:
    assert read_evol(reply(text), DRAFT) == Malformed(reason)


END = "[END ATTEMPT_2]"
FEEDBACK = "[BEGIN FEEDBACK]"


@pytest.mark.parametrize(
    ("text", "feedback"),
    [
        (BETTER.partition(END)[0], None),
        (BETTER.partition(FEEDBACK)[0], None),
        (BETTER.removesuffix("[END FEEDBACK]"), "[ATTEMPT_2] does not loop."),
    ],
)
def test_a_reply_that_ends_by_itself_needs_no_last_mark_behind_a_whole_program(
    text: str, feedback: str | None
) -> None:
    whole = read_evol(reply(THINKS + BETTER), DRAFT)
    assert isinstance(whole, Improved)
    assert read_evol(reply(THINKS + text), DRAFT) == replace(whole, feedback=feedback)
    for finish in ("length", "unknown"):  # there the program may be cut, though it parses
        cut = read_evol(reply(THINKS + text, finish), DRAFT)
        assert isinstance(cut, Malformed) and cut.reason.startswith("no [")


def test_without_its_last_mark_a_program_must_parse_and_a_reflection_is_no_program() -> None:
    torn = BETTER.partition(END)[0].replace("return n", "return (")
    assert read_evol(reply(THINKS + torn), DRAFT) == Malformed("section ATTEMPT_2 is not Python")
    bare = BETTER.partition("[BEGIN ATTEMPT_2]")[0]
    assert read_evol(reply(THINKS + bare), DRAFT) == Malformed("no [BEGIN ATTEMPT_2]")
    commit = read_commit(reply(COMMIT.partition("[END IMPROVED_CODE]")[0]))
    assert isinstance(commit, Improved) and commit.feedback is None
    assert commit.improved == "def f(n):\n    return n * (n + 1) // 2"


@pytest.mark.parametrize(
    ("section", "said", "found"),
    [
        # Seen of a 1.5B coder, about a task that has no square root in it.
        ("feedback", "[ATTEMPT_2] stops at the square root and tries far fewer.", "FEEDBACK"),
        ("criteria", "The work should grow with the square root.", "CRITERIA"),
        ("feedback", "[ATTEMPT_2] stops at the first match, with the same results.", None),
    ],
)
def test_words_of_a_worked_example_are_found_in_a_row_of_six(
    section: str, said: str, found: str | None
) -> None:
    turns = codefavor_prompts.revise("p", "task", "code", examples=2)
    shown = [turn["content"] for turn in turns if turn["role"] == "assistant"]
    whole = read_evol(reply(THINKS + BETTER), DRAFT)
    assert isinstance(whole, Improved)
    assert copies(whole, shown) is None
    assert copies(replace(whole, **{section: said}), shown) == found
    assert copies(replace(whole, **{section: said}), []) is None


def test_a_critic_that_never_stops_is_cut_off_and_malformed() -> None:
    cut = read_evol(reply("[BEGIN REFLECTION]\n" + "and so on " * 100, "length"), DRAFT)
    assert cut == Malformed("no [END REFLECTION] (cut off by the token limit)")


def test_a_draft_that_is_no_python_is_malformed() -> None:
    assert read_evol(reply(THINKS + BETTER), "def f(") == Malformed(
        "section ATTEMPT_1 is not Python"
    )


def test_a_commit_needs_all_five_sections() -> None:
    read = read_commit(reply(COMMIT))
    assert isinstance(read, Improved) and read.instruction == "Sum the numbers up to n."
    assert read.naive == "def f(n):\n    return sum(range(n + 1))"
    for name in ("INSTRUCTION", "CRITERIA", "NAIVE_CODE", "IMPROVED_CODE", "FEEDBACK"):
        found = read_commit(reply(COMMIT.replace(f"[BEGIN {name}]", "")))
        assert isinstance(found, Malformed) and f"[BEGIN {name}]" in found.reason


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("[YES]", True),
        ("I think so. [yes], it is faster: [YES]", True),
        ("[NO] NOTE that YES is not said", False),
        ("NOTE: nothing is wrong", Malformed("neither [YES] nor [NO]")),  # NOTE and NOT hold a NO
        ("No.", False),
        ("Yes, clearly", True),
        ("[YES] or [NO]", Malformed("both [YES] and [NO]")),
        ("", Malformed("neither [YES] nor [NO]")),
    ],
)
def test_yes_and_no_are_whole_words(text: str, answer: bool | Malformed) -> None:
    assert says_better(reply(text)) == answer


def test_the_critics_own_examples_follow_the_structure_that_is_asked_for() -> None:
    turns = codefavor_prompts.revise("p", "task", "code", examples=2)
    kinds = {
        type(read_evol(reply(turn["content"]), "x = 0"))
        for turn in turns
        if turn["role"] == "assistant"
    }
    assert kinds == {Improved, GoodEnough} and turns[-1]["content"].endswith("```python\ncode\n```")
    orders = {codefavor_prompts.revise(str(n), "t", "c", 2)[1]["content"] for n in range(20)}
    assert len(orders) == 2  # which example comes first depends on the prompt


def test_stripping_leaves_what_the_program_does() -> None:
    source = (
        '"""Doc."""\nclass A:\n    """Doc."""\n    def f(self):\n        """Doc."""\n\n'
        'x = "# no comment"  # one\n'
    )
    assert stripped(source) == "class A:\n\n    def f(self):\n        pass\nx = '# no comment'"
    assert same("x = 1  # a", "x  =  1") and not same("x = 1", "x = 2") and same("x = (", "x = 1")
