"""Layouts:
told by all columns, and whatever would change the meaning of a pair is an error that names it.
"""

import itertools
import json
import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cells import MEANING, REPEAT, rows_left_out
from pipeline.errors import OrchardError
from pipeline.sources import imported
from pipeline.sources.layout import LAYOUTS, recognise
from pipeline.sources.names import Names

unhurried = settings(deadline=None, max_examples=60)  # machines that are busy take their time
TURNS = [{"role": "user", "content": "Name a fruit."}]
APPLE, CHAIR = ({"role": "assistant", "content": text} for text in ("Apple.", "Chair."))
SIDES = {"first": "Apple.", "second": "Chair."}
# One row of every layout that brings pairs; in each the apple is the better answer to "Name a
# fruit.".
ROWS: dict[str, dict[str, Any]] = {
    "our own columns": {"prompt": "Name a fruit.", **SIDES, "label": "first"},
    "LLMBar": {"input": "Name a fruit.", "output_1": "Apple.", "output_2": "Chair.", "label": 1},
    "Alpaca pairs": {"instruction": "Name a fruit.", "output_1": "Apple.", "output_2": "Chair.",
                     "label": 1},
    "alpaca_eval": {"instruction": "Name a fruit.", "output_1": "Apple.", "output_2": "Chair.",
                    "preference": 1.0},
    "JudgeBench": {"question": "Name a fruit.", "response_A": "Apple.", "response_B": "Chair.",
                   "label": "A>B"},
    "PandaLM": {"instruction": "Name a fruit.", "response1": "Apple.", "response2": "Chair.",
                "annotator1": 1},
    "TRL, with a prompt": {"prompt": "Name a fruit.", "chosen": "Apple.", "rejected": "Chair."},
    "TRL, the prompt in both sides": {"chosen": [*TURNS, APPLE], "rejected": [*TURNS, CHAIR]},
    "UltraFeedback binarized": {
        "prompt": "Name a fruit.", "prompt_id": "x", "chosen": [*TURNS, APPLE],
        "rejected": [*TURNS, CHAIR],
        "messages": [*TURNS, APPLE], "score_chosen": 8.0, "score_rejected": 2.0,
    },
}  # fmt: skip
layouts = pytest.mark.parametrize("name", ROWS)


def take(*rows: dict[str, Any]) -> imported.Imported:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return imported.read(enumerate(rows, start=1), columns, "f.jsonl", Names())


def only(*rows: dict[str, Any]) -> dict[str, Any]:
    found = take(*rows)
    assert not found.rejects
    (pair,) = found.pairs.to_dicts()
    return pair


def better(pair: dict[str, Any]) -> float:
    return pair["label"] if pair["first"] == "Apple." else 1 - pair["label"]


@layouts
def test_every_layout_says_its_name_and_brings_the_same_pair(name: str) -> None:
    assert take(ROWS[name]).layout == name
    pair = only(ROWS[name])
    assert (
        pair["messages"] == TURNS
        and {pair["first"], pair["second"]} == {"Apple.", "Chair."}
        and better(pair) == 1
    )


@layouts
@unhurried
@given(data=st.data())
def test_a_column_of_the_prompt_that_a_layout_does_not_read_is_an_error_that_names_it(
    name: str, data: Any
) -> None:
    layout = LAYOUTS.find(name)
    column = data.draw(st.sampled_from(sorted(MEANING - layout.known)))
    row = {**ROWS[name], column: data.draw(st.text(min_size=1).filter(str.strip))}
    try:
        found = recognise([(1, row)], list(row), "f.jsonl")
    except OrchardError as error:
        assert column in str(error) and str(error).startswith("f.jsonl: its columns are those of ")
    else:
        assert column in found.columns  # together with it the columns are those of another layout


@layouts
@unhurried
@given(
    column=st.sampled_from(sorted(MEANING)), blank=st.sampled_from([None, "", " ", math.nan, []])
)
def test_a_column_that_says_nothing_changes_nothing(name: str, column: str, blank: object) -> None:
    layout = LAYOUTS.find(name)
    if column not in layout.columns:
        row = {**ROWS[name], column: blank}
        assert recognise([(1, row)], list(row), "f").name == name


@layouts
@unhurried
@given(
    more=st.dictionaries(
        st.sampled_from(["idx", "source", "dataset", "time"]), st.text(min_size=1).filter(str.strip)
    )
)
def test_all_other_columns_are_kept_as_metadata(name: str, more: dict[str, str]) -> None:
    kept = json.loads(only({**ROWS[name], **more})["metadata"] or "{}")
    assert {key: value for key, value in kept.items() if key in more} == more


