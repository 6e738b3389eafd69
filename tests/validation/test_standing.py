"""Whether earlier policies stand: worked out by hand."""

import polars as pl
import pytest

from pipeline.validation.standing import Basis, basis_of, changed, stand


def basis(*numbers: int, pairs: bool = True) -> Basis:
    return Basis(frozenset(f"m{i}" for i in numbers), frozenset(f"p{i}" for i in numbers), len(numbers), pairs)


def test_rows_that_came_and_rows_that_went_count_alike() -> None:
    assert changed(basis(1, 2, 3, 4), basis(1, 2, 3, 4)) == 0
    assert changed(basis(1, 2, 3, 4), basis(1, 2)) == changed(basis(1, 2), basis(1, 2, 3, 4)) == 0.5
    assert changed(basis(1, 2), basis(3, 4)) == 1 == changed(basis(), basis(1))


@pytest.mark.parametrize(
    ("old", "new", "stands"),
    [
        ({"a": basis(1, 2, 3), "b": basis(1, 2, 3)}, {"a": basis(1, 2, 3, 4), "b": basis(1, 2, 3, 4)}, True),
        ({"a": basis(1, 2, 3), "b": basis(1, 2, 3)}, {"a": basis(1, 2, 3), "b": basis(1, 4, 5)}, False),  # b: 2 of 3
        ({"a": basis(1, 2, 3, 4)}, {"a": basis(1, 2, 3, 4), "b": basis(5, 6, 7, 8)}, True),  # only b is trained
        ({"a": basis(1, 2, 3, 4)}, {"a": basis(1, 2, 3), "b": basis(5, 6, 7)}, False),  # 4 pairs beside 3
        ({"a": basis(1, 2, 3, 4), "b": basis(1, 2, 3)}, {"a": basis(1, 2, 3), "b": basis(1, 2, 3)}, False),
        ({"a": basis(1, 2, 3, 4)}, {"a": basis(1, 2, 3, 4), "b": basis(5, pairs=False)}, True),  # lists: any number
        ({"a": basis(1, 2, 3, 9)}, {"a": basis(1, 2, 3, 4)}, False),  # prompt 9 may not be learned from
        ({"gone": basis(9)}, {"a": basis(1)}, True),  # of a variant without rows nothing is kept
        ({}, {"a": basis(1)}, True),
    ],
)  # fmt: skip
def test_all_variants_stand_or_none(old: dict[str, Basis], new: dict[str, Basis], stands: bool) -> None:
    assert stand(old, new, {f"p{i}" for i in range(1, 9)}, 0.25) is stands


def test_rows_to_stop_on_count_as_rows_but_not_as_learned_from() -> None:
    rows = pl.DataFrame(
        {"mark": ["m1", "m2", "m3"], "prompt_id": ["p1", "p1", "p3"], "split": ["train", "train", "validation"],
         "chosen_id": ["a", "b", "c"]}
    )  # fmt: skip
    assert basis_of(rows) == Basis(frozenset({"m1", "m2", "m3"}), frozenset({"p1"}), 2, True)
