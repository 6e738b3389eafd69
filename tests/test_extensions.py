"""Files of a user's own: imported once, told apart by where they lie,
their code counted by content.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import extensions
from pipeline.errors import OrchardError
from pipeline.registered import Registry
from pipeline.steps.code import clear, code_version, meanings
from pipeline.training import losses
from pipeline.verify import code, verifiers, verify

VERIFIER = """
from pipeline.verify import code, verifier

@verifier("{name}")
def judged(text, answer, metadata):
    return {body}
"""


@pytest.fixture(autouse=True)
def loaded_for_this_test_only() -> Iterator[None]:
    yield
    extensions.unload()


def written(path: Path, name: str, body: str = "True") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(VERIFIER.format(name=name, body=body))
    return path


def test_two_files_of_one_name_are_two_and_one_is_imported_once(tmp_path: Path) -> None:
    first, second = written(tmp_path / "a/v.py", "a"), written(tmp_path / "b:c/v.py", "b")
    extensions.load([str(first), str(second), str(first)])
    extensions.load([str(tmp_path / "b:c" / ".." / "a" / "v.py")])  # the same file
    assert {"a", "b"} <= set(verifiers())


@pytest.mark.parametrize("folder", ["plain", "with: colon", "pipeline.config", "a.b/tables"])
def test_a_version_is_of_what_a_file_says_wherever_it_lies(tmp_path: Path, folder: str) -> None:
    here = written(tmp_path / "here/v.py", "v")
    there = written(tmp_path / folder / "v.py", "v")
    assert code_version(str(here)) == code_version(str(there))
    assert "pipeline.verify.code" in meanings([str(there)])  # what it imports of ours counts too
    there.write_text(there.read_text() + "# a comment\n")
    clear()
    assert code_version(str(here)) == code_version(str(there))
    written(there, "v", "False")
    clear()
    assert code_version(str(here)) != code_version(str(there))


def test_a_function_of_a_users_file_stands_in_that_file(tmp_path: Path) -> None:
    path = tmp_path / "v.py"
    path.write_text(
        "from pipeline.training.losses import loss_function\n"
        "def made(by):\n    def loss(ratios, columns):\n        return ratios[:, 0] * by\n"
        "    return loss\ntwice = loss_function('twice')(made(2))\n"
    )
    extensions.load([str(path)])
    loss = losses.get("twice").rows
    assert str(path) in meanings([loss]) and losses.code_of("twice") == str(path)


def test_a_step_without_the_sandbox_gives_none_to_a_users_verifier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extensions.load([str(written(tmp_path / "v.py", "runs", "bool(code.sandbox())"))])
    monkeypatch.setattr(code, "_settings", None)
    with pytest.raises(OrchardError, match="sandbox"):
        verify("text", "answer", "runs")


def test_a_name_is_had_once_and_an_unknown_one_lists_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extensions, "REGISTRIES", [])
    known = Registry[int]("thing", "pipeline.judge.kinds")
    known.add("one", 1, "pipeline.a")
    known.add("two", 2, "pipeline.b")
    for module in ("pipeline.a", "pipeline.c"):  # one file cannot use a name twice either
        with pytest.raises(
            OrchardError, match="^two things are called 'one', in pipeline.a and in"
        ):
            known.add("one", 3, module)
    with pytest.raises(
        OrchardError, match=r"^unknown thing 'tvo': did you mean two\? use one of one, two$"
    ):
        known.find("tvo")
    known.forget("pipeline.a")
    assert known.all() == {"two": 2}
