"""`--help` of every command shows the help of its arguments and options."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.models import ArgumentInfo, OptionInfo
from typer.testing import CliRunner

from assets.cli.main import app


def commands(group: typer.Typer, *path: str) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Each command's words, and the help texts that its signature declares."""
    for command in group.registered_commands:
        assert command.callback
        name = command.name or command.callback.__name__.replace("_", "-")
        yield (*path, name), list(declared(inspect.signature(command.callback, eval_str=True)))
    for inner in group.registered_groups:
        assert inner.typer_instance
        yield from commands(inner.typer_instance, *path, str(inner.name))


def declared(signature: inspect.Signature) -> Iterator[str]:
    for parameter in signature.parameters.values():
        for info in getattr(parameter.annotation, "__metadata__", ()):
            if isinstance(info, ArgumentInfo):
                assert info.help, f"the argument {parameter.name} has no help"
            if isinstance(info, ArgumentInfo | OptionInfo) and info.help:
                yield info.help


COMMANDS = list(commands(app))


@pytest.mark.parametrize(("path", "helps"), COMMANDS, ids=[" ".join(path) for path, _ in COMMANDS])
def test_help_shows_what_arguments_mean(path: tuple[str, ...], helps: list[str]) -> None:
    shown = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "500"})
    assert shown.exit_code == 0
    words = " ".join(shown.output.replace("│", " ").split())
    assert [text for text in helps if " ".join(text.split()) not in words] == []


def test_commands_with_arguments_are_among_them() -> None:
    known = dict(COMMANDS)
    assert "A SELECT, or a .sql file: a path, or a name in sql/." in known["sql",]
    assert {("run",), ("cache", "prune"), ("export",), ("import",)} <= set(known)


def test_tables_says_in_one_line_what_a_row_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[Any, ...]] = []
    monkeypatch.setenv("ORCHARD_HOME", str(tmp_path))
    monkeypatch.setattr("assets.cli.main.show", lambda columns, rows: shown.extend(rows))
    assert CliRunner().invoke(app, ["tables"]).exit_code == 0
    said = {name: meaning for name, _, _, meaning in shown}
    assert said["votes"] == (
        "One row per judgement of one ordered pair of responses. "
        "Both orders of a pair are always there."
    )
    assert [name for name, meaning in said.items() if "\n" in meaning or "  " in meaning] == []
