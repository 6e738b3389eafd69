"""What a cell of a file says, by kind of column: a text, an id, a number, a label or an answer.

Every reader of files reads its cells here, so that one rule holds for all: what is not of the
column's kind is a reject with a reason, and nothing is turned into text or numbers by guess.

- Null and NaN, which pandas writes for null, are absent; neither is ever the text "nan".
- A text is a text: no number, list or struct is written out as one.
- An id is a text or a whole number.
- A number is an integer, a float, a decimal, or a text that writes one; true and false are none.
- A label is the same label in every form that tools write it in: 1, 1.0, "1" and "1.0".
- An answer keeps its meaning: dates as ISO 8601, decimals with their digits, whole floats as
  integers.

All errors that a row can cause end in `attempt`.
"""

import datetime
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, ParamSpec, TypeVar

import numpy as np

from pipeline.errors import OrchardError, one_line

Row = dict[str, Any]
Rows = Sequence[tuple[int, Row]]  # (number from 1, {column: value})
P = ParamSpec("P")
T = TypeVar("T")

# Columns that say what was asked. A layout that does not read one of them would lose a part of the
# prompt, which changes what the answers mean: our choice of names, those of public sets.
MEANING = frozenset(
    {
        "prompt", "question", "query", "instruction", "instructions", "input", "inputs", "system",
        "system_prompt", "system_message", "context", "contexts", "history", "tools", "functions",
        "image", "images", "audio", "audios", "video", "videos", "document", "documents", "passage",
        "chat_history", "conversation_history", "dialogue_history", "dialog_history", "sys",
        "previous_turns", "preamble", "persona", "background", "knowledge", "article", "premise",
        "source_text", "few_shot", "demonstrations",
    }
)  # fmt: skip
# Columns that say which response is better: one that a layout does not read may contradict it.
JUDGED = frozenset(
    {"label", "winner", "preference", "preferred", "better", "verdict", "tie", "is_tie"}
)
BROKEN = "(broken line)"  # in place of columns: why a line of a file is no row
OTHERS = "(other columns)"  # where a row made of several keeps the columns that no layout reads
REPEAT = ": the first one counts"  # ends the reason of a row that is dropped as a repeat

LONGEST = 4_000_000  # characters of a text; no model's context holds more (our choice)

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_WHOLE = 1e15  # below it a float holds every whole number exactly
# What an error of these kinds says is of the machine, and not of the row.
_OF_THE_MACHINE = (MemoryError, OSError)
_OF_A_PATH = (FileNotFoundError, IsADirectoryError, NotADirectoryError)  # that the row names


class BadRow(Exception):
    """Why a row cannot be used."""


def attempt(read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What a reader or verifier makes of a row: the one place where a row's errors are caught.

    Raises:
        BadRow: whatever went wrong with the row, in one line.
    """
    try:
        return read(*args, **kwargs)
    except BadRow:
        raise
    except _OF_THE_MACHINE as error:
        if not isinstance(error, _OF_A_PATH):
            raise
        raise BadRow(f"it names a file that cannot be read: {one_line(error)}") from error
    except OrchardError as error:
        raise BadRow(one_line(error)) from error
    except Exception as error:
        kind = type(error).__name__
        message = one_line(error)
        reason = kind if message == kind else f"{kind}: {message}"
        raise BadRow(f"it cannot be read ({reason})") from error


@contextmanager
def of_all_rows(where: str) -> Iterator[None]:
    """Makes one line of what an extension raises that reads a whole file, and no single row.

    Raises:
        OrchardError: with the file or pool, and the error.
    """
    try:
        yield
    except (OrchardError, *_OF_THE_MACHINE):
        raise
    except Exception as error:
        raise OrchardError(f"{where}: {type(error).__name__}: {one_line(error)}") from error


def is_repeat(reason: str) -> bool:
    """Whether a row was dropped because an earlier one says the same."""
    return reason.endswith(REPEAT)


def rows_left_out(reasons: Iterable[tuple[str | None, str]]) -> tuple[int, int]:
    """How many rows were rejected, and how many left out as repeats, by (row, reason).

    A row of several judgements may have several reasons; it counts once.
    """
    found = list(reasons)
    repeats = {row for row, reason in found if is_repeat(reason)}
    return len({row for row, reason in found if not is_repeat(reason)}), len(repeats)


def check_row(row: Mapping[str, Any]) -> None:
    """Refuse a line that is no row, a text that no model could read, and half of a character,
    which JSON can carry and UTF-8 cannot.

    Raises:
        BadRow: why the line cannot be read; or which column holds the text, or the half.
    """
    if BROKEN in row:
        raise BadRow(row[BROKEN])
    for name, value in row.items():
        if half := _half(name):
            raise BadRow(f"the name of a column holds half of a character ({half})")
        if isinstance(value, str) and len(value) > LONGEST:
            raise BadRow(f"{name} holds {len(value):,} characters, more than {LONGEST:,}: cut it")
        if half := _half(value):
            raise BadRow(f"{name} holds half of a character ({half})")


def plain(value: Any) -> Any:
    """The cell as plain Python; null where it is absent."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, Decimal):
        return None if value.is_nan() else value
    return value


def is_blank(value: Any) -> bool:
    """Whether a cell says nothing: absent, an empty text, list or struct."""
    value = plain(value)
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, list | dict) and not value)


