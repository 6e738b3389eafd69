"""Both methods against a scripted critic: rows, rejects, and what is asked for."""

import asyncio

import pytest

from pipeline.config import CodeSettings, SandboxSettings, SplitSettings
from pipeline.engine.base import Reject, Sampling
from pipeline.synthesis.codefavor import draft, evolve, from_commit
from pipeline.verify import code
from pipeline.verify.code import task_of
from tests.scripted import ScriptedEngine
from tests.synthesis.test_codefavor_reply import BETTER, COMMIT, DRAFT, THINKS

CHANGE = {
    "change_id": "c1",
    "message": "Sum faster",
    "old": "a = 1",
    "new": "a = 2",
    "licence": "MIT",
}
PROMPT = {
    "prompt_id": "p1",
    "split": "train",
    "messages": [{"role": "user", "content": "Sum the numbers up to n."}],
    "licence": "MIT",
    "metadata": None,
}


class Scripted(ScriptedEngine):
    """Answers the n-th call with the n-th text."""

    def __init__(self, *texts: str) -> None:
        super().__init__(lambda prefix, sampling, n: texts[len(self.calls) - 1])


def commit(*texts: str) -> tuple[dict[str, object] | Reject, Scripted]:
    engine = Scripted(*texts)
    return asyncio.run(from_commit(engine, CHANGE, CodeSettings(), SplitSettings(), 0)), engine


def test_three_turns_make_a_task_with_two_solutions() -> None:
    row, engine = commit("It sums faster.", "[YES]", COMMIT)
    assert isinstance(row, dict) and row["method"] == "commit" and row["licence"] == "MIT"
    assert row["messages"] == [
        {"role": "user", "content": "Sum the numbers up to n.\n\nConstant time."}
    ]
    last = engine.calls[-1][0].messages
    assert [turn["role"] for turn in last] == ["user", "assistant", "user", "assistant", "user"]
    # the values of the paper's code
    assert [call[1] for call in engine.calls] == [Sampling(2048, 0.8)] * 3
    assert len({call[2] for call in engine.calls}) == 3  # each turn has a seed of its own


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (("so", "[NO]"), "no clear improvement, says the critic"),
        (("so", "perhaps"), "malformed: neither [YES] nor [NO]"),
        (("so", "[YES]", "Here you are."), "malformed: no [BEGIN INSTRUCTION]"),
    ],
)
def test_a_no_ends_the_chat_and_a_bad_reply_is_counted_apart(
    texts: tuple[str, ...], reason: str
) -> None:
    row, engine = commit(*texts)
    assert isinstance(row, Reject) and row.reason == reason and row.row["reply"] == texts[-1]
    assert row.row["tokens"] == engine.usage.sampled_tokens  # paid for in vain
    assert len(engine.calls) == len(texts)


def test_a_draft_by_one_model_is_revised_by_another() -> None:
    drafter, critic = Scripted(f"Like this:\n```python\n{DRAFT}\n```"), Scripted(THINKS + BETTER)
    drafter.policy_id, critic.policy_id = "small", "large"
    row = asyncio.run(evolve(drafter, critic, PROMPT, CodeSettings(), 0))
    assert isinstance(row, dict)
    assert (row["draft_id"], row["policy_id"], row["prompt_id"], row["split"]) == (
        "small",
        "large",
        "p1",
        "train",
    )
    assert (
        row["naive"] == "def f(n):\n    return sum(range(n + 1))"
        and row["reflection"] == "It loops."
    )
    assert drafter.calls[0][1] == Sampling(1024, 0.8) and critic.calls[0][1] == Sampling(2048, 0.5)


