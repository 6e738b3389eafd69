"""One bad row costs its file one row: in every reader, whatever goes wrong with it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import PoolSettings, Settings
from pipeline.engine.base import Reject
from pipeline.noise import votes
from pipeline.prompts import files, load_pools, pools, record
from pipeline.sources import helpsteer, imported, judgebench, responses, single_scores
from pipeline.sources.names import Names
from pipeline.synthesis import codefavor_recorded
from tests.test_cells import errors

Row = dict[str, Any]
CODE = {
    "instruction": "Add.",
    "naive": "def f(a):\n    return a",
    "improved": "def f(a):\n    return a + 1",
}
PAIR = {"prompt": "Name a fruit.", "first": "Apple.", "second": "Chair.", "label": "first"}
SCORE = {"prompt": "q", "response": "a", "judge_id": "j", "score": 1}
BOTH = {"pair_id": "1", "j": {"orig": "A>B", "swapped": "A>B"}, "label": "A>B"}
PLACES = [(one, two, None) for one, two in (("1-A", "p"), ("1-B", "p"), ("2-A", "q"), ("2-B", "q"))]
Rejects = list[tuple[str, str]]


def columns(rows: list[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def pool(rows: list[Row], folder: Path, **settings: Any) -> Rejects:
    path = folder / "f.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    given = PoolSettings(name="p", source="file", path=str(path), **settings)
    _, rejects = load_pools(Settings(profile="test", pools=(given,)))
    return [tuple(reason.split(": ", 1)) for reason in rejects["reason"]]  # type: ignore[misc]


def told(rejects: list[Reject]) -> Rejects:
    return [(str(reject.row_id), reject.reason) for reject in rejects]


def judged(rows: list[Row], _: Path) -> Rejects:
    names = Names(PLACES)
    return told(imported.read(enumerate(rows, start=1), columns(rows), "f.jsonl", names).rejects)


def coded(rows: list[Row], _: Path) -> Rejects:
    return told(codefavor_recorded.read(enumerate(rows, start=1), columns(rows), "f.jsonl").rejects)


def voted(rows: list[Row], _: Path) -> Rejects:
    numbered = list(enumerate(rows, start=1))
    return told(
        votes.checked_rows(
            numbered, columns(rows), "f.jsonl", known=["1", "2"], duplicates="error"
        )[2]
    )


# Reader -> rows of which the second breaks, the function that reads one row, and where it is.
READERS: dict[str, tuple[Callable[[list[Row], Path], Rejects], list[Row], Any, str]] = {
    "pool": (pool, [{"question": f"{n} + 1?", "answer": n + 1} for n in range(3)], pools,
             "_prompt"),
    "pool's columns": (pool, [{"question": f"{n} + 1?", "answer": n + 1} for n in range(3)], record,
                       "_answered"),
    "pairs": (judged, [{**PAIR, "second": text} for text in ("Chair.", "Table.", "Lamp.")],
              imported, "_read_row"),
    "lists": (judged, [{"prompt": text, "answers": [{"answer": "a", "rank": 1}]} for text in "abc"],
              responses, "_row"),
    "ratings": (judged, [{"prompt": "q", "response": text, "helpfulness": 1} for text in "abc"],
                helpsteer, "_rated"),
    "scores": (judged, [{**SCORE, "response": text} for text in "abc"], single_scores, "_key"),
    "verdicts": (judged, [BOTH, {**BOTH, "pair_id": "2"}], judgebench, "_both_orders"),
    "code": (coded, [{**CODE, "instruction": text} for text in "abc"], codefavor_recorded, "_row"),
    "votes": (voted, [{"pair_id": one, "voter_id": "ann", "label": 1} for one in ("1", "2")], votes,
              "_vote"),
}  # fmt: skip
readers = pytest.mark.parametrize("name", READERS)


@readers
@pytest.mark.parametrize("error", errors(), ids=lambda error: type(error).__name__)
def test_whatever_is_raised_is_one_reject_that_names_file_and_row(
    name: str, error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, rows, module, function = READERS[name]
    real, calls = getattr(module, function), []

    def second_breaks(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 2:
            raise error
        return real(*arguments)

    monkeypatch.setattr(module, function, second_breaks)
    ((where, reason),) = read(rows, tmp_path)
    assert where == "f.jsonl row 2" and len(calls) >= len(rows)
    assert (
        ("bad" in reason or type(error).__name__ in reason)
        and "\n" not in reason
        and reason.encode()
    )


def spoilt(row: Row) -> list[Row]:
    """The row with half a character in each of its texts, deep ones too, and in a column's name."""
    found = [
        {**row, name: f"{value} \ud83d"} for name, value in row.items() if isinstance(value, str)
    ]
    deep = [
        {**row, name: {**value, "orig": "\ud83d"}}
        for name, value in row.items()
        if isinstance(value, dict)
    ]
    return [*found, *deep]