@layouts
def test_an_id_of_the_pair_does_not_make_a_file_one_of_votes(name: str) -> None:
    for column in ({}, {"voter_id": "ann"}):
        row = {**ROWS[name], "pair_id": "7", **column}
        assert recognise([(1, row)], list(row), "f").name == name


def test_votes_by_id_are_told_by_what_they_hold_and_ambiguous_files_are_an_error() -> None:
    for value in ("p", "label", "margin", "score", "probability"):
        assert recognise([], ["pair_id", "voter_id", value], "f").name == "votes on pairs by id"
    said = [(1, {"pair_id": "1", "label": "A>B", "some judge": {"orig": "A>B", "swapped": "B>A"}})]
    assert recognise(said, list(said[0][1]), "f").name == "JudgeBench's verdicts"
    with pytest.raises(OrchardError, match="votes on pairs by id: remove the columns of one"):
        recognise([], ["pair_id", "first_id", "second_id", "p", "label"], "f")
    with pytest.raises(
        OrchardError, match=r"TRL, with a prompt, which does not read label, and that changes"
    ):
        row = {**ROWS["TRL, with a prompt"], "label": 0}
        recognise([(1, row)], list(row), "f")


def test_a_file_of_no_layout_is_told_what_the_nearest_lacks() -> None:
    columns = ["instruction", "output_1", "output_2"]
    with pytest.raises(
        OrchardError, match=r"; the nearest known layout, Alpaca pairs, lacks label$"
    ):
        recognise([], columns, "f")


def test_an_input_belongs_to_its_instruction() -> None:
    row = {**ROWS["Alpaca pairs"], "instruction": "Translate to French.", "input": "dog"}
    assert only(row)["messages"] == [{"role": "user", "content": "Translate to French.\n\ndog"}]
    for blank in ("", None, math.nan):
        assert only({**row, "input": blank})["messages"] == [
            {"role": "user", "content": "Translate to French."}
        ]
        assert only({**row, "instruction": blank})["messages"] == [
            {"role": "user", "content": "dog"}
        ]


def forms(number: int) -> list[Any]:
    return [number, float(number), str(number), f" {number}.0", Decimal(number)]


@pytest.mark.parametrize("label", forms(1) + forms(2) + forms(0))
def test_numbers_of_sides_mean_the_same_in_every_type_and_layout(label: Any) -> None:
    wanted = {1: 1.0, 2: 0.0, 0: 0.5}[int(float(label))]
    for name, column in (("LLMBar", "label"), ("Alpaca pairs", "label"), ("PandaLM", "annotator1")):
        assert better(only({**ROWS[name], column: label})) == wanted, name


@pytest.mark.parametrize("label", [3, 0.5, "1.5", True, "first?", [1], -1])
def test_any_other_number_of_a_side_is_a_reject(label: Any) -> None:
    for name, column in (("LLMBar", "label"), ("Alpaca pairs", "label"), ("PandaLM", "annotator1")):
        found = take(
            {**ROWS[name], "output_2": "Lamp.", "response2": "Lamp."}, {**ROWS[name], column: label}
        )
        assert found.pairs.height == 1 and [reject.row_id for reject in found.rejects] == [
            "f.jsonl row 2"
        ]


@pytest.mark.parametrize(
    ("label", "wanted"),
    [
        (1, 1),
        (1.0, 1),
        ("1.0", 1),
        (True, 1),
        ("true", 1),
        ("A", 1),
        (0, 0),
        ("false", 0),
        (False, 0),
        (0.5, 0.5),
    ],
)
def test_our_own_label_is_a_share_however_it_is_written(label: Any, wanted: float) -> None:
    assert better(only({**ROWS["our own columns"], "label": label})) == wanted


@pytest.mark.parametrize("preference", [1, 1.25, 1.5, 2, "1.5"])
def test_alpaca_evals_preference_runs_from_the_first_to_the_second(preference: Any) -> None:
    assert better(only({**ROWS["alpaca_eval"], "preference": preference})) == 2 - float(preference)
    found = take(ROWS["alpaca_eval"], {**ROWS["alpaca_eval"], "instruction": "q", "preference": 3})
    assert [reject.reason for reject in found.rejects] == ["preference is 3.0, outside [1, 2]"]


