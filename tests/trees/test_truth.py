"""Step values against people's labels:
the indices of both formats, and measures worked out by hand.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.config import ThoughtSettings
from pipeline.errors import OrchardError
from pipeline.trees import truth
from pipeline.trees.truth import Labelled, Scored
from tests.trees.mazes import JudgingEngine, maze

DATA = Path(__file__).parent / "data"


def test_processbench_counts_from_zero_and_prmbench_from_one() -> None:
    process, _ = truth.read(DATA / "processbench.jsonl")
    assert [s.first_wrong for s in process] == [2, 1, None]
    assert (
        process[0]
        .steps[2]
        .startswith("Next, let's determine how many wolves and cougars Rick killed today")
    )
    pairs, rejects = truth.read(DATA / "prmbench.jsonl")
    assert not rejects
    rows = [json.loads(line) for line in (DATA / "prmbench.jsonl").read_text().splitlines()]
    firsts = [row["error_steps"][0] - 1 if row["error_steps"] else None for row in rows]
    assert [s.first_wrong for s in pairs[1::2]] == firsts and firsts[-1] is None
    assert [s.first_wrong for s in pairs[::2]] == [None] * 3
    for right, wrong in zip(pairs[::2], pairs[1::2], strict=True):
        if (step := wrong.first_wrong) is not None:  # the first error is where the two part
            assert (
                right.steps[:step] == wrong.steps[:step] and right.steps[step] != wrong.steps[step]
            )


def solution(
    values: Sequence[float], first_wrong: int | None, pair: int | None = None, name: str = "s"
) -> Scored:
    steps = tuple(
        f"{name} {n}" if n == first_wrong or name != "s" else f"step {n}"
        for n in range(len(values))
    )
    return Scored(Labelled(0, "q", steps, first_wrong, None, pair), tuple(values))


def test_the_measures_are_as_worked_out_by_hand() -> None:
    scored = [
        solution([0.9, 0.8], None),  # right: nothing below a half
        solution([0.9, 0.4], None),  # a false alarm
        solution([0.7, 0.2, 0.1], 1),  # found
        solution([0.3, 0.2], 1),  # too early
        solution([0.7, 0.6], 1),  # missed
    ]
    found = truth.report(scored)
    assert (found["right_accuracy"], found["wrong_accuracy"]) == (0.5, pytest.approx(1 / 3))
    assert found["f1"] == pytest.approx(0.4)  # 2 * 1/2 * 1/3 / (5/6)
    # Right steps .9 .8 .9 .4 .7 .3 .7 against first wrong ones .2 .2 .6: 7 + 7 + 5 of 21.
    assert found["auc"] == pytest.approx(19 / 21)
    assert (found["pairs"], found["pair_accuracy"]) == (0, None)


def test_pairs_are_compared_at_the_first_error_and_only_after_equal_steps() -> None:
    scored = [
        *(solution([0.9, 0.8], None, pair=1), solution([0.9, 0.3], 1, pair=1)),
        *(solution([0.9, 0.8], None, pair=2), solution([0.9, 0.8], 1, pair=2)),  # a tie
        # parted before
        *(solution([0.9, 0.8], None, pair=3), solution([0.1, 0.3], 1, pair=3, name="other")),
    ]
    found = truth.report(scored)
    assert (found["pairs"], found["pair_accuracy"]) == (2, 0.75)


def test_one_kind_of_rows_alone_leaves_measures_unknown() -> None:
    found = truth.report([solution([0.9], None)])
    assert found["wrong_accuracy"] is None and found["f1"] is None and found["auc"] is None


def test_a_judge_that_knows_the_errors_is_perfect_and_one_that_tells_nothing_is_at_a_half() -> None:
    rows = truth.read(DATA / "processbench.jsonl")[0] + truth.read(DATA / "prmbench.jsonl")[0]
    wrong = [row.steps[row.first_wrong] for row in rows if row.first_wrong is not None]

    def knows(text: str, words: Sequence[str]) -> list[float]:
        return [0.1, 0.9] if any(step in text for step in wrong) else [0.9, 0.1]

    settings = ThoughtSettings(value="verdict")
    scored, rejects = truth.score(JudgingEngine(maze, knows), rows, settings, 0)
    found = truth.report(scored)
    assert not rejects and found["solutions"] == 9
    assert found["f1"] == found["auc"] == found["pair_accuracy"] == 1.0
    scored, _ = truth.score(JudgingEngine(maze, lambda text, words: [0.7, 0.3]), rows, settings, 0)
    assert truth.report(scored)["auc"] == truth.report(scored)["pair_accuracy"] == 0.5


def test_rollouts_need_an_answer_and_take_it_where_it_is() -> None:
    rows = [Labelled(0, "3 + 4", ("a", "b"), None), Labelled(1, "3 + 4", ("a", "c"), 1, answer="7")]

    def script(prefix, sampling, n):  # type: ignore[no-untyped-def]
        return "the answer is 7" if prefix != "a\nc\n" or n == 0 else "the answer is 8"

    scored, rejects = truth.score(JudgingEngine(script), rows, ThoughtSettings(rollouts=4), 0)
    assert [(r.row_id, r.reason) for r in rejects] == [
        ("row 1", "no answer: rollouts cannot be checked")
    ]
    assert [s.values for s in scored] == [(1.0, 0.25)]
    with pytest.raises(OrchardError, match="votes compare steps with each other"):
        truth.score(JudgingEngine(script), rows, ThoughtSettings(value="vote"), 0)


def test_an_unsound_row_among_sound_ones_is_rejected(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    lines = [
        '{"problem": "p", "steps": ["a"], "label": 0}',
        '{"problem": "p", "steps": ["a"], "label": 7}',
    ]
    file.write_text("\n".join(lines))
    found, (reject,) = truth.read(file)
    assert [row.first_wrong for row in found] == [0]
    assert (reject.row_id, reject.reason.split(",")[0]) == (
        "row 2",
        "label 7 is not -1 or one of the 1 steps",
    )


@pytest.mark.parametrize("label", [1, 1.0, "1", "1.0"])
def test_the_number_of_a_step_means_the_same_in_every_type(tmp_path: Path, label: object) -> None:
    file = tmp_path / "rows.jsonl"
    pair = {"original_process": ["a", "b"], "modified_process": ["a", "c"]}
    asked = {"original_question": "q", "modified_question": "q"}
    rows = [
        {"problem": "p", "steps": ["a", "b"], "label": label},
        {**pair, **asked, "error_steps": [label]},
    ]
    file.write_text("\n".join(map(json.dumps, rows)))
    assert [row.first_wrong for row in truth.read(file)[0]] == [1, None, 0]


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"answer": ""}, "'' is not an answer that the verifier 'math' can read"),
        ({"answer": "$"}, "'$' is not an answer that the verifier 'math' can read"),
        ({"label": 0.9}, "label 0.9 is not -1 or one of the 1 steps"),
        ({"label": True}, "label True is not -1 or one of the 1 steps"),
        ({"label": "one"}, "label 'one' is not -1 or one of the 1 steps"),
        ({"answer": ["7"]}, "answer holds a list, not text"),
        ({"problem": "3 \ud83d"}, "problem holds half of a character (\\ud83d)"),
        ({"problem": None}, "problem is no text: None"),
        ({"error_steps": [1.5], "label": ...}, "error_steps [1.5] are not among the 1 steps"),
    ],
)
def test_a_bad_row_is_rejected_and_not_its_neighbours(
    tmp_path: Path, columns: dict[str, object], says: str
) -> None:
    # a JSON number
    row: dict[str, object] = {"problem": "3 + 4", "steps": ["a"], "label": -1, "answer": 7}
    pair = {
        "original_process": ["a"],
        "modified_process": ["b"],
        "original_question": "q",
        "modified_question": "q",
    }
    bad = {name: value for name, value in {**row, **pair, **columns}.items() if value is not ...}
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(bad) + "\n" + json.dumps(row))
    found, (reject,) = truth.read(file)
    assert reject.row_id == "row 1" and reject.reason.startswith(says)
    engine = JudgingEngine(lambda prefix, sampling, n: "the answer is 7")
    scored, rejects = truth.score(engine, found, ThoughtSettings(rollouts=2), 0)
    assert [s.values for s in scored] == [(1.0,)] and not rejects


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no rows"),
        ("{", "cannot be read as JSON or JSONL"),
        (
            '{"problem": "p", "steps": ["a"], "label": 1}',
            "row 1: label 1 is not -1 or one of the 1 steps",
        ),
        (
            '{"problem": "p", "steps": [], "label": -1}',
            "row 1: the steps are not a list of texts, or it is empty",
        ),
        ('{"steps": ["a"], "label": 0}', "row 1: column 'problem' is missing"),
        ('{"question": "q"}', "row 1: neither ProcessBench"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(text)
    with pytest.raises(OrchardError) as error:
        truth.read(file)
    assert says in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(OrchardError, match="cannot be read"):
        truth.read(tmp_path / "missing.jsonl")
