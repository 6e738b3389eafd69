"""Texts that look the same are the same when compared; what is stored stays as it came."""

import json
import sys
import unicodedata
from pathlib import Path

import pytest
import regex
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from pipeline.config import JudgeSettings, OverlapSettings, PoolSettings, Settings
from pipeline.folding import _IGNORABLE, folded
from pipeline.judge.collect import candidates
from pipeline.prompts import load_pools
from pipeline.synthesis.overlap import same_prompts
from tests.judge.simulated import prompts, responses

unhurried = limits(deadline=None, max_examples=60)  # machines that are busy take their time
QUESTION = (
    'Ada says "don\'t" - how many of the 12 café pears has she left after giving 3 of them away?'
)
# What editors, phones and PDF files make of that question.
LOOKS = {
    "curly quotes": lambda text: text.replace('"', "“", 1).replace('"', "”").replace("'", "’"),
    "decomposed letters": lambda text: unicodedata.normalize("NFD", text),
    "zero-width spaces": lambda text: text.replace(" ", " \u200b"),
    "soft hyphens": lambda text: text.replace("giving", "giv\u00ading"),
    "full-width digits": lambda text: text.replace("12", "１２").replace("3", "３"),
    "dashes": lambda text: text.replace("-", "–"),
    "a minus": lambda text: text.replace("-", "\u2212"),
    "spaces that do not break": lambda text: text.replace(" ", "\u00a0"),
    "a variation selector": lambda text: text.replace("pears", "pears\ufe0f"),
    "a byte order mark": lambda text: "\ufeff" + text,
}
looks = pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS.keys())


def test_the_ignorable_code_points_are_unicodes_own() -> None:
    """The regex library knows the property from the Unicode Character Database."""
    known = regex.compile(r"\p{Default_Ignorable_Code_Point}")
    theirs = {code for code in range(sys.maxunicode + 1) if known.fullmatch(chr(code))}
    assert {code for low, high in _IGNORABLE for code in range(low, high + 1)} == theirs


@unhurried
@given(st.text())
def test_folding_twice_is_folding_once(text: str) -> None:
    for case in (True, False):
        assert folded(folded(text, case=case), case=case) == folded(text, case=case)


@unhurried
@given(st.text(st.characters(max_codepoint=127)))
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert folded(text) == text and folded(text, case=False) == text.lower()


@unhurried
@given(st.text())
def test_composed_and_decomposed_letters_are_one_text(text: str) -> None:
    assert folded(unicodedata.normalize("NFD", text)) == folded(unicodedata.normalize("NFC", text))


@pytest.mark.parametrize(
    ("one", "other"),
    [("3²", "32"), ("x₁", "x1"), ("½", "12"), ("A", "a"), ("5", "6"), ("a b", "ab")],
)
def test_what_means_something_else_stays_apart(one: str, other: str) -> None:
    assert folded(one) != folded(other)


@looks
def test_the_leak_check_and_the_pools_find_the_same_question_however_it_is_typed(
    look, tmp_path: Path
) -> None:
    typed = look(QUESTION)
    assert typed != QUESTION
    assert same_prompts({"s": typed}, {"q": QUESTION}, OverlapSettings())["text_id"].to_list() == [
        "s"
    ]
    assert same_prompts({"s": QUESTION}, {"q": typed}, OverlapSettings())["text_id"].to_list() == [
        "s"
    ]
    path = tmp_path / "a.jsonl"
    rows = [{"question": text, "answer": 9} for text in (typed, QUESTION)]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    pool = PoolSettings(name="p", source="file", path=str(path))
    kept, rejects = load_pools(Settings(profile="test", pools=(pool,)))
    assert rejects["reason"].to_list() == ["a.jsonl row 2: duplicate of a.jsonl row 1"]
    assert kept["messages"].to_list()[0][0]["content"] == typed.strip()  # as it came


def test_a_capital_is_another_prompt_and_another_number_too(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = [
        {"question": text, "answer": 9} for text in ("Name A.", "name a.", "Name ２.", "Name 3.")
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    pool = PoolSettings(name="p", source="file", path=str(path))
    assert load_pools(Settings(profile="test", pools=(pool,)))[0].height == 4


def test_responses_that_look_the_same_are_judged_once() -> None:
    drawn = responses({"p": ["don't", "don’t", "do"]}, lambda text: True)
    (table,), rejects = candidates(prompts("p"), drawn, JudgeSettings())
    assert sorted(table[2].values()) == ["do", "don't"]
    assert [reject.reason for reject in rejects] == [
        "identical to an earlier response: judged once"
    ]


def test_every_dash_of_unicode_is_one_kind_and_no_other_character_is_lost() -> None:
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)) == "Pd":
            assert folded(f"a{chr(code)}b") == "a-b"
    letters = "".join(map(chr, range(0x4E00, 0x9FFF)))
    assert folded(letters) == letters
