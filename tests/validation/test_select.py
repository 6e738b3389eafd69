"""Equal budgets: the same number for all, and a sample that does not move."""

import numpy as np
import polars as pl
import pytest

from pipeline.errors import OrchardError
from pipeline.validation.select import (
    _tilted,
    _units,
    by_hash,
    common_prompts,
    equal_budget,
    held_out,
    part_of,
)


def pairs(n: int, split: str = "train", swap: bool = False) -> pl.DataFrame:
    sides = [("w", "l") if not swap else ("l", "w")] * n
    rows = [
        {"prompt_id": f"p{i}", "chosen_id": f"{a}{i}", "rejected_id": f"{b}{i}", "split": split}
        for i, (a, b) in enumerate(sides)
    ]
    return sized(pl.DataFrame(rows), [10] * n)


def sized(frame: pl.DataFrame, tokens: list[int] | list[None]) -> pl.DataFrame:
    return frame.with_columns(text_tokens=pl.Series(tokens, dtype=pl.Int64))


def sums(chosen: dict[str, pl.DataFrame]) -> dict[str, int]:
    return {name: int(frame["text_tokens"].sum()) for name, frame in chosen.items()}


def test_every_variant_gets_what_the_smallest_has() -> None:
    chosen = equal_budget({"a": pairs(10), "b": pairs(4)}, 8)
    assert {name: frame.height for name, frame in chosen.items()} == {"a": 4, "b": 4}
    assert {
        name: frame.height
        for name, frame in equal_budget({"a": pairs(10), "b": pairs(9)}, 8).items()
    } == {
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


def test_a_variant_without_training_pairs_keeps_none_and_takes_nothing_from_the_others() -> None:
    chosen = equal_budget({"a": pairs(3), "b": pairs(3, "validation")}, 8)
    assert {name: frame.height for name, frame in chosen.items()} == {"a": 3, "b": 0}
    with pytest.raises(OrchardError, match=r"no variant has a training pair \(b, c\)"):
        equal_budget({"b": pairs(3, "validation"), "c": pairs(3).clear()}, 8)


def test_held_out_pairs_are_validation_pairs_only() -> None:
    mixed = pl.concat([pairs(3), pairs(5, "validation")])
    assert held_out({"a": mixed, "b": pairs(2, "validation")}, 8).height == 7
    assert held_out({"a": mixed, "b": pairs(2, "validation")}, 4).height == 6
    assert held_out({"a": pairs(3)}, 8).is_empty()
    assert held_out({"a": mixed, "nothing": pairs(3).clear()}, 8).height == 5


def test_parts_lie_within_larger_parts_and_are_of_the_same_pairs() -> None:
    whole = by_hash(pairs(40)).head(16)
    for own in (pairs(40), pairs(40, swap=True)):  # a control's rows are of the same pairs
        parts = [set(part_of(whole, own, share)["prompt_id"]) for share in (0.125, 0.5, 1)]
        assert [len(part) for part in parts] == [2, 8, 16]
        assert parts[0] < parts[1] < parts[2] == set(whole["prompt_id"])
    assert part_of(whole.clear(), pairs(4), 0.5).is_empty()


def test_controls_alone_are_one_clear_error() -> None:
    with pytest.raises(OrchardError, match="only controls are compared"):
        held_out({}, 8)


def test_texts_of_different_length_get_the_same_pairs_and_the_same_tokens() -> None:
    short = sized(pairs(300), [10 + i % 31 for i in range(300)])  # mean 25
    long = sized(pairs(300), [20 + i % 41 for i in range(300)])  # mean 40
    chosen = equal_budget({"short": short, "long": long}, 100)
    assert {frame.height for frame in chosen.values()} == {100}
    # The wanted mean lies between the two; with whole pairs the sums agree to less than half the
    # longest pair.
    assert abs(sums(chosen)["short"] - sums(chosen)["long"]) <= 20
    assert max(sums(chosen).values()) < 1.01 * min(sums(chosen).values())
    free = equal_budget({"short": short, "long": long}, 100, tokens=False)
    assert sums(free)["long"] > 1.3 * sums(free)["short"]


def test_the_tilted_draw_is_the_brute_force_nearest_one_of_its_family() -> None:
    frame = sized(pairs(12), [3, 9, 4, 7, 5, 8, 6, 2, 9, 3, 7, 5])
    lengths = frame["text_tokens"].to_numpy().astype(float)
    for n, target in ((4, 24.0), (6, 30.0), (3, 6.0)):
        found = _tilted(frame, lengths, n, target)["text_tokens"].sum()
        keys = np.log(-np.log(_units(frame).to_numpy()))
        scaled = (lengths - lengths.mean()) / lengths.std()
        reached = [
            lengths[np.argsort(keys - s * scaled)[:n]].sum() for s in np.linspace(-60, 60, 4001)
        ]
        assert abs(found - target) <= min(abs(r - target) for r in reached)


def test_fewer_pairs_are_taken_where_only_they_can_have_equal_tokens() -> None:
    short = sized(pairs(10), [10] * 7 + [30] * 3)
    long = sized(pairs(10), [20] * 6 + [60] * 4)
    chosen = equal_budget({"short": short, "long": long}, 10)
    # Ten pairs: 160 against 360. Six: at most 3 * 30 + 3 * 10 = 120, at least 6 * 20 = 120.
    assert {frame.height for frame in chosen.values()} == {6} and sums(chosen) == {
        "short": 120,
        "long": 120,
    }


def test_where_no_draw_has_equal_tokens_only_the_pairs_are_equal() -> None:
    short, long = sized(pairs(10), [10] * 10), sized(pairs(10), [50] * 10)
    chosen = equal_budget({"short": short, "long": long}, 8)
    assert {frame.height for frame in chosen.values()} == {8} and sums(chosen) == {
        "short": 80,
        "long": 400,
    }
    uncounted = equal_budget({"a": sized(pairs(5), [None] * 5), "b": long}, 8)
    assert {frame.height for frame in uncounted.values()} == {5}


def test_a_control_draws_the_same_pairs_as_its_source_under_a_token_budget_too() -> None:
    tokens = [10 + i % 31 for i in range(60)]
    source, control = sized(pairs(60), tokens), sized(pairs(60, swap=True), tokens)
    long = sized(pairs(60), [25 + i % 20 for i in range(60)])
    chosen = equal_budget({"real": source, "control": control, "long": long}, 30)
    assert chosen["real"]["prompt_id"].to_list() == chosen["control"]["prompt_id"].to_list()


def test_lists_and_single_texts_get_the_tokens_of_the_pairs_and_the_rows_that_makes() -> None:
    items = [[{"item_id": f"i{i}{j}"} for j in range(4)] for i in range(30)]
    ids = {"prompt_id": [f"p{i}" for i in range(30)], "split": ["train"] * 30}
    lists = sized(pl.DataFrame({**ids, "items": items}), [50] * 30)
    singles = sized(
        pl.DataFrame({**ids, "response_id": [f"r{i}" for i in range(30)], "desirable": True}),
        [7] * 30,
    )
    chosen = equal_budget(
        {"pairs": sized(pairs(20), [20] * 20), "lists": lists, "singles": singles}, 10
    )
    assert {name: frame.height for name, frame in chosen.items()} == {
        "pairs": 10,
        "lists": 4,
        "singles": 29,
    }
    assert sums(chosen) == {"pairs": 200, "lists": 200, "singles": 203}
    few = equal_budget({"pairs": sized(pairs(20), [20] * 20), "lists": lists.head(3)}, 10)
    assert sums(few) == {"pairs": 140, "lists": 150}  # all three lists hold 150 tokens: 7 pairs
    fewer = equal_budget({"pairs": sized(pairs(20), [20] * 20), "lists": lists.head(1)}, 10)
    assert sums(fewer) == {"pairs": 100, "lists": 50}  # pairs shrink by half at most
    # without pairs there is no budget of tokens
    assert equal_budget({"lists": lists}, 10)["lists"].height == 10


def of(prompts: str, split: str = "train") -> pl.DataFrame:
    """A pair of each prompt, a letter each."""
    ids = [f"{prompt}{i}" for i, prompt in enumerate(prompts)]
    return pl.DataFrame(
        {"prompt_id": list(prompts), "chosen_id": ids, "rejected_id": ids[::-1], "split": split}
    )


def test_common_prompts_are_those_that_every_variant_with_a_pair_has() -> None:
    rows = {
        "a": pl.concat([of("ppqrs"), of("xyz", "validation")]),
        "b": of("qqpt"),
        "c": of("rtqpu"),
        "none": of("v").clear(),
    }
    found = common_prompts(rows)
    assert {name: "".join(frame["prompt_id"]) for name, frame in found.items()} == {
        "a": "ppqxyz", "b": "qqp", "c": "qp", "none": "",
    }  # fmt: skip
    assert common_prompts({"none": rows["none"]})["none"].is_empty()
    with pytest.raises(
        OrchardError,
        match=r"no prompt has a training pair of every variant \(a of 4, d of 1 prompts\)",
    ):
        common_prompts({"a": rows["a"], "d": of("z"), "none": rows["none"]})
