"""Every way out of Orchard is known, and each writes a hostile text as a text.

The first test finds what prints, logs, draws a page or writes a file; what is in no list here fails
it, so that a new way out is looked at, and tested with tests/hostile.py, before it is used.
"""

import ast
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from assets.shown import of_value
from pipeline.config import load
from pipeline.engine import pool
from pipeline.errors import OrchardError
from pipeline.escaped import visible
from pipeline.steps.rejects import reject_rows
from pipeline.validation.report import write_report
from pipeline.validation.report.blocks import Bullets, Section, Table, Text
from tests.hostile import TEXTS

ROOT = Path(__file__).parents[1]
CALLS = {
    "print", "echo", "write_text", "write_bytes", "write_parquet", "write_ndjson", "write_csv",
    "debug", "info", "warning", "error", "md", "Markup",
}  # fmt: skip
# Where each is, and why that is well. Texts: a test below sends the corpus through it.
TEXTS_GO_OUT = {
    "assets/cli/terminal.py": "one place for the terminal; tests/test_escaped.py",
    "assets/cli/talking.py": "answers in a table; tests/assets/test_talking.py",
    "assets/cli/tools.py": "a tree in the terminal; tests/test_escaped.py",
    "assets/queued.py": "the terminal: a run's log, each line made visible",
    "assets/shown.py": "one place for the web UI; tests/test_escaped.py, tests/real/test_ui.py",
    "assets/checks.py": "the web UI, by assets/shown.py",
    "pipeline/validation/report/__init__.py": "the report; below, and tests/real/test_report.py",
    "pipeline/engine/pool.py": "the log: a server's own words, in one visible line; below",
    "pipeline/engine/served.py": "the log: the same; below",
}
NO_TEXTS_FROM_OUTSIDE = {
    "assets/factory.py": "the log: names of steps, versions",
    "assets/run.py": "the log: the process that a run waits for",
    "pipeline/ending.py": "the terminal: a line of ours",
    "pipeline/engine/cachefile.py": "the log: the path of the cache",
    "pipeline/engine/chat.py": "the log: a model of the profile, counts",
    "pipeline/progress.py": "the terminal: labels and counts",
    "pipeline/machine.py": "the terminal: names of what the machine lacks",
    "pipeline/training/worker.py": "a pipe to the run: numbers",
    "pipeline/export/card.py": "Markdown: names and numbers of the lake",
    "pipeline/engine/template.py": "a template of the model's folder, and the profile's arguments",
}
# Written for ourselves: JSON and Parquet, which hold any text, read by nothing else.
OUR_OWN_FILES = {
    "pipeline/steps/rates.py",
    "pipeline/training/launch.py",
    "pipeline/training/once.py",
    "pipeline/training/older.py",
    "pipeline/training/search.py",
    "pipeline/engine/model.py",
    "pipeline/validation/standing.py",
    "pipeline/store/backup.py",
    "pipeline/erasure/journal.py",
    "pipeline/erasure/remains.py",
    "pipeline/store/damage.py",  # a stand-in for a lost Parquet file
    "pipeline/synthesis/codefavor_measure.py",  # a program for the linter, in a folder that goes
}


def ways_out(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in CALLS:
            yield node.func.id
        if isinstance(node.func, ast.Attribute) and node.func.attr in CALLS:
            yield node.func.attr


def test_every_way_out_is_known() -> None:
    known = {*TEXTS_GO_OUT, *NO_TEXTS_FROM_OUTSIDE, *OUR_OWN_FILES}
    found = {
        str(path.relative_to(ROOT)): sorted(set(ways_out(path.read_text())))
        for folder in ("pipeline", "assets")
        for path in (ROOT / folder).rglob("*.py")
    }
    unknown = {name: calls for name, calls in found.items() if calls and name not in known}
    assert not unknown, f"ways out that no list of this test has: {unknown}"
    gone = {name for name in known if not found.get(name)}
    assert not gone, f"no ways out any more: {gone}"


def unseen(text: str) -> bool:
    """Whether a terminal or an editor would obey a part of the text."""
    return any(mark in text for mark in ("\x1b", "\x07", "\x00", "\u202e", "\u2028", "\ud800"))


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_an_error_quotes_a_hostile_text_as_a_text(text: str) -> None:
    """In the terminal, in Dagster's log of events and in its console."""
    assert str(OrchardError(f"prompt {text}: mend it")) == f"prompt {visible(text)}: mend it"


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_the_report_holds_a_hostile_text_as_a_text(text: str, tmp_path: Path) -> None:
    blocks = [Text(text), Bullets([text]), Table(text, [text], [[text]])]
    path = write_report([Section(text, blocks)], load("quick"), tmp_path / "report.html")
    html = path.read_text(encoding="utf-8")
    assert not unseen(html)
    assert "<img" not in html and "<script" not in html and "{{" not in html.replace(text, "")


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_plain_value_in_the_web_ui_is_visible(text: str) -> None:
    assert of_value(text, "title") == visible(text)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_reject_keeps_its_row_and_can_be_stored(text: str) -> None:
    from pipeline.engine.base import Reject

    (row,) = reject_rows([Reject("prompts", "prompts", "row 1", f"holds {text}")]).to_dicts()
    json.dumps(row, default=str).encode("utf-8")


def logged(say: Callable[[], None], caplog: pytest.LogCaptureFixture) -> str:
    with caplog.at_level(logging.DEBUG):
        say()
    return caplog.text


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_the_log_quotes_a_server_in_one_visible_line(
    text: str, caplog: pytest.LogCaptureFixture
) -> None:
    from pipeline.config import ServerSettings
    from pipeline.engine.client import Server

    server = Server(ServerSettings(url="http://127.0.0.1:1"), "m", 1.0)
    said = server._plain(text)
    logged(lambda: pool.log.warning("server %s is out: %s", server.url, said), caplog)
    (record,) = caplog.records
    assert not unseen(record.getMessage()) and "\n" not in record.getMessage()
