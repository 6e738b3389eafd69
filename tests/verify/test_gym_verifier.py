"""reasoning-gym's tasks: only full credit counts, and no response is run as code."""

import json
import os
import re
import socket
from pathlib import Path

import pytest
import reasoning_gym

from pipeline.verify import Verdict, gym, has_final_answer, verify, worker
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
    return json.dumps(
        {"question": entry["question"], "metadata": entry["metadata"], "params": {}}, default=str
    )


@pytest.mark.parametrize(
    "task", ["calendar_arithmetic", "fraction_simplification", "syllogism", "word_sorting"]
)
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
        f"<answer>({entry['answer']})</answer>",
        entry["answer"],
        f"reasoning_gym:{task}",
        _metadata(task, entry),
    ).correct


@pytest.mark.parametrize(
    "task", ["string_insertion", "n_queens", "spiral_matrix", "countdown", "simple_integration"]
)
def test_a_response_is_not_run_as_code(task: str, tmp_path: Path) -> None:
    entry = reasoning_gym.create_dataset(task, size=1, seed=3)[0]
    mark = tmp_path / "ran"
    attack = f"[__import__('os').system('touch {mark}')]"
    assert not verify(
        attack, entry["answer"], f"reasoning_gym:{task}", _metadata(task, entry)
    ).correct
    assert not mark.exists()


ATTACKS = (
    "__import__('os').system('touch {mark}')",
    "open('{mark}', 'w').write('x')",
    "__import__('os').mkdir('{mark}')",
    "__import__('subprocess').run(['touch', '{mark}'])",
    "__import__('socket').create_connection(('127.0.0.1', {port}), 2)",
    "__import__('os').fork()",
    "__import__('os').kill({parent}, 9)",
    "[0] * 10**11",
    "__import__('os')._exit(0)",
    "[__import__('os').write(fd, b'true\\n0 true\\n') for fd in range(3, 9)]",
)


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_past_the_filter_does_nothing_and_the_next_answer_is_judged(
    attack: str, tmp_path: Path
) -> None:
    """As if a scorer evaluated a text that the filter did not see."""
    mark = tmp_path / "ran"
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        worker.ask(
            "builtins:eval",
            attack.format(mark=mark, port=server.getsockname()[1], parent=os.getpid()),
        )
        assert not mark.exists()
        with pytest.raises(TimeoutError):
            server.accept()
    assert worker.ask("builtins:eval", "1 + 1 == 2") and not worker.ask(
        "builtins:eval", "1 + 1 == 3"
    )


def test_what_is_evaluated_sees_no_secret_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ORCHARD_SECRET", "x")
    monkeypatch.setattr(worker, "_child", None)  # a new one, started in this environment
    assert worker.ask("builtins:eval", "'PATH' in __import__('os').environ")
    assert not worker.ask("builtins:eval", "'ORCHARD_SECRET' in __import__('os').environ")


def test_evaluating_scorers_are_all_known() -> None:
    """Whichever scorer of the library evaluates text is on the list: read from its source."""
    root = Path(reasoning_gym.__file__).parent
    scoring = re.compile(r"def score_answer.*?(?=\n    def |\nclass |\Z)", re.DOTALL)
    found = {
        file.stem
        for file in root.rglob("*.py")
        for body in scoring.findall(file.read_text())
        if re.search(r"(?<!literal_)\beval\(|\bexec\(|parse_expr\(|sympify\(", body)
    }
    # number_sorting evaluates the reference, propositional_logic has a parser of its own
    assert found - {"number_sorting", "propositional_logic"} == set(gym.EVALUATING)


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
