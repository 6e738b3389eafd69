"""Each kind of source gives its rows, numbered, with their parts, and is known by its content."""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import datasets
import polars as pl
import pytest

from pipeline.errors import OrchardError
from pipeline.sources import library
from pipeline.sources.opened import Asked, Opened, open_source
from pipeline.sources.parts import Part, check_one_layout, read_parts
from tests.sources.made import fake_hub, pairs, write

PAIRS = pairs("nut", "fruit", "colour")


def numbers(source: Opened) -> list[str]:
    return [f"{number}" for number, _ in source.rows]


def refused(source: str | Path, asked: Asked | None = None) -> str:
    with pytest.raises(OrchardError) as caught:
        open_source(source, asked)
    assert "\n" not in str(caught.value)
    return str(caught.value)


KINDS = ["jsonl", "ndjson", "json", "csv"]


@pytest.mark.parametrize(
    "ending", [*KINDS, "parquet", *(f"{kind}.{pack}" for kind in KINDS for pack in ("gz", "zst"))]
)
def test_a_file_of_every_kind_gives_the_same_rows(ending: str, tmp_path: Path) -> None:
    source = open_source(write(tmp_path / f"a.{ending}", PAIRS))
    assert (source.name, source.path) == (f"a.{ending}", str(tmp_path / f"a.{ending}"))
    assert source.columns == ["prompt", "first", "second", "label"]
    texts = [row | {"label": float(row["label"])} for _, row in source.rows]
    assert texts == PAIRS and numbers(source) == ["1", "2", "3"]
    assert open_source(tmp_path / f"a.{ending}", Asked(limit=2)).rows == source.rows[:2]


@pytest.mark.parametrize("name", ["a[1].parquet", "*.parquet", "a=b.csv", "ä \n.jsonl", "?.json"])
def test_a_name_is_a_name_and_no_pattern(name: str, tmp_path: Path) -> None:
    write(tmp_path / "other.parquet", pairs("tree"))
    assert [row["prompt"] for _, row in open_source(write(tmp_path / name, PAIRS)).rows] == [
        row["prompt"] for row in PAIRS
    ]


def test_a_folder_is_read_with_those_inside_and_what_holds_no_rows_is_named(tmp_path: Path) -> None:
    write(tmp_path / "set" / "b.parquet", PAIRS[:1])
    write(tmp_path / "set" / "a" / "x.jsonl.zst", PAIRS[1:])
    (tmp_path / "set" / "README.md").write_text("# a card")
    (tmp_path / "set" / "dataset_infos.json").write_text("{}")
    write(tmp_path / "set" / ".cache" / "c.jsonl", PAIRS)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "set" / "link").symlink_to(tmp_path / "elsewhere")
    source = open_source(tmp_path / "set")
    assert (source.name, source.path) == ("set", str(tmp_path / "set"))
    assert [part.name for part in source.parts] == ["a/x.jsonl.zst", "b.parquet"]
    assert numbers(source) == ["1 of a/x.jsonl.zst", "2 of a/x.jsonl.zst", "1 of b.parquet"]
    assert [int(number) for number, _ in source.rows] == [1, 2, 3]  # of the whole source
    assert source.left_out == ("README.md", "dataset_infos.json", "link")
    limited = open_source(tmp_path / "set", Asked(limit=2))
    assert [part.name for part in limited.parts] == ["a/x.jsonl.zst"]


def test_a_saved_data_set_gives_its_rows_and_names_of_labels(tmp_path: Path) -> None:
    label = datasets.ClassLabel(names=["second", "first"])
    data = datasets.Dataset.from_list([{**row, "label": 1} for row in PAIRS])
    data.cast_column("label", label).save_to_disk(str(tmp_path / "one"))
    source = open_source(tmp_path / "one")
    assert [row["label"] for _, row in source.rows] == ["first"] * 3
    assert numbers(source) == ["1", "2", "3"] and source.name == "one"
    assert "has no split 'test': use one of train" in refused(
        tmp_path / "one", Asked(splits=("test",))
    )
    assert "has no configurations: leave out main" in refused(
        tmp_path / "one", Asked(configs=("main",))
    )


