"""Chat turns in files: text is read, and what no text says is refused; pools of conversations."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from pipeline.cells import BadRow
from pipeline.config import ExampleSettings, PoolSettings, Settings
from pipeline.errors import OrchardError
from pipeline.prompts import load_pools
from pipeline.prompts.turns import ROLES, read_prompt, read_turns

unhurried = limits(deadline=None, max_examples=60)  # machines that are busy take their time
said = st.text(min_size=1).filter(str.strip)
SPEAKERS = [role for role, ours in ROLES.items() if ours in ("system", "user", "assistant")]
ASKED = {"role": "user", "content": "How warm is it?"}


@unhurried
@given(st.lists(st.tuples(st.sampled_from(SPEAKERS), said), min_size=1), st.booleans())
def test_turns_of_text_are_read_and_only_stripped(
    turns: list[tuple[str, str]], sharegpt: bool
) -> None:
    keys = ("from", "value") if sharegpt else ("role", "content")
    given_ = [dict(zip(keys, turn, strict=True)) for turn in turns]
    assert read_turns(given_, "prompt") == [
        {"role": ROLES[role], "content": text.strip()} for role, text in turns
    ]


@unhurried
@given(st.lists(said, min_size=1))
def test_a_content_in_parts_is_the_same_turn_as_the_text_in_one(parts: list[str]) -> None:
    listed = [{"type": "text", "text": part} for part in parts]
    turn = {"role": "user", "content": "".join(parts)}
    assert read_turns([{"role": "user", "content": listed}], "p") == read_turns([turn], "p")


@unhurried
@given(st.text().filter(lambda role: role.lower() not in ROLES))
def test_any_other_role_is_refused(role: str) -> None:
    with pytest.raises(BadRow, match="^turn 1 of prompt has the role"):
        read_turns([{"role": role, "content": "x"}], "prompt")


@pytest.mark.parametrize(
    ("turn", "reason"),
    [
        ({"role": "user", "content": None}, "turn 1 of p has no content"),
        ({"role": "user", "content": float("nan")}, "turn 1 of p has no content"),
        ({"role": "user", "content": " "}, "turn 1 of p has no content"),
        ({"role": "user", "content": []}, "turn 1 of p has no content"),
        ({"role": "user", "content": 7}, "the content of turn 1 of p holds a number, not text"),
        (
            {"role": "user", "content": {"text": "x"}},
            "the content of turn 1 of p holds a struct, not text",
        ),
        (
            {"role": None, "content": "x"},
            f"turn 1 of p has the role 'None': only {', '.join(ROLES)} are read",
        ),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]},
            "turn 1 of p has a part of type 'image_url': only text parts are read",
        ),
        (
            {"role": "user", "content": [{"type": "text", "text": None}]},
            "turn 1 of p has a part of type 'text': only text parts are read",
        ),
        (
            {"role": "user", "content": ["x"]},
            "turn 1 of p has a part of type 'str': only text parts are read",
        ),
        (
            {"role": "user", "content": "x", "tool_calls": [{"function": {"name": "weather"}}]},
            "turn 1 of p has tool_calls, which only an assistant makes",
        ),
        (
            {"role": "assistant", "tool_calls": [{"function": {"name": None}}]},
            "call 1 of turn 1 of p has no name of a tool",
        ),
        (
            {"role": "function_call", "content": "weather()"},
            "turn 1 of p is no JSON",
        ),
        (
            {"role": "assistant", "function_call": {"name": "weather", "arguments": "[1]"}},
            "the arguments of call 1 of turn 1 of p are a list, not an object",
        ),
        ({"role": "tool", "content": "21 C"}, "turn 1 of p is the result of no call"),
        ({"role": "tool", "content": None}, "turn 1 of p has no content"),
        ({"role": "tools", "content": "[1]"}, "tool 1 of turn 1 of p is no function with a name"),
        (
            {"role": "human", "value": "x"},
            "p is neither a text nor a list of turns with role and content",
        ),
        (
            {"role": "assistant", "content": "x", "reasoning_content": "y"},
            "turn 1 of p has reasoning_content: only turns of text are read",
        ),
        ("x", "p is neither a text nor a list of turns with role and content"),
    ],
)
def test_what_no_text_says_is_refused_with_its_turn_and_reason(turn: Any, reason: str) -> None:
    with pytest.raises(BadRow) as caught:
        read_turns([turn], "p")
    assert str(caught.value) == reason


def test_empty_lists_of_tool_calls_say_nothing() -> None:
    """Parquet gives every turn all fields, most of them null."""
    turn = {**ASKED, "tool_calls": None, "images": [], "name": None}
    assert read_prompt([turn], "prompt") == [ASKED]


def test_a_prompt_ends_with_a_turn_of_the_user() -> None:
    assert (
        read_prompt(" ", "prompt")
        is read_prompt(None, "prompt")
        is read_prompt([], "prompt")
        is None
    )
    assert read_prompt(" q ", "prompt") == [{"role": "user", "content": "q"}]
    with pytest.raises(BadRow, match="^prompt ends with a turn of the assistant, not of the user$"):
        read_prompt([ASKED, {"role": "assistant", "content": "21 C"}], "prompt")


def load(tmp_path: Path, *questions: Any, **pool: Any) -> tuple[pl.DataFrame, pl.DataFrame]:
    path = tmp_path / "talks.jsonl"
    path.write_text("\n".join(json.dumps({"question": one, "answer": "4"}) for one in questions))
    settings = PoolSettings(name="talks", source="file", path=str(path), **pool)
    return load_pools(Settings(profile="test", pools=(settings,)))


def test_a_pool_holds_conversations_that_end_with_a_users_turn(tmp_path: Path) -> None:
    system = {"role": "system", "content": "Be brief."}
    sums = [{"role": "user", "content": "2 + 2"}]
    talk = [
        system,
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi"},
        *sums,
    ]
    unasked = [system, {"role": "assistant", "content": "Hi"}]
    prompts, rejects = load(
        tmp_path,
        [system, *sums],
        sums,
        "2 + 2",
        talk,
        unasked,
        [{"role": "narrator", "content": "x"}],
    )
    assert prompts["messages"].to_list() == [[system, *sums], sums, talk]
    assert rejects["reason"].to_list() == [
        "talks.jsonl row 3: duplicate of talks.jsonl row 2",  # a text is a conversation of one turn
        "talks.jsonl row 5: the prompt has no turn of the user",
        "talks.jsonl row 6: turn 1 of column 'question' has the role 'narrator': "
        f"only {', '.join(ROLES)} are read",
    ]


def test_the_pools_template_and_examples_shape_the_last_turn(tmp_path: Path) -> None:
    example = ExampleSettings(question="1 + 1", answer="2")
    system = {"role": "system", "content": "Be brief."}
    talk = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]
    last = {"role": "user", "content": "2 + 2"}
    given_ = {"template": "Q: {question}", "examples": (example,), "system": "Be kind."}
    prompts, rejects = load(tmp_path, [*talk, last], [system, last], **given_)
    (turns,) = prompts["messages"].to_list()
    assert [turn["content"] for turn in turns] == [
        "Be kind.",
        "Q: 1 + 1",
        "2",
        "Hello",
        "Hi",
        "Q: 2 + 2",
    ]
    assert rejects["reason"].to_list() == [
        "talks.jsonl row 2: the row has a system turn, and the pool sets one too"
    ]


def test_a_bad_template_is_found_before_a_row_is_read(tmp_path: Path) -> None:
    with pytest.raises(OrchardError, match="^pool 'talks': template: unknown field 'foo'"):
        load(tmp_path, "q", template="{foo}")


BEGUN = [ASKED, {"role": "assistant", "content": "It is "}]


@pytest.mark.parametrize(
    ("setting", "turns"),
    [
        ({}, [ASKED, {"role": "assistant", "content": "It is"}]),
        ({"last_answer": "drop"}, [ASKED]),
        ({"last_answer": "reject"}, None),
    ],
)
def test_a_pool_says_what_an_assistants_turn_at_the_end_is(
    setting: dict[str, Any], turns: list[dict[str, str]] | None, tmp_path: Path
) -> None:
    prompts, rejects = load(tmp_path, BEGUN, "2 + 2", **setting)
    assert prompts["messages"].to_list()[:-1] == ([turns] if turns else [])
    reason = "ends with a turn of the assistant, not of the user"
    assert rejects["reason"].str.contains(reason).to_list() == ([] if turns else [True])


def test_a_text_beside_a_column_of_tools_is_the_prompt_that_it_always_was(tmp_path: Path) -> None:
    """Ids of prompts that earlier versions read must not move."""
    path = tmp_path / "crafts.jsonl"
    path.write_text(json.dumps({"question": "2 + 2", "answer": "4", "tools": "hammer"}))
    pool = PoolSettings(name="crafts", source="file", path=str(path))
    prompts, _ = load_pools(Settings(profile="test", pools=(pool,)))
    assert prompts["messages"].to_list() == [[{"role": "user", "content": "2 + 2"}]]
    assert prompts["prompt_id"].to_list() == ["cde7048682e032ead52a"]
    named = pool.model_copy(update={"tools_column": "tools"})
    assert named.model_fields_set >= {"tools_column"}
    with pytest.raises(OrchardError, match="none of its 1 rows can be used; .* tools is no JSON"):
        load_pools(Settings(profile="test", pools=(named,)))
