"""reasoning-gym's tasks: only full credit counts, and no response is run as code."""

import json
from pathlib import Path

import pytest
import reasoning_gym

from pipeline.verify import Verdict, has_final_answer, verify
from pipeline.verify.gym import is_harmless


@pytest.mark.parametrize(
    ("text", "reference", "verdict"),
    [
        ("4 + 3 = 7", "7", Verdict("7", True)),
        ("The final answer is 7.", "7", Verdict("7", True)),
        ("17", "7", Verdict("17", False)),  # the stock scorer gives partial credit here
        ("The answer is 7 or 8", "7", Verdict(None, False)),
        ("I think 7 is odd, so 8", "7", Verdict("8", False)),
        ("-\u20092", "2", Verdict("2", True)),
        ("", "7", Verdict(None, False)),
    ],
)
def test_sums(text: str, reference: str, verdict: Verdict) -> None:
    assert verify(text, reference, "reasoning_gym:chain_sum") == verdict


def _metadata(task: str, entry: dict[str, object]) -> str:
    return json.dumps({"question": entry["question"], "metadata": entry["metadata"], "params": {}}, default=str)


@pytest.mark.parametrize("task", ["calendar_arithmetic", "fraction_simplification", "syllogism", "word_sorting"])
def test_the_scorer_of_the_task_judges(task: str) -> None:
    entry = reasoning_gym.create_dataset(task, size=1, seed=3)[0]
    verifier, metadata = f"reasoning_gym:{task}", _metadata(task, entry)
    assert verify(f"The answer is: {entry['answer']}", entry["answer"], verifier, metadata).correct
    assert not verify("The answer is: wombat", entry["answer"], verifier, metadata).correct
    assert has_final_answer(f"The answer is: {entry['answer']}", verifier)


def test_another_right_answer_gets_full_credit() -> None:
    task = "countdown"
    entry = reasoning_gym.create_dataset(task, size=1, seed=3)[0]
    assert verify(
        f"<answer>({entry['answer']})</answer>", entry["answer"], f"reasoning_gym:{task}", _metadata(task, entry)
    ).correct


@pytest.mark.parametrize("task", ["string_insertion", "n_queens", "spiral_matrix", "countdown", "simple_integration"])
def test_a_response_is_not_run_as_code(task: str, tmp_path: Path) -> None:
    entry = reasoning_gym.create_dataset(task, size=1, seed=3)[0]
    mark = tmp_path / "ran"
    attack = f"[__import__('os').system('touch {mark}')]"
    assert not verify(attack, entry["answer"], f"reasoning_gym:{task}", _metadata(task, entry)).correct
    assert not mark.exists()


@pytest.mark.parametrize(
    ("text", "harmless"),
    [
        ("['A', 'B']", True),
        ("(4 + 3)*2 - 1.5", True),
        ("2*exp(x) + sqrt(x) + C", True),
        ("open('x')", False),
        ("().__class__", False),
        ("[print][0]('x')", False),
        ("(lambda: 1)()", False),
        ("x.y", False),
        ("[i for i in x]", False),
    ],
)
def test_what_counts_as_harmless(text: str, harmless: bool) -> None:
    assert is_harmless(text) is harmless
