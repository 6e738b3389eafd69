"""What tools make of the usual files on their way: labels in other types, turns in other shapes,
tokens at the end of texts, lost rows. Each means the same, or is a reject with its reason.
"""

import json
import re
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipeline.errors import OrchardError
from pipeline.prompts.files import read
from pipeline.sources import imported
from pipeline.sources.answers import ranks_of
from pipeline.sources.dialogue import read_dialogue
from pipeline.sources.imported import Imported
from pipeline.sources.names import Names
from pipeline.sources.texts import ENDS

FOLDER = Path(__file__).parent / "data" / "layouts"
FILES = sorted(path.stem for path in FOLDER.glob("*.jsonl"))
files = pytest.mark.parametrize("name", FILES)
unhurried = settings(deadline=None, max_examples=40)
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.lists(st.one_of(st.none(), st.integers(), st.text(max_size=3)), max_size=3),
    st.dictionaries(st.text(max_size=8), st.one_of(st.none(), st.integers()), max_size=2),
)


def rows_of(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / f"{name}.jsonl").read_text().splitlines()]


def take(rows: list[dict[str, Any]]) -> Imported:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return imported.read(enumerate(rows, start=1), columns, "f", Names())


def said(found: Imported) -> tuple[list[Any], ...]:
    """All that a file gave but metadata, which keeps cells as they came."""
    frames = (found.pairs.drop("metadata"), found.responses.drop("metadata"), found.votes)
    return tuple(frame.rows() for frame in frames)


def floats(value: Any) -> Any:
    """What pandas makes of whole numbers in a column that lacks one."""
    if isinstance(value, dict):
        return {key: floats(one) for key, one in value.items()}
    if isinstance(value, list):
        return [floats(one) for one in value]
    return float(value) if type(value) is int else value


def parts(value: Any) -> Any:
    """Turns whose contents are lists of parts."""
    if isinstance(value, list):
        return [parts(one) for one in value]
    if isinstance(value, dict) and isinstance(value.get("content"), str):
        content = value["content"]
        cut = len(content) // 2
        texts = [{"type": "text", "text": text} for text in (content[:cut], content[cut:])]
        return {**value, "content": texts}
    return value


@files
def test_integers_that_became_floats_say_the_same(name: str) -> None:
    rows = rows_of(name)
    assert said(take(floats(rows))) == said(take(rows))


@files
def test_contents_in_parts_say_the_same(name: str) -> None:
    rows = rows_of(name)
    in_parts = [{key: parts(value) for key, value in row.items()} for row in rows]
    if name not in ("arena_55k",):
        assert said(take(in_parts)) == said(take(rows))


@files
@pytest.mark.parametrize("token", ENDS)
def test_a_side_that_ends_with_an_end_of_turn_token_is_the_same_side(name: str, token: str) -> None:
    """In both sides, and in one alone, which could then be told by it."""
    text = (FOLDER / f"{name}.jsonl").read_text()
    plain = said(take(rows_of(name)))
    for words in ("Apple|Chair|Walnut|Spoon", "Apple|Walnut"):
        ended = re.sub(rf'({words})\.(\\*")', rf"\1.{token}\2", text)
        assert ended != text
        assert said(take([json.loads(line) for line in ended.splitlines()])) == plain


@files
@unhurried
@given(data=st.data())
def test_whatever_a_cell_holds_rows_are_those_that_gave_something_and_rejects(
    name: str, data: Any
) -> None:
    rows = rows_of(name)
    row = dict(data.draw(st.sampled_from(rows)))
    row[data.draw(st.sampled_from(sorted(row)))] = data.draw(JUNK)
    try:
        found = take([*rows, row])
    except OrchardError as error:  # it changed what the file is
        assert "columns" in str(error)
        return
    assert found.rows == len(rows) + 1 == found.gave + found.rejected + found.repeats
    assert min(found.gave, found.rejected, found.repeats) >= 0
    numbers = {str(one.row_id) for one in found.rejects}
    # a row that gave nothing says why
    assert len(numbers) >= found.rejected + found.repeats


