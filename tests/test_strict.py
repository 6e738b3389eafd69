"""Files that cannot be meant: each is one line that says what is wrong, and ends nothing else."""

import gzip
import json
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from pipeline import config, strict
from pipeline.cells import LONGEST
from pipeline.config.section import LARGEST
from pipeline.errors import OrchardError
from pipeline.prompts.files import read
from pipeline.prompts.pools import load_pools

ROW = '{"prompt": "1 + 1?", "answer": "2"}\n'
POOL = "pools: [{name: x, source: gym, task: basic_arithmetic}]\n"
DEEP = 3000


def gzipped(data: bytes) -> bytes:
    """The same bytes each time: they name a test, which two processes have to know alike."""
    return gzip.compress(data, mtime=0)


def zstd(data: bytes) -> bytes:
    return bytes(pa.compress(data, codec="zstd", asbytes=True))


def said(path: Path) -> str:
    """The one line that a file ends in."""
    with pytest.raises(OrchardError) as caught:
        read(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.jsonl", '{"prompt": "é"}'.encode("latin-1"), "row 1 is not UTF-8: 'utf-8' codec"),
        ("a.jsonl", ROW.encode("utf-16"), "row 1 is not UTF-8: 'utf-8' codec"),
        ("a.csv", "prompt\né\n".encode("latin-1"), "row 1 is not UTF-8: mend or remove it"),
        ("a.csv", "prompté\na\n".encode("latin-1"), "its first row is not UTF-8: convert it"),
        ("a.csv", "prompt\na\n".encode("utf-16-le"), "its first row holds zero bytes"),
        ("a.csv", b'prompt\na\n"b\nc\n', "in line 3 a quotation mark opens and never closes"),
        ("a.csv", b"prompt,answer,prompt\n1,2,3\n", "columns twice, such as 'prompt'"),
        ("a.csv", b"prompt\na\0b\n", "zero bytes"),
        ("a.json", b"[" * DEEP * 30 + b"]" * DEEP * 30, "nested too deep"),
        ("a.jsonl", b'{"a": ' * DEEP * 30 + b"1" + b"}" * DEEP * 30, "nested too deep"),
        ("a.json", b'[{"prompt": "a", "prompt": "b"}]', "'prompt' stands twice in one object"),
        (
            "a.jsonl.gz",
            gzipped(b"\n" * (70 << 20)),
            "unpacks to over 100 times its size",
        ),
        ("a.jsonl.gz", gzipped(ROW.encode())[:-9], "ended before the end-of-stream"),
        (
            "a.jsonl.gz",
            gzipped(ROW.encode())[:10] + b"\xff" * 99,
            "while decompressing",
        ),
        ("a.jsonl.zst", zstd(b"\n" * (70 << 20)), "unpacks to over 100 times its size"),
        ("a.jsonl.zst", zstd(ROW.encode())[:-3], "Truncated compressed stream"),
        ("a.json.zst", zstd(b"[1]") + b"more", "ZSTD decompress failed"),
        (
            "a.csv.gz",
            gzipped(b"\n" * (70 << 20)),
            "unpacks to over 100 times its size",
        ),
        ("a.csv.gz", gzipped(b"prompt\n1\n")[:-9], "ended before the end-of-stream"),
        ("a.csv.gz", gzipped(gzipped(b"prompt\n1\n")), "is not a CSV file"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(
    tmp_path: Path, name: str, data: bytes, says: str
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    assert says in said(path)


def test_a_parquet_file_that_unpacks_to_far_more_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    texts = pl.DataFrame({"prompt": [f"{n:05}" + "x" * 99_995 for n in range(800)]})
    texts.write_parquet(path, use_pyarrow=True, pyarrow_options={"use_dictionary": False})
    assert path.stat().st_size < 800_000 and "unpacks to over 100 times" in said(path)


def test_of_a_file_with_a_limit_only_so_many_rows_are_unpacked(tmp_path: Path) -> None:
    """The end of each packed file is damaged: whoever reads so far is told so."""
    whole = "".join(f'{{"prompt": "{n} + {n * n}?", "answer": "2"}}\n' for n in range(100_000))
    for name, pack in (("a.jsonl.gz", gzipped), ("a.jsonl.zst", zstd)):
        (tmp_path / name).write_bytes(pack(whole.encode())[:-20])
        rows, columns = read(tmp_path / name, 2)
        assert [number for number, _ in rows] == [1, 2] and columns == ["prompt", "answer"]
        said(tmp_path / name)


def test_tables_and_arrays_are_cut_at_the_limit_too(tmp_path: Path) -> None:
    frame = pl.DataFrame({"prompt": ["a", "b", "c"]})
    frame.write_parquet(tmp_path / "a.parquet")
    frame.write_csv(tmp_path / "a.csv")
    frame.write_json(tmp_path / "a.json")
    for name in ("a.parquet", "a.csv", "a.json"):
        assert read(tmp_path / name, 2)[0] == [(1, {"prompt": "a"}), (2, {"prompt": "b"})]


def test_a_file_that_fits_in_the_memory_may_be_packed_however_well(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzipped(ROW.encode() * 10_000))
    assert path.stat().st_size * strict.RATIO < len(ROW) * 10_000
    assert len(read(path)[0]) == 10_000


@pytest.mark.parametrize(
    "line",
    [
        '{"prompt": "a", "prompt": "b", "answer": "2"}',
        '{"prompt": "a", "answer": "2", "more": {"k": 1, "k": 2}}',
        '{"prompt": "' + "x" * (LONGEST + 1) + '", "answer": "2"}',
        "[" * DEEP + "]" * DEEP,
    ],
    ids=["key twice", "key twice inside", "long text", "brackets"],
)
def test_a_line_that_cannot_be_meant_is_a_reject_and_the_others_stay(
    tmp_path: Path, line: str
) -> None:
    (tmp_path / "a.jsonl").write_text(ROW + line + "\n")
    pool = {"name": "x", "source": "file", "path": "a.jsonl", "verifier": "number"}
    columns = {"prompt_column": "prompt", "answer_column": "answer"}
    (tmp_path / "p.yaml").write_text(json.dumps({"pools": [pool | columns]}))
    prompts, rejects = load_pools(config.load(str(tmp_path / "p.yaml")))
    assert (prompts.height, rejects.height) == (1, 1)
    assert len(rejects["reason"][0]) < 250


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("profile: é".encode("latin-1"), "not valid YAML in UTF-8"),
        (POOL.encode("utf-16"), "not valid YAML in UTF-8"),
        (b"pools: " + b"[" * DEEP + b"]" * DEEP, "nested too deep"),
        (POOL + "seed: 1\nseed: 2\n", "'seed' stands twice in the mapping at line 1"),
        (POOL + "model:\n  name: a\n  name: b\n", "'name' stands twice in the mapping at line 3"),
        (POOL + "training: {learning_rate: .inf}", "training.learning_rate: "),
        (POOL + "training: {learning_rate: .nan}", "training.learning_rate: "),
        (POOL + "training: {learning_rate: 1e999}", "training.learning_rate: "),
        (POOL + "sampling: {n: 100000000000000000000}", "sampling.n: "),
        (POOL + "trees: {rollouts: 100000000000000000000}", "trees.rollouts: "),
        (POOL + f"seed: {LARGEST + 1}", "seed: 1e+15 is too large"),
        (POOL + "seed: yes", "seed: expected a number, not yes or no"),
        ('pools: [{name: x, source: file, path: "a\\0b"}]', "path: holds a zero character"),
    ],
)
def test_a_profile_that_cannot_be_meant_is_one_line(
    tmp_path: Path, data: str | bytes, says: str
) -> None:
    path = tmp_path / "p.yaml"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    with pytest.raises(OrchardError) as caught:
        config.load(str(path))
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_a_mapping_may_replace_what_it_is_merged_with(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: &a {p: 1, q: 2}\nb: &b {<<: *a, p: 3}\nc: {<<: *b, p: 4}\n")
    assert strict.yaml_value(path)["c"] == {"p": 4, "q": 2}
