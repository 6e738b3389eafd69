"""Answers of policies side by side, and a talk with one, as the commands print them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from assets.cli import talking
from assets.cli.main import app
from assets.steps import GRAPH
from pipeline.engine.base import Completion, Prompt, Sampling
from pipeline.steps.run import run_step
from tests.hostile import TEXTS
from tests.steps import world


class Echo(world.Policy):
    """Says what it was asked last, and how many turns there were."""

    async def sample(
        self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int]
    ) -> list[Completion]:
        said = f"{len(prompt.messages)}: {prompt.messages[-1]['content']}"
        return [Completion(said, (1, 2), (), "stop", None, 3)]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with prompts and no trained policy."""
    (tmp_path / "files").mkdir()
    path = world.profile(tmp_path / "files")
    with world.opened(tmp_path / "home", path) as run:
        run_step(GRAPH.steps["prompts"], run)
    monkeypatch.setenv("ORCHARD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ORCHARD_PROFILE", str(path))
    return tmp_path / "home"


def scripted(monkeypatch: pytest.MonkeyPatch, kind: type[world.Policy]) -> None:
    @contextmanager
    def engine(settings: Any, model: Any) -> Iterator[world.Policy]:
        yield kind(model.policy_id)

    monkeypatch.setattr(talking, "_engine", engine)


def test_answers_stand_beside_the_prompt_with_what_the_verifier_says(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, world.Policy)
    done = CliRunner().invoke(app, ["compare", "base", "--prompts", "9"])
    assert done.exit_code == 0, done.output
    assert done.output.count("reference: ") == 9
    assert "base: right, " in done.output and "base: wrong, " in done.output
    assert "The answer is " in done.output

    missing = CliRunner().invoke(app, ["compare", "base", "outcome"])
    assert missing.exit_code == 1
    assert "no trained policy of 'outcome': train it first; trained are: none" in missing.output


def test_a_talk_remembers_its_turns_and_ends_with_an_empty_line(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, Echo)
    done = CliRunner().invoke(app, ["chat", "base", "--system", "Be brief."], input="one\ntwo\n\n")
    assert done.exit_code == 0, done.output
    assert "base> 2: one" in done.output and "base> 4: two" in done.output
    ended = CliRunner().invoke(app, ["chat", "base"], input="one")  # the input's end ends it too
    assert ended.exit_code == 0 and "base> 1: one" in ended.output


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_hostile_answer_is_a_text(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    from pipeline.validation.side_by_side import Answer

    row = {"messages": [{"role": "user", "content": text}], "answer": text}
    talking._show_answers(row, {"base": Answer(text, True, 3), "other": None})
    shown = capsys.readouterr().out
    assert not any(mark in shown for mark in ("\x1b", "\x07", "\x00", "\u202e", "\u2028", "\ud800"))


@pytest.mark.parametrize("command", [["run", "--plan"], ["preview", "tree_nodes"]])
def test_a_plan_and_a_preview_refuse_what_a_run_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    (tmp_path / "files").mkdir()
    served = {"backend": "server", "servers": [{"url": "http://localhost:1", "api": "chat"}]}
    own = {"variants": ["tree_plv"]}
    path = world.profile(tmp_path / "files", engine=served, validation=own)
    monkeypatch.setenv("ORCHARD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ORCHARD_PROFILE", str(path))
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 1
    assert "the step tree_nodes (of tree_plv) goes on with steps" in done.output