@pytest.mark.parametrize(
    "write", [int, float, str, lambda n: f"{n}.0", Decimal, "response_{}".format]
)
def test_the_id_of_the_better_response_is_the_same_in_every_type(write: Any) -> None:
    rows = rows_of("pku")[:2]
    ids = ("better_response_id", "safer_response_id")
    other = [{**row, **{name: write(row[name]) for name in ids}} for row in rows]
    assert said(take(other)) == said(take(rows))


@pytest.mark.parametrize("bad", [2, -1, 0.5, True, "both", [0], {"id": 0}])
def test_another_id_is_a_reject_and_no_side(bad: Any) -> None:
    rows = rows_of("pku")[:2]
    found = take([*rows, {**rows[0], "better_response_id": bad, "prompt": "Name a bird."}])
    assert (found.gave, found.rejected) == (2, 1)
    assert "better_response_id" in found.rejects[0].reason


@pytest.mark.parametrize(
    ("up", "down"), [(True, False), (1, 0), (1.0, 0.0), ("1", "0"), ("True", "False"),
                     ("desirable", "undesirable")]
)  # fmt: skip
def test_a_thumb_is_the_same_in_every_type(up: Any, down: Any) -> None:
    rows = rows_of("thumbs")[:3]
    other = [{**row, "label": up if row["label"] else down} for row in rows]
    assert said(take(other)) == said(take(rows))


@pytest.mark.parametrize("write", [bool, float, str, lambda flag: f"{flag}.0"])
def test_who_won_is_the_same_in_every_type(write: Any) -> None:
    rows = rows_of("arena_55k")
    names = ("winner_model_a", "winner_model_b", "winner_tie")
    other = [{**row, **{name: write(row[name]) for name in names}} for row in rows]
    assert said(take(other)) == said(take(rows))


def test_turns_of_the_arena_may_be_lists_or_json() -> None:
    rows = rows_of("arena_55k")
    names = ("prompt", "response_a", "response_b")
    lists = [{**row, **{name: json.loads(row[name]) for name in names}} for row in rows]
    assert said(take(lists)) == said(take(rows))
    whole = rows_of("arena_conversations")
    sides = ("conversation_a", "conversation_b")
    written = [{**row, **{name: json.dumps(row[name]) for name in sides}} for row in whole]
    assert said(take(written)) == said(take(whole))


def test_a_class_label_means_its_name(tmp_path: Path) -> None:
    """As `datasets` writes it into Parquet: the file holds an index."""
    rows = [
        {**row, "better_response_id": 1 - row["better_response_id"]} for row in rows_of("pku")[:2]
    ]
    feature = {"names": ["response_1", "response_0"], "_type": "ClassLabel"}
    features = {"info": {"features": {"better_response_id": feature}}}
    table = pa.Table.from_pylist(rows).replace_schema_metadata(
        {"huggingface": json.dumps(features)}
    )
    pq.write_table(table, tmp_path / "f.parquet")
    found = imported.read(*read(tmp_path / "f.parquet"), "f", Names())
    assert said(found) == said(take(rows_of("pku")[:2]))


TURNS = ["trl_turns", "skywork", "ultrafeedback_binarized", "tulu3", "argilla_dpo", "helpsteer3",
         "arena_conversations"]  # fmt: skip


