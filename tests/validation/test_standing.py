"""Whether earlier policies stand: worked out by hand."""

from pathlib import Path

import polars as pl
import pytest

from pipeline.validation.standing import Basis, basis_of, changed, remember, remembered, stand


def basis(*numbers: int, label: float | None = 1.0) -> Basis:
    names = sorted(str(i) for i in numbers)
    return Basis(
        [f"m{i}" for i in names], {f"k{i}": [label] for i in names}, [f"p{i}" for i in names]
    )


def test_rows_that_came_and_rows_that_went_count_alike() -> None:
    assert changed(basis(1, 2, 3, 4), basis(1, 2, 3, 4)) == 0
    assert changed(basis(1, 2, 3, 4), basis(1, 2)) == changed(basis(1, 2), basis(1, 2, 3, 4)) == 0.5
    assert changed(basis(1, 2), basis(3, 4)) == 1 == changed(basis(), basis(1))
    assert changed(basis(), basis()) == 0


def labelled(*margins: float | None) -> Basis:
    return basis(*range(len(margins)))._replace(
        labels={f"k{i}": [1.0, m] for i, m in enumerate(margins)}
    )


def test_a_number_that_moved_by_less_than_a_tenth_of_its_spread_is_the_same() -> None:
    """Margins 0 and 2, half of each: their standard deviation is 1."""
    last = labelled(0.0, 2.0, 0.0, 2.0)
    assert changed(last, labelled(0.09, 2.09, -0.09, 1.91)) == 0
    assert changed(last, labelled(0.2, 2.0, 0.0, 2.0)) == 0.25
    assert changed(last, labelled(None, 2.0, 0.0, 2.0)) == 0.25
    assert changed(labelled(None, 2.0), labelled(None, 2.0)) == 0
    assert changed(basis(1, 2), basis(1, 2, label=0.5)) == 1  # all alike and all moved


ABC = {"a": basis(1, 2, 3), "b": basis(1, 2, 3)}


@pytest.mark.parametrize(
    ("old", "new", "stands"),
    [
        (ABC, ABC, True),
        (ABC, {"a": basis(1, 2, 3, 4), "b": basis(1, 2, 3, 4)}, True),
        (ABC, {"a": basis(1, 2, 3), "b": basis(1, 4, 5)}, False),  # b: 2 of 3
        (ABC, {"a": basis(1, 2, 3)}, False),  # another set of variants is another comparison
        ({"a": basis(1, 2, 3)}, ABC, False),
        # b has no pairs, as before
        ({"a": basis(1, 2), "b": basis()}, {"a": basis(1, 2), "b": basis()}, True),
        ({"a": basis(1, 2), "b": basis()}, {"a": basis(1, 2), "b": basis(1, 2)}, False),
        # prompt 9 may not be learned from
        ({"a": basis(1, 2, 3, 9)}, {"a": basis(1, 2, 3, 4)}, False),
        ({}, ABC, False),
    ],
)  # fmt: skip
def test_all_variants_stand_or_none(
    old: dict[str, Basis], new: dict[str, Basis], stands: bool
) -> None:
    assert stand(old, new, {f"p{i}" for i in range(1, 9)}, 0.25) is stands


def test_rows_to_stop_on_count_as_rows_but_not_as_learned_from(tmp_path: Path) -> None:
    rows = pl.DataFrame(
        {"mark": ["m2", "m1", "m3"], "kind": ["k2", "k1", "k3"],
         "numbers": [[1.0, None], [0.5, 2.0], [1.0, 3.0]],
         "prompt_id": ["p1", "p1", "p3"], "split": ["train", "train", "validation"]}
    )  # fmt: skip
    found = basis_of(rows)
    assert found == Basis(
        ["m1", "m2", "m3"], {"k2": [1.0, None], "k1": [0.5, 2.0], "k3": [1.0, 3.0]}, ["p1"]
    )
    note = tmp_path / "policies" / "standing.json"
    assert remembered(note) == {}
    remember(note, {"a": found})
    assert remembered(note) == {"a": found}
    note.write_text('{"a": [1, 2]}')
    assert remembered(note) == {}
