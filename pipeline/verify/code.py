"""Generated code, judged by tests in the sandbox.

A prompt's metadata hold what judges it, as JSON: `tests` (Python with assert statements), `names`
(the functions that they call), `setup` (helpers on the tests' side), and `stub` (what a bare
continuation is to be put behind). The answer of a response is the program found in it; the
reference answer is a whole program too.
"""

import ast
import json
from functools import lru_cache
from typing import Any

from pipeline import cells
from pipeline.config import SandboxSettings
from pipeline.config.section import UndeclaredRead
from pipeline.errors import OrchardError
from pipeline.verify import programs
from pipeline.verify.handed import beyond_values
from pipeline.verify.programs import defined
from pipeline.verify.registry import Verdict, Verifier, verifier
from pipeline.verify.sandbox import Job, Outcome, Sandbox
from pipeline.verify.sandbox.pool import shared

# What is read as texts: HumanEval's columns, MBPP's and ours.
TEXTS = (
    "prompt",
    "canonical_solution",
    "test",
    "entry_point",
    "code",
    "answer",
    "tests",
    "setup",
    "stub",
)
_settings: SandboxSettings | None = SandboxSettings()


@verifier("code")
class CodeVerifier(Verifier):
    """Programs, judged by tests that a prompt's metadata hold."""

    runs_programs = True
    reads_answer_column = False

    def extract(self, text: str) -> str | None:
        return extract(text)

    def canonical(self, answer: str) -> str | None:
        return canonical(answer)

    def states(self, text: str) -> bool:
        return states(text)

    def task_of(self, row: dict[str, Any]) -> tuple[str, str]:
        for column in TEXTS:
            cells.text(row.get(column), f"column {column!r}")
        return task_of(row)

    def judge(self, text: str, answer: str | None, metadata: str | None) -> Verdict:
        return Verdict(*verdict(text, metadata))


def use(settings: SandboxSettings | None) -> None:
    """Sets how code runs in this process from now on;
    null: not at all, for a step that runs none.
    """
    global _settings
    _settings = settings


def sandbox() -> Sandbox:
    """The sandbox of the present settings.

    Raises:
        OrchardError: the isolation asked for is not to be had.
        UndeclaredRead: a step runs programs without declaring the settings of the sandbox.
    """
    if _settings is None:
        raise UndeclaredRead("a program is run by a step that does not declare `sandbox`")
    return shared(_settings)


def extract(text: str, stub: str = "", names: tuple[str, ...] = ()) -> str | None:
    """The program in a response that defines the wanted functions (see programs.py)."""
    return programs.find(text, stub, names)


def program(text: str, metadata: str | None) -> str | None:
    """The program in a response to a prompt:
    with metadata, the one that its tests call, perhaps behind its stub.

    Raises:
        OrchardError: metadata that are not what the verifier needs.
    """
    if metadata is None:
        return extract(text)
    task = _task(metadata)
    return extract(text, task.get("stub", ""), tuple(task["names"]))


def states(text: str) -> bool:
    """True where the response has a finished fenced block that is a program."""
    return programs.has_closed_program(text)


def canonical(answer: str) -> str | None:
    """A reference program, stripped; None where it does not parse or defines nothing."""
    return answer.strip() if defined(answer.strip()) else None


def are_names(value: object) -> bool:
    """True of a list of texts."""
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def job(source: str, metadata: str | None, repeat: int = 1) -> Job:
    """A program with its prompt's tests.

    Raises:
        OrchardError: metadata that are not what the verifier needs.
    """
    task = _task(metadata)
    return Job(source, task["tests"], tuple(task["names"]), task.get("setup", ""), repeat)


def verdict(text: str, metadata: str | None) -> tuple[str | None, bool]:
    """The program in a response, and whether it passes the tests; never raises on any response.

    Raises:
        OrchardError: no sandbox, or metadata that are not what the verifier needs.
    """
    found, outcome = run(text, metadata)
    return found, outcome is not None and outcome.passed


def run(text: str, metadata: str | None) -> tuple[str | None, Outcome | None]:
    """The program in a response, and what came of it in the sandbox;
    None, None where there is none.
    """
    _task(metadata)
    found = program(text, metadata)
    return found, None if found is None else sandbox().run(job(found, metadata))


def task_of(row: dict[str, Any]) -> tuple[str, str]:
    """Reference program and metadata from a row of a pool: HumanEval's columns, MBPP's, or our own.

    HumanEval: prompt, canonical_solution, test, entry_point. MBPP: code, test_list, and maybe
    test_imports. Our own: answer, tests, and maybe names, setup, stub.

    Raises:
        OrchardError: none of these, or a reference that defines nothing the tests call.
    """
    if {"prompt", "canonical_solution", "test", "entry_point"} <= set(row):
        stub, name = str(row["prompt"]), str(row["entry_point"])
        tests = f"{row['test']}\ncheck({name})"
        return _packed(stub + str(row["canonical_solution"]), tests, [name], stub, stub)
    if {"code", "test_list"} <= set(row):
        tests = "\n".join([*(row.get("test_imports") or []), *row["test_list"]])
        return _packed(str(row["code"]), tests, None, _imports(str(row["code"]), _loaded(tests)))
    if {"answer", "tests"} <= set(row):
        return _packed(
            str(row["answer"]),
            str(row["tests"]),
            row.get("names"),
            row.get("setup") or "",
            row.get("stub") or "",
        )
    raise OrchardError(
        "no tests: a row needs HumanEval's columns "
        "(prompt, canonical_solution, test, entry_point), "
        "MBPP's (code, test_list), or answer and tests"
    )


def _packed(
    program: str, tests: str, names: Any, setup: str = "", stub: str = ""
) -> tuple[str, str]:
    if names is not None and not are_names(names):
        raise OrchardError(f"names must be a list of texts, not {str(names)[:40]!r}")
    found = names or sorted(defined(program) & _loaded(tests))
    if not found or not set(found) <= defined(program):
        raise OrchardError("the tests call no function that the reference program defines")
    if flaw := beyond_values(tests, setup, found):
        raise OrchardError(flaw)
    task = {"tests": tests, "names": found, "setup": setup, "stub": stub}
    return program, json.dumps(task, ensure_ascii=False)


def _imports(program: str, wanted: set[str]) -> str:
    """Import statements of a reference program that bind a wanted name:
    MBPP's tests count on some of them.
    """
    if not defined(program):
        return ""
    imports = [
        node for node in ast.parse(program).body if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    bound = [
        {(name.asname or name.name).partition(".")[0] for name in node.names} for node in imports
    ]
    return "\n".join(
        ast.unparse(node) for node, names in zip(imports, bound, strict=True) if names & wanted
    )


def _loaded(source: str) -> set[str]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise OrchardError(f"the tests do not parse: {error}") from error
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


@lru_cache(maxsize=4096)
def _task(metadata: str | None) -> dict[str, Any]:
    try:
        task = json.loads(metadata or "")
        if isinstance(task["tests"], str) and task["names"]:
            return dict(task)
    except (ValueError, TypeError, KeyError):
        pass
    raise OrchardError(
        "verifier 'code': the prompt's metadata need 'tests' and 'names', "
        f"not {str(metadata)[:60]!r}"
    )