def text(value: Any, name: str) -> str | None:
    """A text, stripped; null where it is absent, and perhaps empty.

    Raises:
        BadRow: something else, or half of a character.
    """
    value = plain(value)
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadRow(f"{name} holds {kind_of(value)}, not text")
    check_row({name: value})
    return value.strip()


def identifier(value: Any, name: str) -> str | None:
    """A name or an id: a text, stripped, or a whole number; null where it is absent or blank.

    Raises:
        BadRow: anything else. A float is no id: 7.0 may have been 7, "7.0" or 7.04.
    """
    value = plain(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is None or isinstance(value, str):
        return text(value, name) or None
    raise BadRow(f"{name} is {_shown(value)}, not an id: write it as a text or a whole number")


def number(value: Any, name: str) -> float | None:
    """A finite number; null where it is absent or blank.

    Raises:
        BadRow: no number, or not finite.
    """
    value = plain(value)
    if isinstance(value, str):
        value = _parsed(value, name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise BadRow(f"{name} is {_shown(value)}, not a number")
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise BadRow(f"{name} is {_shown(value)}, not finite")
    return found


def share(value: Any, name: str) -> float | None:
    """A number in [0, 1]; null where it is absent.

    Raises:
        BadRow: anything else.
    """
    found = number(value, name)
    if found is not None and not 0 <= found <= 1:
        raise BadRow(f"{name} is {_shown(value)}, outside [0, 1]")
    return found


def label(value: Any, name: str) -> str | None:
    """A label as one text for each meaning: "1" for 1, 1.0 and "1.0", "true" for true.

    Words are in lower case; null where it is absent or blank.

    Raises:
        BadRow: a list, a struct, a date: nothing that is a label.
    """
    value = plain(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        value = _word(text(value, name) or "")
    if isinstance(value, int | float | Decimal):
        return _digits(value)
    if value is None or isinstance(value, str):
        return value or None
    raise BadRow(f"{name} holds {kind_of(value)}, not a label")


def answer(value: Any, name: str) -> str | None:
    """A reference answer as text that keeps its meaning; null where absent, and perhaps empty.

    Raises:
        BadRow: a list, a struct, bytes: nothing that is one answer.
    """
    value = plain(value)
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else str(value)
    if isinstance(value, int | float):
        return _digits(value)
    if isinstance(value, datetime.date | datetime.time):  # a datetime is a date
        return value.isoformat()
    return text(value, name)


def other_columns(row: Mapping[str, Any], known: Iterable[str]) -> Row:
    """What a row has besides the columns that a layout knows: its metadata."""
    left_out = set(known)
    return {
        name: value for name, value in row.items() if name not in left_out and not is_blank(value)
    }


def unread_meaning(rows: Rows, known: Iterable[str]) -> list[str]:
    """Columns with contents that say what was asked, or what is better, and no layout knows."""
    names = (MEANING | JUDGED) - set(known)
    return sorted(
        {name for _, row in rows for name in names & row.keys() if not is_blank(row[name])}
    )


def _half(value: Any) -> str | None:
    """The escape of the first half of a character in a value of any depth."""
    if isinstance(value, str):
        if value.isascii():
            return None
        try:
            value.encode()
        except UnicodeEncodeError as error:
            return f"\\u{ord(value[error.start]):04x}"
        return None
    if isinstance(value, Mapping):
        value = [*value.keys(), *value.values()]
    parts = value if isinstance(value, list | tuple) else ()
    return next((half for part in parts if (half := _half(part))), None)


def _parsed(written: str, name: str) -> float | None:
    found = written.strip()
    if not found or found.lower() == "nan":
        return None
    if _NUMBER.fullmatch(found):
        return float(found)
    raise BadRow(f"{name} is {_shown(written)}, not a number")


def _word(written: str) -> str | Decimal:
    """A label in words, or the number that it is."""
    return Decimal(written) if _NUMBER.fullmatch(written) else written.lower()


def _digits(value: int | float | Decimal) -> str:
    """A number as people write it: a whole one without a point."""
    if isinstance(value, int) or not math.isfinite(value) or abs(float(value)) >= _WHOLE:
        return str(value)
    if value == int(value):
        return str(int(value))
    return str(value.normalize()) if isinstance(value, Decimal) else str(value)


def kind_of(value: Any) -> str:
    """What a value is, in words."""
    kinds: list[tuple[type, str]] = [
        (str, "text"),
        (bool, "true or false"),
        (int, "a number"),
        (float, "a number"),
        (Decimal, "a number"),
        (list, "a list"),
        (Mapping, "a struct"),
        (bytes, "bytes"),
        (datetime.date, "a date"),
    ]
    return next(
        (words for kind, words in kinds if isinstance(value, kind)), f"a {type(value).__name__}"
    )


def printable(value: Any) -> str:
    """A cell in a message or a reject: its JSON-like text, with halves of characters escaped."""
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8")


def _shown(value: Any) -> str:
    """A value in a message: short, on one line."""
    shown = {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)
    shown = str(value) if isinstance(value, Decimal) else shown
    return shown if len(shown) <= 40 else shown[:37] + "..."
