"""Sources: reasoning_gym, files, datasets; and every bad input with its message."""

import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from pipeline.config import PoolSettings, Settings
from pipeline.errors import OrchardError
from pipeline.prompts import load_pools

ROWS = [
    {
        "question": "Ann has 2 pens and buys 3. How many?",
        "answer": "2+3 = <<2+3=5>>5 pens.\n#### 5",
    },
    {"question": "Half of 2,400?", "answer": "#### 1,200"},
    {"question": "3 less than 1?", "answer": "1-3 = -2\n#### -2"},
]


def load(**pool: Any) -> tuple[pl.DataFrame, pl.DataFrame]:
    return load_pools(
        Settings(profile="test", pools=(PoolSettings(**{"name": "p", "source": "file", **pool}),))
    )


def zstd(data: bytes) -> bytes:
    return bytes(pa.compress(data, codec="zstd", asbytes=True))


def write(path: Path) -> str:
    """The three rows in the format of the path's ending."""
    text = "".join(json.dumps(row) + "\n" for row in ROWS)
    packed = {".gz": gzip.compress, ".zst": zstd}
    if path.suffix in packed:
        plain = write(path.with_suffix(""))
        path.write_bytes(packed[path.suffix](Path(plain).read_bytes()))
    elif path.suffix in (".jsonl", ".ndjson"):
        path.write_text(text, encoding="utf-8")
    elif path.suffix == ".json":
        path.write_text(json.dumps(ROWS), encoding="utf-8")
    elif path.suffix == ".csv":
        pl.DataFrame(ROWS).write_csv(path)
    else:
        pl.DataFrame(ROWS).write_parquet(path)
    return str(path)


@pytest.mark.parametrize(
    "name",
    [
        *("a.jsonl", "a.ndjson", "a.json", "a.csv", "a.parquet", "a.jsonl.gz", "a.jsonl.zst"),
        *("a.ndjson.gz", "a.ndjson.zst", "a.json.gz", "a.json.zst", "a.csv.gz", "a.csv.zst"),
    ],
)
def test_every_kind_of_file_gives_the_same_prompts(name: str, tmp_path: Path) -> None:
    prompts, rejects = load(path=write(tmp_path / name), licence="MIT")
    assert prompts["answer"].to_list() == ["5", "1200", "-2"]
    assert [turns[0]["content"] for turns in prompts["messages"].to_list()] == [
        row["question"] for row in ROWS
    ]
    assert prompts.select("pool", "task", "verifier", "licence").row(0) == (
        "p",
        "p",
        "number",
        "MIT",
    )
    assert prompts["source"].to_list() == [f"file: {name} row {number}" for number in (1, 2, 3)]
    assert rejects.is_empty()


