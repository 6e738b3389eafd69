"""Cells by kind of column: what is read, what is absent, what is refused;
and whatever a row can cause.
"""

import builtins
import datetime
import json
import math
import re
import zlib
from decimal import Decimal
from typing import Any

import jinja2
import numpy as np
import polars as pl
import pydantic_core
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import cells
from pipeline.cells import BadRow
from pipeline.errors import OrchardError, with_cause

unhurried = settings(deadline=None, max_examples=60)  # machines that are busy take their time
ABSENT = [None, math.nan, np.float32("nan"), np.float64("nan"), Decimal("nan")]
CONTAINERS = [["x"], {"x": 1}, b"x", object(), [], {}]
READERS = [cells.text, cells.identifier, cells.number, cells.share, cells.label, cells.answer]
# Halves of characters: what JSON can carry and UTF-8 cannot.
halves = st.characters(categories=["Cs"])


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("value", ABSENT)
def test_null_and_nan_are_absent_and_never_a_word(read: Any, value: Any) -> None:
    assert read(value, "c") is None


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("value", CONTAINERS)
def test_what_is_no_single_value_is_refused_and_never_written_out(read: Any, value: Any) -> None:
    with pytest.raises(BadRow, match="^c "):
        read(value, "c")


@pytest.mark.parametrize(
    "value", [0, 0.0, "0", "0.0", " 0 ", "-0", Decimal("0.00"), np.int64(0), np.float32(0)]
)
def test_a_label_is_the_same_in_every_form_that_tools_write_it_in(value: Any) -> None:
    assert cells.label(value, "label") == "0"


@unhurried
@given(st.integers(-(10**9), 10**9))
def test_integers_that_became_floats_texts_or_decimals_are_the_same_label_and_answer(
    number: int,
) -> None:
    forms = [number, float(number), str(number), f"{number}.0", Decimal(number), np.int64(number)]
    assert {cells.label(form, "label") for form in forms} == {str(number)}
    assert {
        cells.answer(form, "answer") for form in (number, float(number), np.float64(number))
    } == {str(number)}
    assert {cells.number(form, "n") for form in forms} == {float(number)}


@unhurried
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_read_back_from_its_own_text(number: float) -> None:
    assert cells.number(repr(number), "n") == number == cells.number(number, "n")


def test_true_and_false_are_labels_and_answers_and_no_numbers_or_ids() -> None:
    assert [cells.label(value, "l") for value in (True, "True", False, np.bool_(False))] == [
        "true"
    ] * 2 + ["false"] * 2
    assert cells.answer(True, "a") == "True"
    for read in (cells.number, cells.identifier, cells.text):
        with pytest.raises(BadRow, match="^c "):
            read(True, "c")


def test_an_id_is_a_text_or_a_whole_number_and_no_float() -> None:
    assert [cells.identifier(value, "id") for value in (7, np.int32(7), " 7 ", "7.0", "")] == [
        "7",
        "7",
        "7",
        "7.0",
        None,
    ]
    with pytest.raises(
        BadRow, match=r"^pair_id is 7.0, not an id: write it as a text or a whole number$"
    ):
        cells.identifier(7.0, "pair_id")


@pytest.mark.parametrize(
    "value", ["1_000", "１２", "1,5", "0x10", "infinity", "", "one", math.inf, 10**400]
)
def test_what_python_alone_takes_for_a_number_is_none(value: Any) -> None:
    if value == "":
        assert cells.number(value, "n") is None
        return
    with pytest.raises(BadRow, match="^n is .*not (a number|finite)$"):
        cells.number(value, "n")


def test_decimals_dates_and_floats_keep_their_meaning_as_answers() -> None:
    day, moment = datetime.date(2026, 11, 28), datetime.datetime(2026, 11, 28, 9, 30)
    values = [Decimal("4.50"), Decimal("1E+3"), day, moment, datetime.time(9, 30), 0.5, 12.0, 1e-7]
    said = ["4.50", "1000", "2026-11-28", "2026-11-28T09:30:00", "09:30:00", "0.5", "12", "1e-07"]
    assert [cells.answer(value, "answer") for value in values] == said


