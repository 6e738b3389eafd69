"""Code pairs and critics' replies from a file:
each form, each reason, and what execution says of them.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from assets.cli.importing import bring_code
from pipeline import tables
from pipeline.config import CodeSettings, SandboxSettings, SplitSettings
from pipeline.errors import OrchardError
from pipeline.ids import content_id
from pipeline.prompts.pools import split_of
from pipeline.store import Lake
from pipeline.synthesis.codefavor_measure import measure
from pipeline.synthesis.codefavor_recorded import pairs, read
from pipeline.verify.sandbox import Sandbox
from tests.synthesis.test_codefavor_reply import BETTER, COMMIT, DRAFT, THINKS

PLAIN = {
    "instruction": "Sum the numbers up to n.",
    "naive": "def f(n):\n    return sum(range(n))",
    "improved": "def f(n):\n    return n * (n + 1) // 2",
    "tests": "assert f(3) == 6",
    "licence": "MIT",
    "critic": "a colleague",
}
EVOL = {
    "instruction": "Sum the numbers up to n.",
    "draft": DRAFT,
    "reply": THINKS + BETTER,
    "critic": "large",
}


def found(*rows: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    recorded = read(list(enumerate(rows, start=1)), list(rows[0]), "file.jsonl")
    return recorded.rows.to_dicts(), [reject.reason for reject in recorded.rejects]


def test_two_programs_are_a_pair_with_their_makers_and_tests() -> None:
    ((row,), reasons) = found(PLAIN)
    assert not reasons and (row["method"], row["critic"], row["drafter"]) == (
        "recorded",
        "a colleague",
        "file.jsonl",
    )
    assert (row["criteria"], row["feedback"], row["licence"], row["source"]) == (
        None,
        None,
        "MIT",
        "file.jsonl row 1",
    )
    assert json.loads(row["tests"])["names"] == ["f"]


def test_another_critics_reply_is_read_like_our_own() -> None:
    ((evol,), _) = found(EVOL)
    assert (evol["method"], evol["criteria"], evol["critic"]) == ("evol", "Constant time.", "large")
    # without comments and docstring
    assert evol["naive"] == "def f(n):\n    return sum(range(n + 1))"
    ((commit,), _) = found({"reply": COMMIT})
    assert commit["method"] == "commit" and commit["messages"][0]["content"].startswith(
        "Sum the numbers up to n.\n\n"
    )


def test_names_tell_the_program_of_a_reply_from_an_example_of_its_use() -> None:
    shown = {
        "draft": f"```python\n{DRAFT}\n```\nSo:\n```python\nresult = f(10)\n```",
        "tests": "assert f(3) == 6",
    }
    ((row,), _) = found({**EVOL, **shown, "names": ["f"]})
    assert row["naive"] == "def f(n):\n    return sum(range(n + 1))"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({**PLAIN, "naive": "def f(n"}, "naive is not Python"),
        ({**PLAIN, "naive": PLAIN["improved"] + "  # better"}, "both codes say the same"),
        ({**PLAIN, "naive": "x = " + " + ".join(["1"] * 100)}, "naive is nested too deeply"),
        ({**PLAIN, "names": 5}, "names must be a list of texts, not '5'"),
        ({**EVOL, "tests": "assert f", "names": "f"}, "names must be a list of texts, not 'f'"),
        ({**PLAIN, "tests": "assert " + "-" * 100_000 + "1"}, "the tests do not parse"),
        ({**PLAIN, "naive": " "}, "no naive"),
        ({**PLAIN, "naive": 3}, "naive holds a number, not text"),
        (
            {**PLAIN, "tests": "assert g(3) == 6"},
            "the tests call no function that the reference program defines",
        ),
        ({**PLAIN, "tests": "assert ("}, "the tests do not parse"),
        ({**EVOL, "reply": THINKS}, "good enough: the critic has nothing to improve"),
        ({**EVOL, "reply": "Fine."}, "malformed: no [BEGIN REFLECTION]"),
        ({**EVOL, "reply": "on and on " * 5000}, "malformed: no [BEGIN REFLECTION]"),
        ({**EVOL, "draft": "I do not know."}, "malformed: the draft holds no program"),
        ({"reply": "Here you are."}, "malformed: no [BEGIN INSTRUCTION]"),
    ],
)
def test_a_row_that_is_no_pair_is_rejected_with_its_reason(
    row: dict[str, Any], reason: str
) -> None:
    good = PLAIN if "naive" in row else EVOL if "draft" in row else {"reply": COMMIT}
    rows, reasons = found(good, row)
    assert len(rows) == 1 and len(reasons) == 1 and reasons[0].startswith(reason)


def test_files_without_a_pair_are_one_clear_line() -> None:
    with pytest.raises(
        OrchardError, match=r"file.jsonl: columns a: needed are instruction, naive and improved; or"
    ):
        found({"a": "b"})
    with pytest.raises(
        OrchardError,
        match=r"file.jsonl: no row could be used: file.jsonl row 1: naive is not Python",
    ):
        found({**PLAIN, "naive": "def"})


def test_execution_decides_imported_pairs_and_the_split_is_that_of_their_messages() -> None:
    worse = {
        **PLAIN,
        "instruction": "Other",
        "naive": PLAIN["improved"],
        "improved": PLAIN["naive"],
    }
    recorded = read(list(enumerate([PLAIN, worse], start=1)), list(PLAIN), "file.jsonl").rows
    rows, tests = pairs(recorded, SplitSettings())
    box = Sandbox(SandboxSettings(isolation="limits", workers=1))
    measured = {row["instruction"]: row for row in measure(rows, tests, CodeSettings(), box)}
    box.close()
    assert (
        measured[PLAIN["instruction"]]["improved_is_better"]
        and measured["Other"]["improved_is_better"] is False
    )
    for row in measured.values():
        assert row["prompt_id"] == content_id(row["messages"], None, None) and row["tokens"] == 0
        assert row["split"] == split_of(row["messages"], SplitSettings())
    frame = tables.empty("code_pairs")
    assert set(frame.columns) >= set(row) and row["policy_id"] == "a colleague"


def test_two_records_of_one_instruction_keep_their_own_tests() -> None:
    programs = {"naive": "def g(n):\n    return n", "improved": "def g(n):\n    return n + 1"}
    other = {**PLAIN, **programs, "tests": "assert g(1)"}
    rows, tests = pairs(
        read(list(enumerate([PLAIN, other], start=1)), list(PLAIN), "file.jsonl").rows,
        SplitSettings(),
    )
    assert len({row["prompt_id"] for row in rows}) == 1
    names = {row["naive"][4]: json.loads(tests[row["code_pair_id"]])["names"] for row in rows}
    assert names == {"f": ["f"], "g": ["g"]}


def test_a_second_import_replaces_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHARD_HOME", str(tmp_path / "home"))
    path = tmp_path / "file.jsonl"
    path.write_text("\n".join(map(json.dumps, [PLAIN, EVOL, {**PLAIN, "naive": "def"}])))
    first = bring_code(path)
    assert (first.methods, first.tested, first.rejected) == ({"evol": 1, "recorded": 1}, 1, 1)
    assert (first.reasons, first.repeated, first.replaced) == ([("naive is not Python", 1)], 0, 0)
    path.write_text("\n".join([json.dumps(PLAIN)] * 2))
    again = bring_code(path)
    assert (again.methods, again.rejected, again.repeated, again.replaced) == (
        {"recorded": 1},
        0,
        1,
        2,
    )
    assert again.reasons == [("the same pair as file.jsonl row 1: the first one counts", 1)]
    with Lake(tmp_path / "home") as lake:
        assert lake.read("recorded_code").height == 1 and lake.read("rejects").height == 1
