"""reasoning-gym's tasks: a whole or decimal reference is judged as a number,
anything else by the task's own scorer.

The stock scorer gives partial credit to any text that contains the answer, so the final answer is
extracted first and only full credit (1.0) counts. The scorers of some tasks evaluate the answer as
Python: those texts pass a filter first, and every scorer runs in the worker, which is confined
(worker.py says how).
"""

import json
import re
from functools import lru_cache
from typing import Any

from pipeline.verify import markers, number, worker
from pipeline.verify.markers import Style, final
from pipeline.verify.passages import Passage
from pipeline.verify.registry import Verdict, Verifier, verifier

_NUMERIC = re.compile(r"-?(?:0|[1-9][0-9]*)(?P<places>\.[0-9]+)?", re.ASCII)
EVALUATING = frozenset(
    "binary_matrix countdown intermediate_integration n_queens polynomial_multiplication "
    "puzzle24 simple_integration spiral_matrix string_insertion".split()
)
_CALL = re.compile(r"([A-Za-z_]\w*|[)\]'\"])\s*\(")
_FUNCTIONS = frozenset("sin cos tan asin acos atan sinh cosh tanh exp log ln sqrt Abs".split())
_UNSAFE = re.compile(r"__|\.\s*[A-Za-z_]|\b(?:lambda|import|for|while|yield|await)\b|:=|[@`\\]")
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
    if len(answer) > _LONGEST or (task in EVALUATING and not is_harmless(answer)):
        return False
    return worker.ask(full_credit, answer, reference, task, metadata)


def is_harmless(answer: str) -> bool:
    """True where evaluating the text as Python can only do arithmetic and build lists."""
    return not _UNSAFE.search(answer) and all(name in _FUNCTIONS for name in _CALL.findall(answer))


def full_credit(answer: str, reference: str, task: str, metadata: str | None) -> bool:
    """The scorer's judgement. Runs in the worker."""
    entry = json.loads(metadata or "{}")
    params = json.dumps(entry.pop("params", {}), sort_keys=True)
    return bool(
        _dataset(task, params).score_answer(answer, {"metadata": {}, **entry, "answer": reference})
        == 1.0
    )


@lru_cache(maxsize=32)
def _dataset(task: str, params: str) -> Any:
    import reasoning_gym

    return reasoning_gym.create_dataset(task, **{"size": 1, "seed": 0, **json.loads(params)})


def _read_all(tail: Passage) -> tuple[str, ...]:
    text = tail.text.strip().strip("*").strip()
    return (text,) if text else ()


def _read(tail: Passage) -> tuple[str, ...]:
    """Without the full stop that ends the response's sentence."""
    return tuple(
        text if "\n" in text else text.removesuffix(".") for text in _read_all(tail) if text != "."
    )