@unhurried
@given(st.text(), halves, st.text())
def test_half_of_a_character_is_refused_by_its_escape_wherever_it_stands(
    before: str, half: str, after: str
) -> None:
    text = before + half + after
    escape = re.escape(f"(\\u{ord(half):04x})")
    for row in ({"c": text}, {"c": [{"content": [text]}]}, {"c": {text: 1}}):
        with pytest.raises(BadRow, match=f"^c holds half of a character {escape}$"):
            cells.check_row(json.loads(json.dumps(row)))
    with pytest.raises(BadRow, match="name of a column"):
        cells.check_row({text: 1})
    with pytest.raises(BadRow):
        cells.text(text, "c")


@unhurried
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_other_text_is_taken_and_only_stripped(text: str) -> None:
    assert cells.text(text, "c") == text.strip()
    cells.check_row({text: text})


def errors() -> list[Exception]:
    """One of every class of exception that Python and the readers' libraries can raise on a row."""
    special: dict[type, tuple[object, ...]] = {
        UnicodeDecodeError: ("utf-8", b"x", 0, 1, "bad"),
        UnicodeEncodeError: ("utf-8", "x", 0, 1, "bad"),
        UnicodeTranslateError: ("x", 0, 1, "bad"),
        ExceptionGroup: ("several", [ValueError("x")]),
    }
    kinds = [
        kind
        for kind in vars(builtins).values()
        if isinstance(kind, type) and issubclass(kind, Exception)
    ]
    machine = (MemoryError, OSError)
    found = [
        kind(*special.get(kind, ("bad\ud83d\nrow",)))
        for kind in kinds
        if not issubclass(kind, machine)
    ]
    return [
        *found,
        json.JSONDecodeError("bad", "x", 0),
        re.error("bad"),
        zlib.error("bad"),
        jinja2.TemplateError("bad"),
        pl.exceptions.ComputeError("bad"),
        pydantic_core.PydanticCustomError("bad", "bad"),
        OrchardError("bad"),
        BadRow("bad"),
    ]


@pytest.mark.parametrize("error", errors(), ids=lambda error: type(error).__name__)
def test_whatever_a_row_causes_is_one_line_about_the_row(error: Exception) -> None:
    def read() -> None:
        raise error

    with pytest.raises(BadRow) as caught:
        cells.attempt(read)
    message = str(caught.value)
    assert "bad" in message or type(error).__name__ in message
    assert "\n" not in message and message.encode()


@pytest.mark.parametrize("error", [MemoryError(), OSError("no space left"), KeyboardInterrupt()])
def test_what_the_machine_lacks_is_no_rows_fault(error: BaseException) -> None:
    def read() -> None:
        raise error

    with pytest.raises(type(error)):
        cells.attempt(read)


def test_the_cause_of_an_error_stands_in_its_line() -> None:
    try:
        try:
            raise TypeError("could not cast\nint64 to string")
        except TypeError as cause:
            raise ValueError("an error occurred") from cause
    except ValueError as error:
        assert with_cause(error) == "an error occurred: could not cast int64 to string"
    assert with_cause(ValueError()) == "ValueError"


def test_columns_of_the_prompt_count_only_where_they_say_something() -> None:
    rows = [
        (
            1,
            {
                "system": "",
                "context": None,
                "input": math.nan,
                "tools": [],
                "history": ["x"],
                "other": "x",
            },
        )
    ]
    assert cells.unread_meaning(rows, {"prompt"}) == ["history"]
    assert cells.unread_meaning(rows, {"history"}) == []
    assert cells.other_columns(rows[0][1], {"history"}) == {"other": "x"}


def test_a_file_that_a_row_names_and_that_is_not_there_is_the_rows_fault() -> None:
    with pytest.raises(BadRow, match="^it names a file that cannot be read: .*none.png"):
        cells.attempt(open, "none.png")


def test_what_an_extension_raises_on_a_whole_file_is_one_line() -> None:
    with (
        pytest.raises(OrchardError, match="^f.jsonl: its layout cannot be told: KeyError: 'zz'$"),
        cells.of_all_rows("f.jsonl: its layout cannot be told"),
    ):
        _ = {}["zz"]
    for own in (OrchardError("ours"), OSError("no space left")):
        with pytest.raises(type(own), match=f"^{own}$"), cells.of_all_rows("f"):
            raise own