def test_a_saved_dict_has_a_part_for_each_split(tmp_path: Path) -> None:
    splits = {"train": PAIRS[:2], "test": PAIRS[2:]}
    data = {name: datasets.Dataset.from_list(rows) for name, rows in splits.items()}
    datasets.DatasetDict(data).save_to_disk(str(tmp_path / "both"))
    source = open_source(tmp_path / "both")
    assert numbers(source) == ["1 of train", "2 of train", "1 of test"]
    test = open_source(tmp_path / "both", Asked(splits=("test",)))
    assert numbers(test) == ["1 of test"] and test.path == f"{tmp_path / 'both'} split=test"
    assert test.content != source.content
    # as the library's other calls leave it: with files of a cache, and saved again
    (tmp_path / "both" / "train" / "cache-1.arrow").write_bytes(b"x")
    assert open_source(tmp_path / "both").content == source.content
    datasets.DatasetDict(data).save_to_disk(str(tmp_path / "copy"))
    assert open_source(tmp_path / "copy").content == source.content
    (tmp_path / "copy" / "test" / "data-00000-of-00001.arrow").write_bytes(b"x")
    assert "cannot be read: " in refused(tmp_path / "copy")


def test_an_id_of_the_hub_gives_all_splits_or_those_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_hub(tmp_path / "hub", monkeypatch, "main", "more")
    one = open_source("hf:org/set", Asked(configs=("main",)))
    assert (one.name, one.path) == ("set", "hf:org/set config=main")
    assert numbers(one) == ["1 of train", "2 of train", "3 of train", "1 of test", "2 of test"]
    assert one.rows[0][1] == pairs("main-nut")[0]
    both = Asked(("main", "more"), ("train",))
    assert [part.name for part in open_source("hf:org/set", both).parts] == [
        "main/train",
        "more/train",
    ]
    assert "Please pick one among the available configs: ['main', 'more']" in refused("hf:org/set")
    assert "BuilderConfig 'x' not found" in refused("hf:org/set", Asked(configs=("x",)))
    lacks = Asked(("main",), ("validation",))
    assert refused("hf:org/set", lacks) == (
        "hf:org/set main has no split 'validation': use one of train, test"
    )


def test_with_a_limit_an_id_is_streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_hub(tmp_path / "hub", monkeypatch, "main", "more")
    (tmp_path / "hub" / "more" / "train.parquet").write_bytes(b"never read")
    asked = Asked(("main", "more"), limit=5)
    assert numbers(open_source("hf:org/set", asked))[-1] == "2 of main/test"
    assert not list((tmp_path / "cache").rglob("*.arrow"))  # nothing was kept


def test_no_row_behind_the_limit_is_asked_for() -> None:
    def rows() -> Iterator[dict[str, int]]:
        yield from ({"n": n} for n in range(4))
        raise ValueError("it read on")

    stream = datasets.IterableDataset.from_generator(rows)

    def found() -> Iterator[tuple[str, object]]:
        yield "train", lambda limit: library._rows(stream, "hf:x", limit)
        raise AssertionError("it opened the next part")

    (part,) = read_parts(found(), 4)  # type: ignore[arg-type]
    assert [row["n"] for _, row in part.rows] == [0, 1, 2, 3]
    with pytest.raises(OrchardError, match="it read on"):
        read_parts(found(), 5)


@pytest.mark.parametrize("name", ["", "a b", "../a", "a/b/c", "a;b"])
def test_what_is_no_id_is_one_line(name: str) -> None:
    assert "no id of a data set: write it as hf:ORGANISATION/NAME" in refused(f"hf:{name}")


