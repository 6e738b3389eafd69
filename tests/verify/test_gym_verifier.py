"""reasoning-gym's tasks: only full credit counts, and no response is run as code."""

import json
import os
import re
import socket
from pathlib import Path

import pytest
import reasoning_gym

from pipeline.verify import Verdict, gym, has_final_answer, verify, worker
from pipeline.verify.gym import is_arithmetic


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
    """Whichever scorer of the library evaluates text is on a list: read from its source."""
    root = Path(reasoning_gym.__file__).parent
    scoring = re.compile(r"def score_answer.*?(?=\n    def |\nclass |\Z)", re.DOTALL)

    def calling(pattern: str) -> set[str]:
        return {
            file.stem
            for file in root.rglob("*.py")
            for body in scoring.findall(file.read_text())
            if re.search(pattern, body)
        }

    # number_sorting evaluates the reference, propositional_logic has a parser of its own
    assert calling(r"(?<!literal_)\beval\(|\bexec\(") - {"number_sorting"} == gym.LISTS
    assert calling(r"parse_expr\(|sympify\(") - {"propositional_logic"} == gym.FORMULAS


@pytest.mark.parametrize("task", sorted(gym.LISTS | gym.FORMULAS))
def test_full_width_letters_run_nothing_and_touch_no_later_verdict(task: str) -> None:
    """Python reads full-width letters as the plain ones that a filter looks for."""
    entry = reasoning_gym.create_dataset(task, size=1, seed=3)[0]
    name = f"reasoning_gym:{task}"
    forged = "[].__class__.__base__.__subclasses__()[0]"
    wide = "".join(chr(ord(c) + 0xFEE0) if c.isalpha() else c for c in forged)
    escape = "(ｅｖａｌ)('ｓｅｔａｔｔｒ(type(json),1,2)')"
    for attack in (
        wide,
        escape,
        f"ｅｘｅｃ('{forged}')",
        f"[x for x in {wide}]",
        "１ if ｔｒｕｅ else 2",
    ):
        assert not verify(attack, entry["answer"], name, _metadata(task, entry)).correct
    right = f"<answer>{entry['answer']}</answer>"
    assert verify(right, entry["answer"], name, _metadata(task, entry)).correct
    assert not verify("<answer>[0]</answer>", entry["answer"], name, _metadata(task, entry)).correct


def test_what_one_text_changes_is_gone_for_the_next() -> None:
    """As if a text could run: what it does to the libraries stays in its own process."""
    change = "setattr(__import__('pipeline.verify.gym').verify.gym, 'full_credit', lambda *a: True)"
    assert not worker.ask("builtins:eval", change)  # None is no verdict
    entry = reasoning_gym.create_dataset("countdown", size=1, seed=3)[0]
    metadata = _metadata("countdown", entry)
    assert not worker.ask(gym.full_credit, "1 + 1", entry["answer"], "countdown", metadata)
    assert worker.ask(gym.full_credit, entry["answer"], entry["answer"], "countdown", metadata)


@pytest.mark.parametrize(
    ("text", "arithmetic"),
    [
        ("(4 + 3)*2 - 1.5", True),
        ("2*exp(x) + sqrt(x) + C", True),
        ("-x**2/3 + x_1", True),
        ("ｓｑｒｔ(4)", True),  # the same name to Python
        ("['A', 'B']", False),
        ("open('x')", False),
        ("ｏｐｅｎ(1)", False),
        ("().__class__", False),
        ("x__y", False),
        ("[print][0]('x')", False),
        ("(lambda: 1)()", False),
        ("(sqrt)(4)(5)", False),
        ("sqrt(x=4)", False),
        ("sqrt(*x)", False),
        ("x.y", False),
        ("x[0]", False),
        ("1 if x else 2", False),
        ("[i for i in x]", False),
        ("(x := 1)", False),
        ("f'{x}'", False),
        ("'a'*10", False),
        ("True", False),
        ("1; 2", False),
        ("", False),
        ("(" * 300 + "1" + ")" * 300, False),
    ],
)
def test_what_counts_as_arithmetic(text: str, arithmetic: bool) -> None:
    assert is_arithmetic(text) is arithmetic