@pytest.mark.parametrize("name", TURNS)
def test_no_content_beside_tool_calls_is_a_reject_that_names_them(name: str) -> None:
    rows = rows_of(name)
    before = take(rows)
    call = {"role": "assistant", "content": None, "tool_calls": [{"name": "search"}]}
    column = next(key for key, value in rows[0].items() if isinstance(value, list))
    found = take([*rows, {**rows[0], column: [*rows[0][column][:-1], call]}])
    assert said(found) == said(before)
    (reason,) = [one.reason for one in found.rejects if one.row_id == f"f row {len(rows) + 1}"]
    assert "tool_calls" in reason


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("trl_turns", "rejected"),
        ("hh", "rejected"),
        ("tulu3", "rejected"),
        ("ultrafeedback_binarized", "rejected"),
        ("argilla_cleaned", "rejected"),
        ("arena_conversations", "conversation_b"),
    ],
)
def test_one_lost_row_makes_no_pair_of_two_prompts(name: str, side: str) -> None:
    """The sides of a row belong to different prompts once one column has lost a row."""
    good = rows_of(name)[0]
    asked = "Name a fruit."
    rows = [json.loads(json.dumps(good).replace(asked, f"Name fruit {n}.")) for n in range(4)]
    shifted = [{**row, side: other[side]} for row, other in zip(rows[:-1], rows[1:], strict=True)]
    found = take([good, *shifted])
    assert (found.gave, found.rejected) == (1, 3)
    assert all("differ" in one.reason or "begins with other" in one.reason for one in found.rejects)


@given(lost=st.sets(st.integers(0, 5), max_size=5))
@unhurried
def test_rows_of_two_a_prompt_meet_by_prompt_whatever_is_lost(lost: set[int]) -> None:
    rows = [row for number, row in enumerate(rows_of("helpsteer")) if number not in lost]
    asked = {row["response"]: row["prompt"].rsplit("\n")[-1] for row in rows}
    try:
        found = take(rows)
    except OrchardError as error:
        assert "no row could be used" in str(error)
        return
    for pair in found.pairs.to_dicts():
        question = pair["messages"][-1]["content"]
        assert asked[pair["first"]] == asked[pair["second"]] == question


WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(
    lambda text: text.strip() and not re.search("Human:|Assistant:", text)
)


@unhurried
@given(st.lists(WORDS, min_size=2, max_size=6))
def test_a_dialogue_is_its_turns(texts: list[str]) -> None:
    roles = ("Human", "Assistant")
    written = "".join(f"\n\n{roles[n % 2]}: {text}" for n, text in enumerate(texts))
    found = read_dialogue(written, "chosen")
    assert [turn["content"] for turn in found] == [text.strip() for text in texts]
    assert [turn["role"] for turn in found] == [
        ("user", "assistant")[n % 2] for n in range(len(texts))
    ]


@given(st.lists(st.one_of(st.none(), st.integers(0, 4).map(float)), max_size=7))
def test_ranks_go_by_scores_and_equal_scores_tie(scores: list[float | None]) -> None:
    ranks = ranks_of(scores)
    for one, rank in zip(scores, ranks, strict=True):
        assert (one is None) == (rank is None)
        for other, behind in zip(scores, ranks, strict=True):
            if one is not None and other is not None:
                assert (one > other) == (rank < behind) and (one == other) == (rank == behind)


@unhurried
@given(st.permutations(range(4)), st.permutations(range(4)))
def test_the_order_of_a_list_and_of_its_rows_changes_nothing(order: Any, answers: Any) -> None:
    row = rows_of("nectar")[0]
    moved = {**row, "answers": [row["answers"][n] for n in answers]}
    rows = [moved, *rows_of("nectar")[1:]]
    assume(order)
    one, other = take(rows_of("nectar")), take(rows)
    for what in ("pairs", "responses"):
        key = "pair_id" if what == "pairs" else "response_id"
        assert getattr(one, what).sort(key).equals(getattr(other, what).sort(key))


def test_equal_texts_of_one_list_are_one_response_or_none() -> None:
    row = rows_of("nectar")[0]
    again = [*row["answers"], {"answer": "Pear-like.", "model": "m5", "rank": 2},
             {"answer": "Chair.", "model": "m6", "rank": 1}]  # fmt: skip
    found = take([{**row, "answers": again}])
    assert sorted(found.responses["text"]) == ["A kind of pear.", "Apple.", "Pear-like."]
    reasons = [one.reason for one in found.rejects]
    assert sum("the same text as another response" in reason for reason in reasons) == 1
    assert sum("with different ranks" in reason for reason in reasons) == 2


