"""From pools to prompts: shapes, splits, templates, duplicates."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipeline import tables
from pipeline.config import ExampleSettings, PoolSettings, Settings, SplitSettings
from pipeline.errors import OrchardError
from pipeline.prompts import load_pools
from pipeline.prompts.pools import split_of
from pipeline.verify import verify


def settings(*pools: dict[str, Any], **more: Any) -> Settings:
    return Settings(profile="test", pools=tuple(PoolSettings(**pool) for pool in pools), **more)


def sums(size: int = 20, **more: Any) -> dict[str, Any]:
    easy = {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}
    return {"name": "sums", "params": easy, "size": size, **more}


def jsonl(path: Path, *rows: dict[str, Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_generated_prompts_are_right_by_their_own_verifier() -> None:
    prompts, rejects = load_pools(settings(sums(40)))
    tables.Prompts.validate(prompts)
    tables.Rejects.validate(rejects)
    assert prompts.height + rejects.height == 40
    for row in prompts.iter_rows(named=True):
        assert row["verifier"] == "reasoning_gym:chain_sum"
        question = row["messages"][0]["content"]
        left, operator, right = question.removesuffix(" =").rpartition(": ")[2].split()
        total = int(left) + int(right) if operator == "+" else int(left) - int(right)
        assert verify(f"It is {total}", row["answer"], row["verifier"], row["metadata"]).correct
        assert not verify(
            f"It is {total + 1}", row["answer"], row["verifier"], row["metadata"]
        ).correct


def test_repeats_of_a_generated_pool_are_rejected_with_the_first_row() -> None:
    prompts, rejects = load_pools(settings(sums(200)))
    assert rejects.height > 0
    assert (
        rejects["reason"]
        .str.contains(r"^pool 'sums' row \d+: duplicate of pool 'sums' row \d+$")
        .all()
    )
    assert prompts["prompt_id"].is_unique().all()
    assert set(rejects["table"]) == {"prompts"}


def test_loading_twice_gives_the_same_and_a_larger_pool_moves_nothing() -> None:
    small, _ = load_pools(settings(sums(30)))
    again, _ = load_pools(settings(sums(30)))
    large, _ = load_pools(settings(sums(120)))
    assert small.equals(again)
    assert (
        large.head(small.height)
        .select("prompt_id", "split")
        .equals(small.select("prompt_id", "split"))
    )


def test_shares_of_the_splits() -> None:
    splits = SplitSettings(validation=0.1, test=0.2)
    found = [
        split_of([{"role": "user", "content": f"question {number}"}], splits)
        for number in range(5000)
    ]
    assert found.count("test") / 5000 == pytest.approx(0.2, abs=0.03)
    assert found.count("validation") / 5000 == pytest.approx(0.1, abs=0.02)


def test_splits_that_leave_nothing_to_train_on() -> None:
    with pytest.raises(
        OrchardError, match="splits: validation and test together must stay below 1"
    ):
        load_pools(settings(sums(), splits=SplitSettings(validation=0.5, test=0.5)))


def test_template_system_and_examples_make_the_turns(tmp_path: Path) -> None:
    path = jsonl(
        tmp_path / "a.jsonl",
        {"question": "  2 {x} + 2? ", "answer": 4},
        {"question": "1+1?", "answer": 2},
    )
    example = ExampleSettings(question="1+1?", answer="The answer is 2.")
    pool = {
        "name": "a",
        "source": "file",
        "path": path,
        "system": " Be brief. ",
        "examples": (example,),
    }
    prompts, rejects = load_pools(settings({**pool, "template": "Q: {question}\nA:"}))
    assert prompts["messages"].to_list() == [
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Q: 1+1?\nA:"},
            {"role": "assistant", "content": "The answer is 2."},
            {"role": "user", "content": "Q: 2 {x} + 2?\nA:"},
        ]
    ]
    assert rejects["reason"].to_list() == [
        "a.jsonl row 2: the prompt is one of the pool's examples, so its answer would be shown"
    ]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (
            "{foo} {question}",
            r"^pool 'sums': template: unknown field 'foo': only \{question\} is filled in$",
        ),
        (
            "{} {question}",
            r"^pool 'sums': template: unknown field .*: only \{question\} is filled in$",
        ),
        ("{question", r"^pool 'sums': template: expected '}' before end of string"),
        (
            "Solve it.",
            r"^pool 'sums': template has no \{question\}, so all prompts would be the same$",
        ),
    ],
)
def test_a_bad_template(template: str, message: str) -> None:
    with pytest.raises(OrchardError, match=message):
        load_pools(settings(sums(template=template)))


def test_equal_prompts_of_two_pools_are_kept_once(tmp_path: Path) -> None:
    one = jsonl(
        tmp_path / "one.jsonl",
        {"question": "1+1?", "answer": 2},
        {"question": "2+2?", "answer": "4"},
    )
    two = jsonl(
        tmp_path / "two.jsonl", {"question": "2+2?", "answer": 4}, {"question": "1+1?", "answer": 3}
    )
    three = jsonl(
        tmp_path / "three.jsonl",
        {"question": "3+3?", "answer": 6},
        {"question": "2+2?", "answer": 4},
    )
    pools = [{"name": Path(path).stem, "source": "file", "path": path} for path in (one, three)]
    prompts, rejects = load_pools(settings(*pools))
    assert prompts["pool"].to_list() == ["one", "one", "three"]
    assert rejects["reason"].to_list() == ["three.jsonl row 2: duplicate of one.jsonl row 2"]
    pools[1] = {"name": "two", "source": "file", "path": two}
    with pytest.raises(
        OrchardError,
        match="pool 'two': none of its 2 rows can be used; the first: two.jsonl row 1: dup",
    ):
        load_pools(settings(*pools))


def test_one_prompt_with_two_answers_is_a_conflict(tmp_path: Path) -> None:
    path = jsonl(
        tmp_path / "a.jsonl", {"question": "1+1?", "answer": 2}, {"question": "1+1?", "answer": 3}
    )
    _, rejects = load_pools(settings({"name": "a", "source": "file", "path": path}))
    assert rejects["reason"].to_list() == [
        "a.jsonl row 2: duplicate of a.jsonl row 1, with another answer or verifier (2, here 3)"
    ]


def test_a_pool_without_a_verifier_needs_no_answer(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", {"question": "Write a poem."})
    prompts, _ = load_pools(
        settings({"name": "a", "source": "file", "path": path, "verifier": "none"})
    )
    assert prompts.select("answer", "verifier").rows() == [(None, None)]


def test_size_takes_rows_in_order(tmp_path: Path) -> None:
    path = jsonl(
        tmp_path / "a.jsonl", *({"question": f"{number}?", "answer": number} for number in range(5))
    )
    prompts, rejects = load_pools(
        settings({"name": "a", "source": "file", "path": path, "size": 2})
    )
    assert prompts["answer"].to_list() == ["0", "1"]
    assert rejects.is_empty()
    assert rejects.schema == tables.empty("rejects").schema
    assert isinstance(prompts, pl.DataFrame)


def test_no_pools_at_all() -> None:
    sent = Settings(profile="test", sources=({"name": "hh", "path": "hh.jsonl"},))
    prompts, rejects = load_pools(sent)
    assert prompts.is_empty() and prompts.schema == tables.empty("prompts").schema


def test_an_unknown_verifier_names_the_pool(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", {"question": "1+1?", "answer": 2})
    with pytest.raises(
        OrchardError, match="^pool 'a': unknown verifier 'nunber': did you mean number"
    ):
        load_pools(settings({"name": "a", "source": "file", "path": path, "verifier": "nunber"}))