def votes_of(one: str, other: str) -> dict[str, float]:
    """p_first by the response that is shown first, of a judge's verdicts in both orders."""
    row = {**ROWS["our own columns"], "judge_id": "j", "verdict": one}
    swapped = {**row, "first": "Chair.", "second": "Apple.", "verdict": other, "label": None}
    found = take(row, swapped)
    ids = {
        pair[f"{side}_id"]: pair[side]
        for pair in found.pairs.to_dicts()
        for side in ("first", "second")
    }
    return {ids[vote["first_id"]]: vote["p_first"] for vote in found.votes.to_dicts()}


def test_a_graded_verdict_keeps_its_grade_in_order() -> None:
    grades = [votes_of(word, "A=B")["Apple."] for word in ("B>>A", "B>A", "A=B", "A>B", "A>>B")]
    assert grades == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert [votes_of(word, "tie")["Apple."] for word in ("second", "tie", "first", "[[A]]")] == [
        0,
        0.5,
        1,
        1,
    ]


@pytest.mark.parametrize(
    ("label", "grade"), [("A>B", 0.75), ("A>>B", 1.0), ("first", None), ("B>A", 0.25)]
)
def test_a_graded_label_says_which_side_and_its_metadata_how_much(
    label: str, grade: float | None
) -> None:
    pair = only({**ROWS["our own columns"], "label": label})
    assert better(pair) == float(label[0] in "Af")
    kept = json.loads(pair["metadata"] or "{}").get("grade")
    assert kept == (grade if grade is None or pair["first"] == "Apple." else 1 - grade)


@pytest.mark.parametrize("value", [math.nan, None])
def test_null_and_nan_are_nobodys_name(value: Any) -> None:
    row = {
        **ROWS["our own columns"],
        "judge_id": value,
        "p_first": value,
        "first_policy": value,
        "first_id": value,
    }
    pair = only(row)
    assert (pair["first_policy"], pair["first_name"], pair["metadata"]) == (None, None, None)
    assert take(row).votes.is_empty()


@pytest.mark.parametrize(
    "column", ["judge_id", "criterion", "first_policy", "first_id", "second_id"]
)
@pytest.mark.parametrize("value", [7.0, ["x"], {"x": 1}, True])
def test_what_is_no_id_is_a_reject(column: str, value: Any) -> None:
    good = {**ROWS["our own columns"], "prompt": "Name a nut."}
    row = {**ROWS["our own columns"], "judge_id": "j", "p_first": 0.9, column: value}
    (reject,) = take(good, row).rejects
    assert reject.row_id == "f.jsonl row 2" and reject.reason.startswith(column)


@pytest.mark.parametrize("value", [7, {"x": 1}, ["x"], [["x"]], b"x"])
@layouts
def test_what_is_no_text_is_a_reject_in_every_layout(name: str, value: Any) -> None:
    texts = [
        key for key, held in ROWS[name].items() if held in ("Name a fruit.", "Apple.", "Chair.")
    ]
    for column in texts:
        found = take(ROWS[name], {**ROWS[name], column: value})
        assert [reject.row_id for reject in found.rejects] == ["f.jsonl row 2"], column


def test_what_nobody_said_and_what_contradicts_itself_is_a_reject() -> None:
    good = ROWS["our own columns"]
    row = {**good, "first": "Pear."}
    found = take(
        good, {**row, "p_first": 0.9}, {**row, "judge_id": "j", "p_first": 0.9, "verdict": "B>A"}
    )
    assert [reject.reason for reject in found.rejects] == [
        "p_first without a judge_id: nobody said it",
        "its p_first and its verdict contradict each other",
    ]


def test_a_column_that_pandalms_annotators_are_named_by_is_kept_as_any_other() -> None:
    kept = take({**ROWS["PandaLM"], "judge_id": "gpt4"})
    assert set(kept.votes["judge_id"]) == {"annotator1"}
    assert json.loads(kept.pairs["metadata"][0]) == {"judge_id": "gpt4"}