def test_bad_rows_are_rejected_with_file_row_and_column(tmp_path: Path) -> None:
    rows = [
        {"question": "1+1?", "answer": "2"},
        {"question": "  ", "answer": "2"},
        {"answer": "2"},
        {"question": "2+2?"},
        {"question": "2+3?", "answer": ""},
        {"question": ["a"], "answer": "2"},
        {"question": "2+4?", "answer": "six"},
        {"question": "1+1? ", "answer": "2"},
    ]
    path = tmp_path / "bad.jsonl"
    # rows at lines 1, 3, 5, ...
    path.write_text("\n\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    prompts, rejects = load(path=str(path))
    assert prompts.height == 1
    assert rejects["reason"].to_list() == [
        "bad.jsonl row 3: column 'question' is empty",
        "bad.jsonl row 5: column 'question' is missing",
        "bad.jsonl row 7: column 'answer' is missing",
        "bad.jsonl row 9: column 'answer' is empty",
        "bad.jsonl row 11: column 'question' holds a list, not text",
        "bad.jsonl row 13: column 'answer': "
        "'six' is not an answer that the verifier 'number' can read",
        "bad.jsonl row 15: duplicate of bad.jsonl row 1",
    ]
    assert json.loads(rejects["row"][0]) == {"pool": "p", "question": "  ", "answer": "2"}
    assert rejects["reject_id"].is_unique().all()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b"", r"^pool 'p': \S+a\.jsonl has no rows$"),
        ("a.csv", b"", r"^pool 'p': \S+a\.csv has no rows$"),
        ("a.csv", b"question,answer\n", r"^pool 'p': \S+a\.csv has no rows$"),
        (
            "a.jsonl",
            b"not json\n{\n",
            r"a\.jsonl row 1 is not JSON: .*mend or remove that line$",
        ),
        (
            "a.jsonl",
            b"[1]\n",
            r"a\.jsonl row 1 is not a JSON object with columns: mend or remove that line$",
        ),
        ("a.jsonl", b"\xff\xfe\x00", r"a\.jsonl row 1 is not UTF-8: "),
        ("a.jsonl.gz", b"plain", r"a\.jsonl\.gz row 1 is not JSON: "),  # its content tells
        (
            "a.parquet",
            b"question,answer\n1,2\n",
            r"a\.parquet is not a Parquet file: .*: convert it, or mend its name$",
        ),
        (
            "a.csv",
            b"PAR1\x00\x01\xff\x00",
            r"a\.csv is not a CSV file: .*: convert it, or mend its name$",
        ),
        (
            "a.csv",
            b"question,answer\n\xff\xfe,1\n",
            r"a\.csv row 1 is not UTF-8: mend or remove it$",
        ),
        (
            "a.txt",
            b"1+1",
            r"a\.txt: unknown kind of file: its name must end in \.jsonl, .* or \.parquet$",
        ),
        ("a.parquet.gz", b"1+1", r"a\.parquet\.gz: unknown kind of file: "),
        (
            "a.csv",
            b"problem,answer\n1+1,2\n",
            r"^pool 'p': \S+a\.csv has no column 'question'; "
            r"it has problem, answer: set prompt_column$",
        ),
        (
            "a.jsonl",
            b'{"question": "1?", "gold": 1}\n',
            r"^pool 'p': \S+a\.jsonl has no column 'answer'; "
            r"it has question, gold: set answer_column$",
        ),
        (
            "a.jsonl",
            b'{"question": "", "answer": 1}\n',
            r"^pool 'p': none of its 1 rows can be used; "
            r"the first: a\.jsonl row 1: column 'question' is empty$",
        ),
    ],
)
def test_bad_files(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(OrchardError, match=message) as caught:
        load(path=str(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_missing_path(tmp_path: Path) -> None:
    with pytest.raises(
        OrchardError,
        match=r"^pool 'p': no file \S+gone\.csv \(looked for .*\): mend the pool's path$",
    ):
        load(path=str(tmp_path / "gone.csv"))
    with pytest.raises(
        OrchardError,
        match=r"^pool 'p': source 'file' needs a path: set path to a JSONL, Parquet or CSV",
    ):
        load()
    with pytest.raises(
        OrchardError, match=r"^pool 'p': source 'datasets' needs a path: set path to a hub id or"
    ):
        load(source="datasets")


@pytest.mark.parametrize(
    ("pool", "message"),
    [
        (
            {"task": "chain_sun"},
            r"^pool 'p': unknown reasoning-gym task 'chain_sun': did you mean chain_sum",
        ),
        (
            {"task": "???"},
            r"^pool 'p': unknown reasoning-gym task '\?\?\?': "
            r"reasoning_gym\.factory\.DATASETS lists them$",
        ),
        (
            {"size": None},
            r"^pool 'p': a reasoning_gym pool needs a size: set size to the number of prompts$",
        ),
        (
            {"params": {"foo": 1}},
            r"^pool 'p': unknown params foo: chain_sum takes min_terms, max_terms, ",
        ),
        ({"params": {"seed": 1}}, r"^pool 'p': params\.seed: set seed of the pool itself$"),
        (
            {"params": {"min_terms": 9}},
            r"^pool 'p': params do not work: max_terms must be >= min_terms; chain_sum takes",
        ),
        (
            {"params": {"min_terms": "a"}},
            r"^pool 'p': params do not work: .*; chain_sum takes min_terms",
        ),
        (
            {"task": "graph_color"},
            r"none of its 3 rows can be used; .* row 1: task 'graph_color' gives no reference",
        ),
    ],
)
def test_bad_reasoning_gym_pools(pool: dict[str, Any], message: str) -> None:
    with pytest.raises(OrchardError, match=message) as caught:
        load(**{"source": "reasoning_gym", "task": "chain_sum", "size": 3, **pool})
    assert "\n" not in str(caught.value)


def test_metadata_is_json_for_every_kind_of_value() -> None:
    prompts, _ = load(source="reasoning_gym", task="calendar_arithmetic", size=5)
    assert all(
        set(json.loads(text)) == {"question", "metadata", "params"} for text in prompts["metadata"]
    )


def test_data_sets_in_folders(tmp_path: Path) -> None:
    import datasets

    data = datasets.Dataset.from_list(ROWS)
    data.save_to_disk(tmp_path / "saved")
    datasets.DatasetDict({"train": data, "test": data.select([0])}).save_to_disk(
        tmp_path / "splits"
    )
    (tmp_path / "files").mkdir()
    write(tmp_path / "files" / "train.jsonl")
    for folder, split, answers in [
        ("saved", "train", ["5", "1200", "-2"]),
        ("splits", "test", ["5"]),
        ("files", "train", ["5", "1200", "-2"]),
    ]:
        prompts, _ = load(source="datasets", path=str(tmp_path / folder), split=split)
        assert prompts["answer"].to_list() == answers
    prompts, _ = load(source="datasets", path=str(tmp_path / "saved"), size=2)
    assert prompts["source"].to_list() == [
        "datasets: saved train row 1",
        "datasets: saved train row 2",
    ]
    with pytest.raises(
        OrchardError, match=r"^pool 'p': \S+ has no split 'dev'; it has train, test$"
    ):
        load(source="datasets", path=str(tmp_path / "splits"), split="dev")
    with pytest.raises(
        OrchardError, match=r"has no column 'q'; it has question, answer: set prompt_column$"
    ):
        load(source="datasets", path=str(tmp_path / "saved"), prompt_column="q")
    with pytest.raises(
        OrchardError,
        match=r"cannot load .*: Unknown split \"dev\".*: check the path, config and split$",
    ):
        load(source="datasets", path=str(tmp_path / "files"), split="dev")


def test_a_hub_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def refuse(*arguments: Any, **named: Any) -> None:
        raise ConnectionError("Couldn't reach 'who/what' on the Hub\n(LocalEntryNotFoundError)")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(
        OrchardError,
        match=r"^pool 'p': cannot load 'who/what': Couldn't .*\): check the id, .* network$",
    ):
        load(source="datasets", path="who/what")


def test_a_prompt_may_stand_inside_of_a_column(tmp_path: Path) -> None:
    """MT-Bench's questions: the first of a list is asked; what is not there is a reject."""
    rows = [{"turns": ["Why?", "And then?"]}, {"turns": []}, {"turns": {"0": "Who?"}}, {"turns": 3}]
    path = tmp_path / "bench.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = {"name": "bench", "source": "file", "path": str(path), "verifier": "none"}
    pool = PoolSettings(**asked, prompt_column="turns.0")
    prompts, rejects = load_pools(Settings(profile="test", pools=(pool,)))
    assert [row[0]["content"] for row in prompts["messages"]] == ["Why?", "Who?"]
    assert rejects.height == 2
    assert rejects["reason"].str.contains("column 'turns.0' is missing").all()
    other = PoolSettings(**asked, prompt_column="questions.0")
    with pytest.raises(OrchardError, match="has no column 'questions.0'; it has turns"):
        load_pools(Settings(profile="test", pools=(other,)))