@readers
def test_half_of_a_character_in_any_text_is_one_reject_that_names_file_and_row(
    name: str, tmp_path: Path
) -> None:
    read, rows, _, _ = READERS[name]
    for row in spoilt(rows[1]):
        rejects = read([rows[0], row, *rows[2:]], tmp_path)
        assert [where for where, _ in rejects] == ["f.jsonl row 2"]
        assert rejects[0][1].endswith("holds half of a character (\\ud83d)")


@pytest.mark.parametrize(
    "line", ['{"question": "cut', "[1]", "7", "null", "{'question': 1}", "x" * 9999, "[" * 99999]
)
@readers
def test_a_line_that_is_no_row_is_one_reject_that_names_file_and_row(
    name: str, line: str, tmp_path: Path
) -> None:
    read, rows, _, _ = READERS[name]
    path = tmp_path / "g.jsonl"
    path.write_text("\n".join([json.dumps(rows[0]), line, *map(json.dumps, rows[1:])]))
    found, names = files.read(path)
    assert names == columns(rows) and [number for number, _ in found] == list(
        range(1, len(rows) + 2)
    )
    if read is not pool:
        rejects = read([row for _, row in found], tmp_path)
    else:
        _, frame = load_pools(
            Settings(profile="test", pools=(PoolSettings(name="p", source="file", path=str(path)),))
        )
        rejects = [tuple(reason.split(": ", 1)) for reason in frame["reason"]]
    ((where, reason),) = rejects
    assert where.endswith(".jsonl row 2") and reason.endswith(": mend or remove that line")
    assert reason.startswith(("is not JSON: ", "is not a JSON object with columns: "))


@pytest.mark.parametrize(
    ("verifier", "good", "bad", "reason"),
    [
        (
            "code",
            {"question": "q", "answer": "def f():\n    return 1", "tests": "assert f() == 1"},
            {"question": "r", "answer": {"code": "def f(): pass"}, "tests": "assert f() == 1"},
            "column 'answer' holds a struct, not text",
        ),
        (
            "code",
            {"question": "q", "code": "def f():\n    return 1", "test_list": ["assert f() == 1"]},
            {"question": "r", "code": "def f():\n    return 1", "test_list": [1]},
            "it cannot be read (TypeError: ",
        ),
        (
            "instructions",
            {"question": "q", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]},
            {"question": "r", "instruction_id_list": 7, "kwargs": None},
            "instructions: ",
        ),
        (
            "exact",
            {"question": "q", "answer": "a"},
            {"question": "r", "answer": ["a"]},
            "column 'answer' holds a list",
        ),
        (
            "exact",
            {"question": "q", "answer": "a"},
            {"question": 7, "answer": "a"},
            "column 'question' holds a number",
        ),
    ],
)
def test_a_row_that_a_pools_verifier_cannot_read_is_one_reject(
    verifier: str, good: Row, bad: Row, reason: str, tmp_path: Path
) -> None:
    ((where, said),) = pool([good, bad], tmp_path, verifier=verifier)
    assert where == "f.jsonl row 2" and said.startswith(reason)
