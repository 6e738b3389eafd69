"""What execution decides, on programs whose right answer is plain."""

from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.config import CodeSettings, SandboxSettings
from pipeline.synthesis.codefavor_measure import _margins, findings, measure
from pipeline.verify.code import task_of
from pipeline.verify.sandbox import Sandbox

RIGHT = "def f(n):\n    return n * (n + 1) // 2"
WRONG = "def f(n):\n    return n * (n - 1) // 2"  # right at 0 only
SLOW = "def f(n):\n    return sum(k for _ in range(30) for k in range(n + 1)) // 30"
RISKY = (
    "import os\ndef f(n):\n    if n < 0:\n        os.system('ls ' + str(n))\n"
    "    return n * (n + 1) // 2"
)
TESTS = "assert f(0) == 0\nassert f(3) == 6\nassert f(4) == 10\nassert f(20000) == 200010000"
METADATA = {"x": task_of({"answer": RIGHT, "tests": TESTS})[1]}
SETTINGS = CodeSettings(timing_runs=2, timing_repeat=3)


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    sandbox = Sandbox(SandboxSettings(isolation="limits", cpu_seconds=2, workers=1))
    yield sandbox
    sandbox.close()


def measured(box: Sandbox, naive: str, improved: str) -> dict[str, Any]:
    pair = {"code_pair_id": "x", "prompt_id": "p", "naive": naive, "improved": improved}
    (row,) = measure([pair], METADATA, SETTINGS, box)
    return row


def test_the_version_that_passes_its_tests_is_better_whatever_the_critic_said(box: Sandbox) -> None:
    row = measured(box, WRONG, RIGHT)
    assert (row["improved_is_better"], row["decided_by"], row["correctness_margin"]) == (
        True,
        "correctness",
        0.75,
    )
    row = measured(box, RIGHT, WRONG)
    assert (row["improved_is_better"], row["decided_by"], row["correctness_margin"]) == (
        False,
        "correctness",
        -0.75,
    )
    assert row["naive_held"] == 1 and row["improved_held"] == 0.25 and "naive_seconds" not in row


def test_two_that_pass_are_told_apart_by_their_time(box: Sandbox) -> None:
    row = measured(box, SLOW, RIGHT)
    assert row["improved_is_better"] and row["decided_by"] == "speed" and row["speed_margin"] > 1
    assert row["naive_seconds"] > 2 * row["improved_seconds"] > 0


@pytest.mark.parametrize("end", ["os._exit(0)", "raise ValueError('no')"])
def test_one_that_fails_after_its_first_tests_is_not_the_faster_one(box: Sandbox, end: str) -> None:
    quits = (
        "import os\ncalls = 0\ndef f(n):\n    global calls\n"
        f"    calls += 1\n    if calls > 4:\n        {end}\n"
    )
    # the tests call it four times: it passes them once
    row = measured(box, SLOW, quits + SLOW.partition("\n")[2])
    assert row["naive_passed"] and row["improved_passed"]
    # the same work; a third of it where the rest is lost
    assert row["improved_seconds"] > 0.6 * row["naive_seconds"]


def test_two_that_reach_the_limit_of_time_when_repeated_are_timed_once(box: Sandbox) -> None:
    slow, slower = (SLOW.replace("30", str(times)) for times in (150, 600))
    settings = CodeSettings(timing_runs=1, timing_repeat=100)  # seconds more than the limit of 2
    pair = {"code_pair_id": "x", "prompt_id": "p", "naive": slower, "improved": slow}
    (row,) = measure([pair], METADATA, settings, box)
    # 4 times the work: 2 in base 2
    assert row["decided_by"] == "speed" and 1 < row["speed_margin"] < 3


def test_two_as_fast_are_told_apart_by_their_findings(box: Sandbox) -> None:
    row = measured(box, RIGHT, RISKY)
    assert (row["improved_is_better"], row["decided_by"]) == (False, "security")
    assert row["naive_findings"] == 0 and row["security_margin"] == -row["improved_findings"] < 0


def test_both_wrong_or_both_right_alike_is_no_pair(box: Sandbox) -> None:
    assert measured(box, WRONG, "def f(n):\n    return -1")["improved_is_better"] is None
    assert (
        measured(box, RIGHT, RIGHT.replace("n * (n + 1)", "(n + 1) * n"))["improved_is_better"]
        is None
    )


def test_one_that_dies_halfway_never_holds_all(box: Sandbox) -> None:
    row = measured(box, "import os\ndef f(n):\n    return 0 if n == 0 else os._exit(0)", RIGHT)
    # one held, and one was never answered
    assert row["naive_held"] == 0.5 and row["decided_by"] == "correctness"


def test_without_tests_nothing_runs_and_nothing_is_decided() -> None:
    pair = {"code_pair_id": "other", "prompt_id": "p", "naive": RISKY, "improved": RIGHT}
    (row,) = measure([pair], METADATA, SETTINGS)
    assert (
        row["improved_is_better"] is None
        and row["correctness_margin"] is None
        and row["security_margin"] > 0
    )


@pytest.mark.parametrize(
    ("naive", "improved", "margin"),
    # the last: under 5 ms apart
    [(0.2, 0.1, 1.0), (0.1, 0.2, -1.0), (0.1, 0.09, 0.0), (0.004, 0.002, 0.0)],
)
def test_a_speed_margin_is_the_binary_logarithm_of_a_clear_ratio(
    naive: float, improved: float, margin: float
) -> None:
    row = {
        "naive_findings": 0,
        "improved_findings": 0,
        "naive_passed": True,
        "improved_passed": True,
    }
    row |= {
        "naive_held": 1,
        "improved_held": 1,
        "naive_seconds": naive,
        "improved_seconds": improved,
    }
    assert _margins(row, CodeSettings())["speed_margin"] == pytest.approx(margin)


def test_findings_are_ruffs_and_the_code_cannot_switch_them_off() -> None:
    found = findings(
        {
            "clean": RIGHT,
            "shell": "import os\nos.system('ls ' + input())  # noqa\n",
            "hash": "# ruff: noqa\nimport hashlib\nhashlib.md5(b'x')\n",
            "assert": "assert 1",
            "broken": "def f(",
        }
    )
    assert found["clean"] == found["assert"] == 0 and found["shell"] >= 1 and found["hash"] >= 1
