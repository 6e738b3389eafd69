"""One row of a file that cannot be read is a reject with a reason; the others are read."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cells import BROKEN
from pipeline.config import PoolSettings, Settings
from pipeline.errors import OrchardError
from pipeline.prompts import pools
from pipeline.prompts.files import read
from pipeline.prompts.pools import load_pools
from pipeline.prompts.record import Record
from pipeline.prompts.source import Source

Write = Callable[[Path, list[bytes]], None]


def jsonl(path: Path, texts: list[bytes]) -> None:
    path.write_bytes(b"".join(b'{"q": "' + text + b'", "a": 1}\n' for text in texts))


def array(path: Path, texts: list[bytes]) -> None:
    path.write_bytes(b"[" + b",".join(b'{"q": "' + text + b'", "a": 1}' for text in texts) + b"]")


def table(path: Path, texts: list[bytes]) -> None:
    path.write_bytes(b"q,a\n" + b"".join(text + b",1\n" for text in texts))


def parquet(path: Path, texts: list[bytes]) -> None:
    """With texts that nothing checks, as other writers leave them."""
    made = pa.array(texts, pa.binary())
    column = pa.StringArray.from_buffers(len(made), made.buffers()[1], made.buffers()[2])
    pq.write_table(pa.table({"q": column, "a": [1] * len(texts)}), path)


@pytest.mark.parametrize("place", [0, 1, 3])
@pytest.mark.parametrize("bad", [b"caf\xe9", b"\xff", b"\xed\xa0\xbd", b"\xc3"])
@pytest.mark.parametrize(
    ("name", "write"),
    [("a.jsonl", jsonl), ("a.json", array), ("a.csv", table), ("a.parquet", parquet)],
)
def test_a_row_that_is_no_utf8_is_a_row_of_its_own(
    tmp_path: Path, name: str, write: Write, bad: bytes, place: int
) -> None:
    texts = [b"one", b"two", "drei ü".encode()]
    texts.insert(place, bad)
    write(tmp_path / name, texts)
    rows, columns = read(tmp_path / name)
    assert columns == ["q", "a"]
    number, broken = rows.pop(place)
    assert number == place + 1 and broken[BROKEN].startswith("is not UTF-8")
    assert json.dumps(broken, ensure_ascii=False).encode()  # a reject of it can be stored
    assert [row["q"] for _, row in rows] == ["one", "two", "drei ü"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"x,1,2", "has 3 cells, and the file 2 columns: mend or remove it"),
        (b"a\0b,1", "holds zero bytes: mend or remove it"),
        (b'"x"y,1', "is not CSV (lines 3 to 3): ',' expected after '\"': mend or remove it"),
        (b'"x\nz"y,1', "is not CSV (lines 3 to 4): ',' expected after '\"': mend or remove it"),
    ],
)
def test_a_row_of_a_table_that_is_none_says_why(tmp_path: Path, line: bytes, says: str) -> None:
    (tmp_path / "a.csv").write_bytes(b"q,a\nfirst,1\n" + line + b"\nlast,1\n")
    rows, _ = read(tmp_path / "a.csv")
    assert rows[0] == (1, {"q": "first", "a": "1"}) and rows[2] == (3, {"q": "last", "a": "1"})
    assert rows[1][1][BROKEN] == says


def test_a_row_that_ends_early_lacks_its_last_cells(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"q,a\r\nx\r\n\r\n,\r\ny,1")
    rows, _ = read(tmp_path / "a.csv")
    found = [tuple(row.values()) for _, row in rows]
    assert found == [("x", None), (None, None), (None, None), ("y", "1")]


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=8)


@given(rows=st.lists(st.lists(cells, min_size=2, max_size=2), min_size=1, max_size=5))
def test_tables_are_read_as_polars_reads_them(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows([["q", "a"], *rows])
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_bytes(written.getvalue().encode())
    found = [tuple(row.values()) for _, row in read(path)[0]]
    wanted = pl.read_csv(path, infer_schema=False).rows()
    assert found == [tuple(cell or None for cell in row) for row in wanted]


def test_a_source_of_a_users_that_raises_is_one_line_and_what_is_no_record_a_reject() -> None:
    given: list[Any] = [Record("row 1", "1 + 1", "2"), {"question": "1 + 2"}]

    def records(pool: PoolSettings) -> Iterator[Record]:
        yield from given
        if len(given) > 2:
            raise KeyError("question")

    pool = PoolSettings(name="p", source="mine", verifier="number")
    settings = Settings(profile="x", pools=(pool,))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pools, "source_of", lambda pool: Source(records))
        prompts, rejects = load_pools(settings)
        assert prompts.height == 1
        assert rejects["reason"].to_list() == ["row 2: its source gives a struct, not a Record"]
        given.append(Record("row 3", "1 + 3", "4"))
        with pytest.raises(
            OrchardError, match="^pool 'p': its source 'mine' failed: KeyError: 'question'$"
        ):
            load_pools(settings)