def test_a_pair_that_several_people_labelled_has_the_mean_of_their_labels() -> None:
    row = rows_of("alpaca_eval")[0]
    found = take([row, {**row, "annotator": "ann", "preference": 1.0}, row])
    (pair,) = found.pairs.to_dicts()
    assert pair["label"] == 0.5 and found.votes.height == 4
    assert (found.gave, found.repeats, found.rejected) == (2, 1, 0)
    same = take([row, {**row, "preference": 1.0}])
    assert "its label contradicts" in same.rejects[0].reason


def test_a_row_of_floats_from_parquet_says_the_same(tmp_path: Path) -> None:
    rows = rows_of("helpsteer")[:4]
    pl.DataFrame(rows).write_parquet(tmp_path / "f.parquet")
    found = imported.read(*read(tmp_path / "f.parquet"), "f", Names())
    assert said(found) == said(take(rows))


def test_a_prompt_may_be_the_first_turn_of_longer_sides() -> None:
    before = [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello."}]
    turns = [*before, {"role": "user", "content": "Name a fruit."}]
    sides = {
        name: [*turns, {"role": "assistant", "content": text}]
        for name, text in (("chosen", "Apple."), ("rejected", "Chair."))
    }
    for prompt in ("Hi.", "Name a fruit.", turns):
        (pair,) = take([{"prompt": prompt, **sides}]).pairs.to_dicts()
        assert pair["messages"] == turns
    bad = {"prompt": "Hello.", **sides}
    assert "begins with other turns" in take([{"prompt": "Hi.", **sides}, bad]).rejects[0].reason


def test_long_runs_of_blanks_cost_no_time() -> None:
    blanks = " " * 1_000_000
    start = time.perf_counter()
    found = take([{"prompt": "q", "chosen": f"a{blanks}b</s>{blanks}</s>", "rejected": "c"}])
    assert f"a{blanks}b" in (found.pairs["first"][0], found.pairs["second"][0])
    assert time.perf_counter() - start < 5


ANNOTATED = {"fields": {"prompt": "q", "response_a": "Apple.", "response_b": "Chair."}}


@pytest.mark.parametrize(
    ("values", "p"),
    [
        ({"preference": {"value": "response_a"}}, 1),
        ({"preference": "B"}, 0),
        ({"best": {"value": "tie"}}, 0.5),
        ({"best": [{"value": "response_b", "rank": 1}, {"value": "response_a", "rank": 2}]}, 0),
        ({"overall": "a", "tone": "b"}, 1),
        ({"tone": "b", "facts": "a"}, None),
    ],
)
def test_an_annotator_of_a_record_names_a_side_in_any_of_argillas_ways(
    values: dict[str, Any], p: float | None
) -> None:
    found = take([{**ANNOTATED, "responses": [{"user_id": "ann", "values": values}]}])
    (pair,) = found.pairs.to_dicts()
    label = pair["label"]
    assert (label if label is None or pair["first"] == "Apple." else 1 - label) == p
    assert set(found.votes["criterion"]) == set(values)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"responses": [{"values": {"best": "c"}}]}, "no annotator names one of"),
        (
            {"responses": [{"values": {"best": "a"}}, {"values": {"best": "c"}}]},
            "best: 'c' is none of response_a, response_b and tie",
        ),
        ({"fields": {**ANNOTATED["fields"], "system": "Be brief."}}, "fields has 2 prompts"),
        ({"fields": {**ANNOTATED["fields"], "note": "x"}}, "fields has note, which is not read"),
        ({"responses": "ann"}, "responses is no list"),
    ],
)
def test_a_record_that_says_something_else_is_a_reject(
    changes: dict[str, Any], reason: str
) -> None:
    good = {**ANNOTATED, "responses": [{"user_id": "ann", "values": {"best": "a"}}]}
    (reject,) = take([good, {**good, **changes}]).rejects
    assert reject.reason.startswith(reason)
