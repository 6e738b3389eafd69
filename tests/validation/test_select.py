"""Equal budgets: the same number for all, and a sample that does not move."""

import polars as pl
import pytest

from pipeline.errors import OrchardError
from pipeline.validation.select import by_hash, equal_budget, held_out


def pairs(n: int, split: str = "train", swap: bool = False) -> pl.DataFrame:
    sides = [("w", "l") if not swap else ("l", "w")] * n
    rows = [
        {"prompt_id": f"p{i}", "chosen_id": f"{a}{i}", "rejected_id": f"{b}{i}", "split": split}
        for i, (a, b) in enumerate(sides)
    ]
    return pl.DataFrame(rows)


def test_every_variant_gets_what_the_smallest_has() -> None:
    chosen = equal_budget({"a": pairs(10), "b": pairs(4)}, 8)
    assert {name: frame.height for name, frame in chosen.items()} == {"a": 4, "b": 4}
    assert {name: frame.height for name, frame in equal_budget({"a": pairs(10), "b": pairs(9)}, 8).items()} == {
        "a": 8,
        "b": 8,
    }


def test_the_sample_keeps_its_rows_when_the_set_grows_and_when_rows_move() -> None:
    few, many = by_hash(pairs(50)).rows(), by_hash(pairs(500)).rows()
    assert [row for row in many if row in few] == few
    assert by_hash(pairs(50).reverse()).rows() == few


def test_a_control_draws_the_same_pairs_as_its_source() -> None:
    real = equal_budget({"a": pairs(50)}, 10)["a"]["prompt_id"].to_list()
    assert equal_budget({"a": pairs(50, swap=True)}, 10)["a"]["prompt_id"].to_list() == real


def test_a_variant_without_training_pairs_is_named() -> None:
    with pytest.raises(OrchardError, match="variant 'b' has no training pair"):
        equal_budget({"a": pairs(3), "b": pairs(3, "validation")}, 8)


def test_held_out_pairs_are_validation_pairs_only() -> None:
    mixed = pl.concat([pairs(3), pairs(5, "validation")])
    assert held_out({"a": mixed, "b": pairs(2, "validation")}, 8).height == 4
    assert held_out({"a": pairs(3)}, 8).is_empty()


def test_controls_alone_are_one_clear_error() -> None:
    with pytest.raises(OrchardError, match="only controls are compared"):
        held_out({}, 8)
