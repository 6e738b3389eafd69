"""A verifier is one decorated function or class in one file, a user's own one too."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import config, extensions
from pipeline.config import PoolSettings
from pipeline.engine.base import RequestFailed
from pipeline.errors import OrchardError
from pipeline.prompts import load_pools
from pipeline.verify import (
    Verdict,
    canonical,
    has_final_answer,
    verifiers,
    verify,
    worker,
)
from pipeline.verify.verdict import VerifierFailed

FILE = """
from pipeline.verify import Verdict, Verifier, verifier, worker


@verifier("palindrome")
def palindrome(text, answer, metadata):
    if text == "raise":
        raise RuntimeError("no such text")
    return text == text[::-1]


def judged_apart(text, answer):
    return len(text) == int(answer)


@verifier("long")
class Long(Verifier):
    reads_answer_column = False
    needed_columns = ("length",)

    def task_of(self, row):
        return str(row["length"]), "{}"

    def equal(self, answer, reference):
        return worker.ask(judged_apart, answer, reference)
"""


@pytest.fixture(autouse=True)
def registered_for_this_test_only() -> Iterator[None]:
    yield
    extensions.unload()


@pytest.fixture
def extension(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    extensions.load_file(path)
    return path


def test_a_function_of_a_users_file_is_a_verifier(extension: Path) -> None:
    assert verify("otto", "yes", "palindrome") == Verdict("otto", True)
    assert verify("anna b", "yes", "palindrome").correct is False
    assert {"palindrome", "long", "number"} <= set(verifiers())


def test_the_process_that_judges_apart_knows_the_file_too(extension: Path) -> None:
    assert worker.ask("builtins:eval", "1 == 1")  # it runs before the file is loaded
    assert verify("four", "4", "long").correct is True
    assert verify("four", "5", "long").correct is False


def test_a_pool_is_read_as_the_verifier_says(extension: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"question": "a word of four", "length": 4}\n')
    pool = PoolSettings(name="words", source="file", path=str(rows), verifier="long")
    prompts, _ = load_pools(config.load("quick").model_copy(update={"pools": (pool,)}))
    assert prompts.select("answer", "verifier").row(0) == ("4", "long")
    rows.write_text('{"question": "a word of four"}\n')
    with pytest.raises(OrchardError, match="no column 'length'.*: the verifier 'long' reads it"):
        load_pools(config.load("quick").model_copy(update={"pools": (pool,)}))


def test_what_a_verifier_raises_names_it(extension: Path) -> None:
    with pytest.raises(VerifierFailed, match=r"'palindrome' failed .*: RuntimeError: no such text"):
        verify("raise", "yes", "palindrome")


@pytest.mark.parametrize("error", ["OrchardError", "KeyError", "RequestFailed", "OSError"])
def test_whatever_a_users_verifier_raises_is_the_responses_own_failure(
    tmp_path: Path, error: str
) -> None:
    """Also of its look at an unfinished response: trees and responses make a reject of it."""
    path = tmp_path / "raising.py"
    path.write_text(
        "from pipeline.engine.base import RequestFailed\nfrom pipeline.errors import OrchardError\n"
        "from pipeline.verify import Verifier, verifier\n@verifier('raising')\n"
        f"class Raising(Verifier):\n    def extract(self, text):\n        raise {error}('no')\n"
        "    states = extract\n"
    )
    extensions.load_file(path)
    assert issubclass(VerifierFailed, RequestFailed)
    for ask in (lambda: verify("x", "y", "raising"), lambda: has_final_answer("x", "raising")):
        with pytest.raises(VerifierFailed, match=f"'raising' failed .*: {error}: '?no"):
            ask()


def test_two_verifiers_of_one_name_are_an_error(extension: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.py"
    other.write_text(FILE)
    with pytest.raises(
        OrchardError, match="two verifiers are called 'palindrome', in .*mine.py and in .*other.py"
    ):
        extensions.load_file(other)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1\n1 / 0", "^extensions: .*mine.py line 2 cannot be imported: ZeroDivisionError"),
        (
            "from pipeline.verify import verifier\nverifier('none')(print)",
            "cannot be called 'none'",
        ),
        (
            "from pipeline.verify import verifier\n@verifier('x')\nclass X: pass",
            "X must be a function",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, source: str, message: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(source)
    with pytest.raises(OrchardError, match=message):
        extensions.load_file(path)
    path.write_text("from pipeline.verify import verifier\nverifier('x')(print)\n1 / 0")
    with pytest.raises(OrchardError, match="mine.py line 3 cannot be imported"):
        extensions.load_file(path)
    assert "x" not in verifiers()  # half a file registers nothing
    with pytest.raises(OrchardError, match=r"^extensions: no Python file .*none\.py"):
        extensions.load_file(tmp_path / "none.py")


def test_a_reference_that_a_verifier_cannot_read_names_it(extension: Path) -> None:
    with pytest.raises(OrchardError, match="'  ' is not an answer that the verifier 'long' can"):
        canonical("  ", "long")