def test_a_folder_of_the_name_of_an_id_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "org" / "set" / "a.jsonl", PAIRS)
    assert f"{tmp_path}/org/set lies here: " in refused("hf:org/set")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HF_HUB_OFFLINE", "1"),
        # The library tries five times, over 23 seconds.
        pytest.param("HF_ENDPOINT", "http://127.0.0.1:9", marks=pytest.mark.long),
    ],
)
def test_a_hub_that_cannot_be_reached_is_one_line(
    variable: str, value: str, tmp_path: Path
) -> None:
    home = {"ORCHARD_HOME": str(tmp_path / "home"), "HF_HOME": str(tmp_path / "hf")}
    done = subprocess.run(
        [sys.executable, "-m", "assets.cli.main", "import", "hf:org/set"],
        env={**os.environ, **home, variable: value},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("orchard: hf:org/set cannot be read: Couldn't reach 'org/set'")
    assert done.stderr.count("\n") == 1 and "HF_ENDPOINT" in done.stderr
    assert not (tmp_path / "home").exists()


def test_a_source_that_is_not_there_or_has_no_rows_is_one_line(tmp_path: Path) -> None:
    gone = refused(tmp_path / "gone")
    assert gone.startswith(f"no file {tmp_path}/gone ") and "hf:ID" in gone
    (tmp_path / "empty").mkdir()
    assert "has no data files: needed are names that end in .jsonl" in refused(tmp_path / "empty")
    (tmp_path / "empty" / "a.xlsx").write_text("x")
    assert "has no data files but a.xlsx: " in refused(tmp_path / "empty")
    assert "unknown kind of file" in refused(tmp_path / "empty" / "a.xlsx")
    assert "has no splits: leave out train" in refused(tmp_path / "empty", Asked(splits=("train",)))
    assert "cannot be read: File name too long" in refused("x" * 5000)
    assert "cannot be read: " in refused("~nobody-here/x.jsonl")
    (tmp_path / "empty" / "b.jsonl.gz").write_bytes(gzip.compress(b"{}")[:-4])
    assert "b.jsonl.gz is not a JSONL file" in refused(tmp_path / "empty")


def test_the_content_is_that_of_the_bytes_and_of_what_was_asked(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", PAIRS)
    plain = open_source(file)
    asked = [Asked(limit=2), Asked(limit=3), Asked(names={"prompt": "prompt"})]
    contents = {open_source(file, one).content for one in asked} | {plain.content}
    assert len(contents) == 4
    assert {open_source(file, one).path for one in asked} == {plain.path}
    folder = open_source(tmp_path).content
    write(tmp_path / "b" / "c.jsonl", PAIRS)
    assert open_source(tmp_path).content != folder


def test_configurations_and_splits_are_two_sources_in_whatever_order_they_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_hub(tmp_path / "hub", monkeypatch, "main")
    both = [open_source("hf:o/s", Asked((), one)) for one in (("train", "test"), ("test", "train"))]
    assert both[0].path == both[1].path == "hf:o/s split=test,train"
    assert both[0].content == both[1].content
    one = open_source("hf:o/s", Asked((), ("train", "train")))
    assert one.path == "hf:o/s split=train" and len(one.rows) == 3


def test_parts_of_two_layouts_are_refused(tmp_path: Path) -> None:
    parts = [Part("a.jsonl", [(1, {"x": 1})], ["x"]), Part("b.csv", [], []),
             Part("c.csv", [(2, {"y": 1})], ["y"])]  # fmt: skip
    check_one_layout(parts, "set", lambda part: "one")
    with pytest.raises(OrchardError) as caught:
        check_one_layout(parts, "set", lambda part: f"layout {part.columns[0]}")
    assert str(caught.value).startswith("set: a.jsonl holds layout x, and c.csv layout y: ")


def test_lists_and_objects_of_parquet_are_those_of_json(tmp_path: Path) -> None:
    rows = [{"chosen": [{"role": "user", "content": "q"}], "meta": {"a": 1}}]
    pl.DataFrame(rows).write_parquet(tmp_path / "a.parquet")
    assert json.loads(json.dumps([row for _, row in open_source(tmp_path).rows])) == rows