def test_trls_shapes_say_the_same() -> None:
    system = {"role": "system", "content": "Be brief."}
    texts = {"chosen": "Apple.", "rejected": "Chair."}
    answers = {"chosen": [APPLE], "rejected": [CHAIR]}
    whole = {"chosen": [*TURNS, APPLE], "rejected": [*TURNS, CHAIR]}
    for prompt, sides in itertools.product(("Name a fruit.", TURNS), (texts, answers, whole)):
        assert only({"prompt": prompt, **sides})["messages"] == TURNS
    briefed = {side: [system, *turns] for side, turns in whole.items()}
    for row in (
        briefed,
        {"prompt": "Name a fruit.", **briefed},
        {"prompt": [system, *TURNS], **answers},
    ):
        assert only(row)["messages"] == [system, *TURNS]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"chosen": [TURNS[0], TURNS[0], APPLE]},
            "chosen and rejected differ before their last turn",
        ),
        ({"chosen": TURNS}, "chosen ends with a turn of the user, not of the assistant"),
        (
            {"chosen": "\n\nHuman: Name a fruit.\n\nAssistant: Apple."},
            "the row has no prompt: give it as prompt",
        ),
        ({"chosen": [APPLE], "rejected": [CHAIR]}, "the row has no prompt: give it as prompt"),
        ({"chosen": [*TURNS, CHAIR]}, "identical responses"),
        (
            {"chosen": [*TURNS, {"role": "assistant", "content": None}]},
            "turn 2 of chosen has no content",
        ),
    ],
)
def test_sides_without_one_prompt_are_rejects(changes: dict[str, Any], reason: str) -> None:
    good = ROWS["TRL, the prompt in both sides"]
    (reject,) = take(good, {**good, **changes}).rejects
    assert reject.reason.startswith(reason)


def test_sides_of_another_prompt_than_the_rows_are_rejects() -> None:
    good = ROWS["TRL, with a prompt"]
    (reject,) = take(good, {**good, "prompt": "Name a nut.", "chosen": [*TURNS, APPLE]}).rejects
    assert reject.reason == "chosen begins with other turns than the prompt's"


def test_a_pair_that_comes_twice_is_a_repeat_with_its_reason() -> None:
    found = take(
        ROWS["our own columns"],
        ROWS["our own columns"],
        {**ROWS["our own columns"], "first_policy": "m"},
    )
    assert [reject.reason for reject in found.rejects] == [
        f"the same labelled pair as f.jsonl row 1{REPEAT}"
    ]
    (pair,) = found.pairs.to_dicts()
    # what the third row adds is no repeat
    assert "m" in (pair["first_policy"], pair["second_policy"])


def test_a_row_of_several_judgements_that_cannot_be_read_is_one_rejected_row() -> None:
    bad = {**ROWS["PandaLM"], **dict.fromkeys(("annotator1", "annotator2", "annotator3"), 7)}
    rejects = take(ROWS["PandaLM"], bad).rejects
    assert [reject.reason for reject in rejects] == ["verdict 7 is none of 1, 2 and 0"] * 3
    assert rows_left_out((reject.row_id, reject.reason) for reject in rejects) == (1, 0)
    twice = take(*[ROWS["our own columns"]] * 3).rejects
    assert rows_left_out((reject.row_id, reject.reason) for reject in twice) == (0, 2)


@pytest.mark.parametrize("column", ["winner", "preference", "tie", "verdict", "label"])
def test_another_column_that_says_what_is_better_is_an_error(column: str) -> None:
    row = {"prompt": "Q?", "chosen": "good", "rejected": "bad", column: "rejected"}
    with pytest.raises(OrchardError, match=f"which does not read {column}, and that changes"):
        imported.read([(1, row)], list(row), "f.jsonl", Names())


@pytest.mark.parametrize("column", ["chat_history", "sys", "preamble", "article", "persona"])
def test_another_column_that_says_what_was_asked_is_an_error(column: str) -> None:
    row = {"prompt": "Q?", "chosen": "good", "rejected": "bad", column: "and this"}
    with pytest.raises(OrchardError, match=f"which does not read {column}, and that changes"):
        imported.read([(1, row)], list(row), "f.jsonl", Names())


@pytest.mark.parametrize("prompt", ["instruction", "input"])
@pytest.mark.parametrize("labels", [[0, 1], ["1", "0", "1"], [1.0, 0.0]])
def test_labels_of_0_and_1_may_be_sides_or_ties_and_are_an_error(
    prompt: str, labels: list[object]
) -> None:
    rows = [
        (number, {prompt: f"q{number}", "output_1": "a", "output_2": "b", "label": label})
        for number, label in enumerate(labels, 1)
    ]
    with pytest.raises(OrchardError, match="its label is 0 or 1 and never 2"):
        imported.read(rows, list(rows[0][1]), "f.jsonl", Names())
    more = [*rows, (9, {**rows[0][1], prompt: "q9", "label": 2})]
    found = imported.read(more, list(rows[0][1]), "f.jsonl", Names())
    assert found.ties == [str(label)[0] for label in labels].count("0")
