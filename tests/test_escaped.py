"""A text from outside stays a text, in a terminal and on a page."""

import html
import re
import subprocess
import sys

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from assets.shown import of_value, table
from pipeline.escaped import markdown, sentence, visible
from pipeline.validation.report.blocks import Bullets, Section, Table, Text
from tests.hostile import TEXTS

SEEN = st.text(st.sampled_from("ab 1.)-+=#*_`~[]()<>!&|\\:/@$^{}\n\"'wh"), max_size=30)


def rendered(source: str) -> str:
    """HTML of GitHub's Markdown by an independent parser, tags of its own tables and lists too."""
    return MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(source)


def shown(page: str) -> str:
    """What a page shows, in single spaces."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


def tags(page: str) -> set[str]:
    return set(re.findall(r"</?([a-z0-9]+)", page))


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_markdown_shows_a_hostile_text_as_it_is(text: str) -> None:
    page = rendered(markdown(text))
    assert shown(page) == " ".join(visible(text).split()) and tags(page) <= {"p"}


@given(SEEN)
def test_markdown_shows_any_text_as_it_is(text: str) -> None:
    page = rendered(markdown(text))
    assert shown(page) == " ".join(visible(text).split()) and tags(page) <= {"p"}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_what_the_ui_shows_of_a_step_holds_no_markup_of_its_rows(text: str) -> None:
    frame = pl.DataFrame({"text": [visible(text)], text.replace("\ud800", ""): ["x"]})
    section = Section("t", [Text(text), Bullets([text]), Table(text, ["a"], [[text]])])  # type: ignore[list-item]
    for value in (frame, [text], section):
        page = rendered(of_value(value, "title").md_str)
        assert not tags(page) & {"img", "a", "script", "s", "em", "code", "pre", "blockquote", "h1"}
        assert "\x1b" not in page and "\u202e" not in page
    assert rendered(table(frame, 5)).count("<td>") == 2


def test_a_name_in_a_sentence_of_ours_is_bold_and_nothing_else() -> None:
    assert sentence("**judge_1**: is [fair](x)") == r"**judge\_1**\: is \[fair\](x)"
    assert shown(rendered(sentence("**judge_1**: is [fair](x)"))) == "judge_1 : is [fair](x)"


def test_what_a_terminal_obeys_is_written_out_and_all_else_stays() -> None:
    assert visible("\x1b[31mred\x07") == r"\x1b[31mred\x07"
    assert visible("a\u202eb\ud800") == r"a\u202eb\ud800"
    kept = "tab\tline\n naïve 日本語 \U0001f469‍\U0001f680 [i]"
    assert visible(kept) == kept


CHILD = """
import sys
from assets.cli.terminal import console, say, show
from pipeline.trees.show import drawing
from tests.hostile import TEXTS
for text in TEXTS.values():
    say(text)
    show(["a", text.replace("\\ud800", "")], [(text, 1)])
    root = {"kind": "root", "method": "tot", "tree_id": "t", "node_id": "r", "parent_id": None,
            "value": None, "merged": 1, "expanded_order": None, "terminal": False, "text": text,
            "correct": None, "n_rollouts": 0, "depth": 0, "draw": 0, "valuation": None}
    step = {**root, "kind": "step", "node_id": "s", "parent_id": "r"}
    console.print(drawing(text, [root, step]))
"""


def test_a_terminal_prints_every_hostile_text_and_obeys_none() -> None:
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not set(done.stdout) & {"\x1b", "\x07", "\x00", "\u202e", "\u2028"}
    for said in ("[/INST] done", "arr[i] = arr[bold]x[/bold]", r"\x1b[2J", r"a\ud800b"):
        assert done.stdout.count(said) >= 3, said
