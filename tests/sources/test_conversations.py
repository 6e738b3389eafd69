"""Imported conversations: tools of a row, calls in its turns, and a prompt's beginning."""

import json
from typing import Any

import pytest

from pipeline.sources.layout import LAYOUTS
from tests.prompts.test_calls import OURS, TOOL, openai
from tests.sources.test_layouts import APPLE, CHAIR, ROWS, TURNS, only, take

TOOLS_TURN = OURS[0]
BEGUN = [*TURNS, {"role": "assistant", "content": "A fruit is"}]


@pytest.mark.parametrize("name", [name for name in ROWS if LAYOUTS.find(name).spread is None])
def test_the_tools_of_a_row_are_part_of_its_prompt(name: str) -> None:
    pair = only({**ROWS[name], "tools": json.dumps([TOOL])})
    assert pair["messages"] == [TOOLS_TURN, *TURNS]
    assert "tools" not in json.loads(pair["metadata"] or "{}")
    assert pair["prompt_id"] != only(ROWS[name])["prompt_id"]


def test_tools_that_are_none_reject_their_row() -> None:
    good = ROWS["TRL, with a prompt"]
    found = take({**good, "tools": None}, {**good, "prompt": "Name a nut.", "tools": "hammer"})
    assert [reject.reason for reject in found.rejects] == ["tools is no JSON"]
    assert found.pairs["messages"].to_list() == [TURNS]


def test_layouts_that_make_one_row_of_several_take_no_tools() -> None:
    several = {name for name, one in LAYOUTS.all().items() if one.spread is not None}
    assert several and all("tools" not in LAYOUTS.find(name).columns for name in several)


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": openai(), "chosen": "Warm.", "rejected": "Cold.", "tools": [TOOL]},
        {
            "tools": [TOOL],
            **{
                side: [*openai(), {"role": "assistant", "content": text}]
                for side, text in (("chosen", "Warm."), ("rejected", "Cold."))
            },
        },
        {"prompt": OURS, "first": "Warm.", "second": "Cold.", "label": 1},  # as our tables hold it
    ],
)
def test_calls_and_results_come_in_with_the_prompt(row: dict[str, Any]) -> None:
    assert only(row)["messages"] == OURS


def test_a_side_that_is_a_call_is_a_reject() -> None:
    call = {"role": "assistant", "tool_calls": [{"function": {"name": "weather"}}]}
    good = ROWS["TRL, the prompt in both sides"]
    (reject,) = take(good, {"chosen": [*TURNS, APPLE], "rejected": [*TURNS, call]}).rejects
    assert reject.reason == "rejected ends with a turn of the tool_calls, not of the assistant"


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": BEGUN, "chosen": " an apple. ", "rejected": " a chair."},
        {"prompt": BEGUN, "first": " an apple.", "second": " a chair.", "label": "first"},
    ],
)
def test_texts_go_on_with_the_beginning_that_the_prompt_ends_in(row: dict[str, Any]) -> None:
    pair = only(row)
    assert pair["messages"] == BEGUN
    assert {pair["first"], pair["second"]} == {" an apple.", " a chair."}


def test_answers_in_turns_do_not_go_on_with_a_beginning() -> None:
    good = ROWS["TRL, with a prompt"]
    (reject,) = take(good, {"prompt": BEGUN, "chosen": [APPLE], "rejected": [CHAIR]}).rejects
    assert reject.reason.startswith("prompt ends with the assistant: give what goes on")
    twice = {"chosen": [*BEGUN, APPLE], "rejected": [*BEGUN, CHAIR]}
    (reject,) = take(ROWS["TRL, the prompt in both sides"], twice).rejects
    assert reject.reason == "what both sides begin with ends with a turn of the assistant, " + (
        "not of the user"
    )
