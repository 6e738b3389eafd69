"""What a data set's features say of a column is asked:
class labels, decimals, dates; and saved data sets' splits.
"""

import datetime
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import datasets
import polars as pl
import pytest

from pipeline.config import PoolSettings, Settings
from pipeline.errors import OrchardError
from pipeline.prompts import load_pools
from pipeline.prompts.features import labels_of, with_names

NAMES = ["no", "yes"]
QUESTIONS = ["Is the sky blue?", "Is fire cold?", "Is snow white?", "Is it?"]
LABELS = datasets.Features(
    {"question": datasets.Value("string"), "answer": datasets.ClassLabel(names=NAMES)}
)


def load(**pool: Any) -> tuple[pl.DataFrame, pl.DataFrame]:
    return load_pools(
        Settings(
            profile="test", pools=(PoolSettings(**{"name": "p", "source": "datasets", **pool}),)
        )
    )


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One data set whose answers are class labels, in every form in which it may be kept."""
    folder = tmp_path_factory.mktemp("labelled")
    data = datasets.Dataset.from_dict(
        {"question": QUESTIONS, "answer": [1, 0, 1, -1]}, features=LABELS
    )
    datasets.DatasetDict({"train": data, "test": data.select([1])}).save_to_disk(folder / "splits")
    data.save_to_disk(folder / "saved")
    (folder / "files").mkdir()
    data.to_parquet(folder / "files" / "train.parquet")
    return folder


@pytest.mark.parametrize("verifier", ["exact", "yesno"])
@pytest.mark.parametrize(
    "pool",
    [
        {"path": "splits"},
        {"path": "saved"},
        {"path": "files"},
        {"path": "files/train.parquet", "source": "file"},
    ],
)
def test_a_class_label_is_its_name_wherever_it_is_kept(
    labelled: Path, pool: dict[str, str], verifier: str
) -> None:
    prompts, rejects = load(**{**pool, "path": str(labelled / pool["path"]), "verifier": verifier})
    assert prompts["answer"].to_list() == ["yes", "no", "yes"]
    (reason,) = rejects["reason"]  # -1 stands for no label
    assert reason.endswith("row 4: column 'answer' is missing")


def test_labels_in_lists_and_structs_have_names_too() -> None:
    label = {"names": NAMES, "_type": "ClassLabel"}
    features = {
        "list": {"feature": label, "_type": "List"},
        "older": [label],
        "struct": {"inner": label, "other": {"dtype": "int64", "_type": "Value"}},
        "plain": {"dtype": "int64", "_type": "Value"},
    }
    row = {"list": [0, 1, None], "older": [1], "struct": {"inner": 1, "other": 1}, "plain": 1}
    assert with_names(row, labels_of(features)) == {
        "list": ["no", "yes", None], "older": ["yes"], "struct": {"inner": "yes", "other": 1},
        "plain": 1
    }  # fmt: skip


def test_decimals_and_dates_of_a_table_are_answers(tmp_path: Path) -> None:
    price = pl.Series([Decimal("4.50"), Decimal("12.00")], dtype=pl.Decimal(10, 2))
    day = [datetime.date(2026, 11, 28), None]
    pl.DataFrame({"question": ["a?", "b?"], "price": price, "day": day}).write_parquet(
        tmp_path / "t.parquet"
    )
    at = {"source": "file", "path": str(tmp_path / "t.parquet"), "verifier": "exact"}
    assert load(**at, answer_column="price")[0]["answer"].to_list() == ["4.50", "12.00"]
    days, rejects = load(**at, answer_column="day")
    assert days["answer"].to_list() == ["2026-11-28"]
    assert rejects["reason"].to_list() == ["t.parquet row 2: column 'day' is missing"]


def test_an_integer_that_a_null_made_a_float_is_the_same_answer(tmp_path: Path) -> None:
    pl.DataFrame({"question": ["a?", "b?"], "answer": [7.0, float("nan")]}).write_parquet(
        tmp_path / "t.parquet"
    )
    prompts, rejects = load(source="file", path=str(tmp_path / "t.parquet"), verifier="exact")
    assert prompts["answer"].to_list() == ["7"] and rejects.height == 1


def test_a_saved_data_set_has_the_splits_that_it_has(labelled: Path) -> None:
    splits, saved = str(labelled / "splits"), str(labelled / "saved")
    parts = ("train[:1]", "train[:50%]", "train[1:3]")
    kept = {split: load(path=splits, split=split, verifier="exact")[0].height for split in parts}
    assert kept == {"train[:1]": 1, "train[:50%]": 2, "train[1:3]": 2}
    assert load(path=splits, split="test+train[:1]", verifier="exact")[0]["answer"].to_list() == [
        "no",
        "yes",
    ]
    with pytest.raises(OrchardError, match=r"has no split 'dev\[:1\]'; it has train, test$"):
        load(path=splits, split="dev[:1]")
    with pytest.raises(
        OrchardError, match="is one saved data set without splits: set split to 'train'$"
    ):
        load(path=saved, split="test")


def test_files_that_do_not_fit_together_are_named_with_the_cause(tmp_path: Path) -> None:
    rows = {
        "a": {"question": "2 + 2?", "answer": "4"},
        "b": {"question": "3 + 3?", "answer": 6, "extra": 1},
    }
    for name, row in rows.items():
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(row))
    with pytest.raises(OrchardError) as caught:
        load(path=str(tmp_path))
    said = str(caught.value)
    assert (
        said.endswith("column 'answer' holds text in a.jsonl row 1 and a number in b.jsonl row 1")
        and "\n" not in said
    )
    assert "Couldn't cast" in said


def test_half_of_a_character_costs_a_data_set_one_row(tmp_path: Path) -> None:
    rows = [{"question": "2 + 2?", "answer": "4"}, {"question": "a \ud83d?", "answer": "6"}]
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    prompts, rejects = load(source="file", path=str(tmp_path / "train.jsonl"))
    assert prompts.height == 1
    assert rejects["reason"].to_list() == [
        "train.jsonl row 2: column 'question' holds half of a character (\\ud83d)"
    ]
    assert json.loads(rejects["row"][0])["question"] == "a \ud83d?"  # escaped, and so whole
    with pytest.raises(
        OrchardError,
        match=r"train.jsonl row 2: question holds half of a character \(\\ud83d\): mend",
    ):
        load(path=str(tmp_path))  # the library reads the whole folder or nothing
