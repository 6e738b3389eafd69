"""Columns under our names: what is renamed, what is left, and what cannot be meant."""

import json
from pathlib import Path

import pytest

from pipeline.errors import OrchardError
from pipeline.sources.mapped import parse
from pipeline.sources.opened import Asked, Opened, open_source
from tests.sources.made import write

ROWS = [
    {"question": "Name a nut.", "output": {"best": "Hazel.", "worst": "Lamp.", "by": "ann"}},
    {"question": "Name a fruit.", "output": {"best": "Apple.", "worst": "Chair."}, "more": 1},
]
NAMES = {"prompt": "question", "chosen": "output.best", "rejected": "output.worst"}


def mapped(folder: Path, names: dict[str, str], rows: list[dict[str, object]]) -> Opened:
    return open_source(write(folder / "a.jsonl", rows), Asked(names=names))


def test_columns_and_what_lies_in_objects_are_renamed_and_the_rest_stays(tmp_path: Path) -> None:
    source = mapped(tmp_path, NAMES, ROWS)
    assert [row for _, row in source.rows] == [
        {"prompt": "Name a nut.", "chosen": "Hazel.", "rejected": "Lamp.",
         "output": {"by": "ann"}},
        {"prompt": "Name a fruit.", "chosen": "Apple.", "rejected": "Chair.", "more": 1},
    ]  # fmt: skip
    assert source.columns == ["prompt", "chosen", "rejected", "output", "more"]


def test_what_a_row_lacks_is_absent_and_what_is_no_object_is_a_reject(tmp_path: Path) -> None:
    rows = [*ROWS, {"question": "q", "output": None}, {"question": "q"}, {"output": "Hazel."}]
    found = [row for _, row in mapped(tmp_path, NAMES, rows).rows][2:]
    nothing = {"prompt": "q", "chosen": None, "rejected": None}
    assert found[0] == {**nothing, "output": None} and found[1] == nothing
    assert found[2]["(broken line)"] == "output holds text, not an object with 'best'"
    assert json.loads(found[2]["line"]) == {"output": "Hazel."}


def test_two_columns_may_change_places_and_a_name_with_a_point_is_a_name(tmp_path: Path) -> None:
    rows = [{"chosen": "a", "rejected": "b", "x.y": {"z.z": "c"}}]
    names = {"chosen": "rejected", "rejected": "chosen", "prompt": "x.y.z.z"}
    assert [row for _, row in mapped(tmp_path, names, rows).rows] == [
        {"chosen": "b", "rejected": "a", "prompt": "c"}
    ]


def test_each_part_has_the_columns_that_it_has(tmp_path: Path) -> None:
    write(tmp_path / "set" / "a.jsonl", [{"question": "q", "best": "a"}])
    write(tmp_path / "set" / "b.jsonl", [{"question": "q"}])
    names = {"prompt": "question", "chosen": "best"}
    first, second = open_source(tmp_path / "set", Asked(names=names)).parts
    assert first.columns == ["prompt", "chosen"] and second.columns == ["prompt"]


HAS = "its columns are question, output, more, output.best, output.worst, output.by"


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ({"prompt": "ask"}, f"there is no column 'ask': {HAS}"),
        ({"prompt": "output.middle"}, f"there is no column 'output.middle': {HAS}"),
        ({"prompt": "question.text"}, f"there is no column 'question.text': {HAS}"),
        ({"more": "question"}, f"'more' is the name of another column already: {HAS}"),
        ({"output": "output.best"}, f"'output' is the name of another column already: {HAS}"),
        ({"prompt": "question", "first": "question"}, f"'question' is taken twice: {HAS}"),
        ({"first": "output", "second": "output.best"}, f"'output' is taken twice: {HAS}"),
    ],
)
def test_a_map_that_cannot_be_meant_names_the_columns_that_there_are(
    names: dict[str, str], says: str, tmp_path: Path
) -> None:
    with pytest.raises(OrchardError) as caught:
        mapped(tmp_path, names, ROWS)
    assert str(caught.value) == f"{tmp_path}/a.jsonl: map: {says}"


def test_many_columns_are_cut_in_the_message(tmp_path: Path) -> None:
    with pytest.raises(OrchardError, match=r"c39 and 60 more$"):
        mapped(tmp_path, {"prompt": "x"}, [{f"c{n}": 1 for n in range(100)}])


def test_a_map_is_written_as_names_with_commas_between() -> None:
    assert parse(["prompt=question, chosen=output.best", "rejected=a=b"]) == {
        "prompt": "question",
        "chosen": "output.best",
        "rejected": "a=b",
    }
    for wrong in ("prompt", "=a", "a=", "a=b,", ""):
        with pytest.raises(OrchardError, match="names no two columns: write ours=theirs"):
            parse([wrong])
    with pytest.raises(OrchardError, match="'a' stands twice, for 'b' and 'c': leave one out"):
        parse(["a=b", "a=c"])
