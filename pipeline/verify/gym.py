"""reasoning-gym's tasks: a whole or decimal reference is judged as a number,
anything else by the task's own scorer.

The stock scorer gives partial credit to any text that contains the answer, so the final answer is
extracted first and only full credit (1.0) counts. Some scorers evaluate the answer as Python. Four
do so for partial credit only: they get `ast.literal_eval` in its place. Five ask SymPy's parser,
which evaluates: their answers are parsed first, and only arithmetic passes. Every scorer runs in
the worker, which is confined (worker.py says how).
"""

import ast
import json
import re
import sys
from contextlib import suppress
from functools import lru_cache
from typing import Any

from pipeline.verify import markers, number, worker
from pipeline.verify.markers import Style, final
from pipeline.verify.passages import Passage
from pipeline.verify.registry import Verdict, Verifier, verifier

_NUMERIC = re.compile(r"-?(?:0|[1-9][0-9]*)(?P<places>\.[0-9]+)?", re.ASCII)
LISTS = frozenset("binary_matrix n_queens spiral_matrix string_insertion".split())
FORMULAS = frozenset(
    "countdown intermediate_integration polynomial_multiplication puzzle24 "
    "simple_integration".split()
)
_FUNCTIONS = frozenset("sin cos tan asin acos atan sinh cosh tanh exp log ln sqrt Abs".split())
_ARITHMETIC = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.Constant, ast.Name, ast.Call, ast.Load,
    ast.operator, ast.unaryop,
)  # fmt: skip
_NAME = re.compile(r"[A-Za-z](?:[A-Za-z0-9]|_(?!_))*", re.ASCII)
_LONGEST = 4000  # characters of an answer
_AS_IT_STANDS = Style(formulas=False, longest=10**9)


def tasks() -> list[str]:
    """Names of the library's tasks."""
    from reasoning_gym.factory import DATASETS

    return sorted(DATASETS)


@verifier("reasoning_gym", members=tasks)
class GymVerifier(Verifier):
    """A task of reasoning-gym."""

    def __init__(self, task: str) -> None:
        self._task = task

    def extract(self, text: str) -> str | None:
        return extract(text, None)

    def states(self, text: str) -> bool:
        return states(text)

    def judge(self, text: str, answer: str | None, metadata: str | None) -> Verdict:
        found = extract(text, answer)
        if answer is None:
            return Verdict(found, None)
        return Verdict(found, found is not None and correct(found, answer, self._task, metadata))


def verifier_of(task: str) -> str:
    """The name of a task's verifier."""
    return f"reasoning_gym:{task}"


def extract(text: str, reference: str | None) -> str | None:
    """The final answer of a response: a normalised number where the reference is one, else text."""
    if reference is None or _NUMERIC.fullmatch(reference):
        return number.extract(text)
    read = _read_all if reference.endswith(".") else _read
    return final(text, read, read, _AS_IT_STANDS)


def states(text: str) -> bool:
    """True where an explicit marker has an answer."""
    return markers.states(text, _read, _AS_IT_STANDS)


def correct(answer: str, reference: str, task: str, metadata: str | None) -> bool:
    """True for an equal number or text,
    or where the task's scorer gives full credit (other than to whole numbers).
    """
    numeric = _NUMERIC.fullmatch(reference)
    if answer == reference or (numeric and answer == number.canonical(reference)):
        return True
    if numeric and not numeric["places"]:
        return False
    if len(answer) > _LONGEST:
        return False
    return worker.ask(full_credit, answer, reference, task, metadata, prepare=prepared)


def is_arithmetic(answer: str) -> bool:
    """True where the text is one formula of numbers, names, operators and SymPy's functions.

    What Python and SymPy would read is decided on the syntax tree, in which a name has one
    spelling: full-width letters are the same name to Python.
    """
    try:
        tree = ast.parse(answer.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(map(_is_allowed, ast.walk(tree)))


def _is_allowed(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        function = node.func
        return isinstance(function, ast.Name) and function.id in _FUNCTIONS and not node.keywords
    if isinstance(node, ast.Constant):
        return type(node.value) in (int, float)
    if isinstance(node, ast.Name):
        return _NAME.fullmatch(node.id) is not None
    return isinstance(node, _ARITHMETIC)


def full_credit(answer: str, reference: str, task: str, metadata: str | None) -> bool:
    """The scorer's judgement. Runs in the worker."""
    if task in FORMULAS and not is_arithmetic(answer):
        return False
    dataset, entry = prepared(answer, reference, task, metadata)
    return bool(dataset.score_answer(answer, {"metadata": {}, **entry, "answer": reference}) == 1.0)


def prepared(
    answer: str, reference: str, task: str, metadata: str | None
) -> tuple[Any, dict[str, Any]]:
    """The task's dataset and the entry to score by; nothing here reads the answer."""
    entry = json.loads(metadata or "{}")
    params = json.dumps(entry.pop("params", {}), sort_keys=True)
    return _dataset(task, params), entry


@lru_cache(maxsize=32)
def _dataset(task: str, params: str) -> Any:
    import reasoning_gym

    made = reasoning_gym.create_dataset(task, **{"size": 1, "seed": 0, **json.loads(params)})
    if task in LISTS:
        sys.modules[type(made).__module__].__dict__["eval"] = ast.literal_eval
    with suppress(Exception):  # its own answer: what the scorer loads at first, it has loaded then
        made.score_answer(made[0]["answer"], made[0])
    return made


def _read_all(tail: Passage) -> tuple[str, ...]:
    text = tail.text.strip().strip("*").strip()
    return (text,) if text else ()


def _read(tail: Passage) -> tuple[str, ...]:
    """Without the full stop that ends the response's sentence."""
    return tuple(
        text if "\n" in text else text.removesuffix(".") for text in _read_all(tail) if text != "."
    )