@pytest.mark.parametrize(
    ("first", "revision", "reason"),
    [
        ("No idea.", "", "malformed: the draft holds no program"),
        (DRAFT, THINKS, "good enough: the critic has nothing to improve"),
        (DRAFT, "Fine.", "malformed: no [BEGIN REFLECTION]"),
    ],
)
def test_each_end_of_an_evolution_has_its_reason(first: str, revision: str, reason: str) -> None:
    drafter, critic = Scripted(first), Scripted(revision)
    row = asyncio.run(evolve(drafter, critic, PROMPT, CodeSettings(), 0))
    assert isinstance(row, Reject) and row.reason == reason and row.step == "code evol"
    assert row.row["tokens"] == drafter.usage.sampled_tokens + critic.usage.sampled_tokens


def test_feedback_that_repeats_a_worked_example_is_a_reject() -> None:
    copied = (THINKS + BETTER).replace("does not loop", "stops at the square root and tries fewer")
    row = asyncio.run(evolve(Scripted(DRAFT), Scripted(copied), PROMPT, CodeSettings(), 0))
    assert isinstance(row, Reject)
    assert row.reason == "malformed: FEEDBACK repeats a worked example"
    none_shown = CodeSettings(examples=0)
    assert isinstance(
        asyncio.run(evolve(Scripted(DRAFT), Scripted(copied), PROMPT, none_shown, 0)), dict
    )


def test_a_draft_that_passes_is_asked_for_speed_or_safety_or_skipped() -> None:
    code.use(SandboxSettings(isolation="limits", workers=1))
    try:
        for tests, passes in (("assert f(3) == 6", True), ("assert f(3) == 7", False)):
            tested = {**PROMPT, "metadata": task_of({"answer": DRAFT, "tests": tests})[1]}
            critic = Scripted(THINKS + BETTER)
            row = asyncio.run(evolve(Scripted(DRAFT), critic, tested, CodeSettings(), 0))
            assert isinstance(row, dict)
            asked = critic.calls[0][0].messages[-1]["content"]
            assert ("clearly faster or safer" in asked) == passes
            skips = CodeSettings(passing="skip")
            critic = Scripted(THINKS + BETTER)
            row = asyncio.run(evolve(Scripted(DRAFT), critic, tested, skips, 0))
            assert isinstance(row, Reject) == passes == (not critic.calls)
            if isinstance(row, Reject):
                assert row.reason == "skipped: the draft passes its tests"
    finally:
        code.use(SandboxSettings())


SHOWN = f"```python\n{DRAFT}\n```\nFor example:\n```python\nresult = f(10)\n```"
REVISED = (THINKS + BETTER).replace(
    "[END ATTEMPT_2]", "```python\nresult = f(10)\n```\n[END ATTEMPT_2]"
)


def test_an_example_of_use_is_not_taken_for_the_program_that_the_tests_call() -> None:
    tested = {**PROMPT, "metadata": task_of({"answer": DRAFT, "tests": "assert f(3) == 6"})[1]}
    row = asyncio.run(evolve(Scripted(SHOWN), Scripted(REVISED), tested, CodeSettings(), 0))
    assert isinstance(row, dict)
    assert (
        row["naive"].startswith("def f(n)")
        and row["improved"] == "def f(n):\n    return n * (n + 1) // 2"
    )


def test_a_draft_that_goes_on_from_the_prompts_stub_is_put_behind_it() -> None:
    stub = {
        "prompt": "def f(n):\n",
        "canonical_solution": "    return n\n",
        "test": "assert f",
        "entry_point": "f",
    }
    prompt = {**PROMPT, "metadata": task_of(stub)[1]}
    found = asyncio.run(
        draft(Scripted("    return sum(range(n + 1))\n"), prompt, CodeSettings(), 0)
    )
    assert not isinstance(found, Reject) and found[0] == "def f(n):\n    return sum(range(n + 1))"


def test_a_prompt_that_is_too_long_is_a_reject() -> None:
    prompt = {**PROMPT, "messages": [{"role": "user", "content": "too long"}]}
    row = asyncio.run(evolve(Scripted("x"), Scripted("x"), prompt, CodeSettings(), 0))
    assert isinstance(row, Reject) and "prompt of 999 tokens" in row.reason
