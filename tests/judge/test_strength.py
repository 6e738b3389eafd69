"""Strengths by hand, by closed form and by brute force."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from pipeline.config import JudgeSettings
from pipeline.judge.strength import bradley_terry, paired, per_pair, ranked
from tests.judge.simulated import sigmoid, votes

PLAIN = JudgeSettings()


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def pair(p_ab: float, p_ba: float, **changes: object) -> dict[str, object]:
    settings_ = PLAIN.model_copy(update=changes)
    return paired(votes([("a", "b", p_ab), ("b", "a", p_ba)]), settings_).to_dicts()[0]


def test_two_orders_that_agree_are_averaged_as_the_setting_says() -> None:
    # a wins with 0.9 when first, and with 1 - 0.2 when second
    assert pair(0.9, 0.2, combine="mean")["strength"] == pytest.approx(0.85)
    # odds 9 and 4: their geometric mean is 6
    by_hand = sigmoid((math.log(0.9 / 0.1) + math.log(0.8 / 0.2)) / 2)
    assert by_hand == pytest.approx(6 / 7) == pair(0.9, 0.2)["strength"]


@pytest.mark.parametrize(
    ("p_ab", "p_ba", "flipped"), [(0.9, 0.8, True), (0.3, 0.4, True), (0.5, 0.1, False)]
)
def test_a_pair_whose_orders_disagree_or_tie_carries_one_half(
    p_ab: float, p_ba: float, flipped: bool
) -> None:
    found = pair(p_ab, p_ba)
    assert (found["strength"], found["consistent"], found["flipped"]) == (0.5, False, flipped)
    assert ranked(
        per_pair(paired(votes([("a", "b", p_ab), ("b", "a", p_ba)]), PLAIN)), "all"
    ).is_empty()


def test_a_pair_asked_in_one_order_only_is_left_out() -> None:
    assert paired(votes([("a", "b", 0.9)]), PLAIN).is_empty()


@given(st.floats(-1.5, 1.5), st.floats(-2, 2))
@settings(max_examples=50, deadline=None)
def test_a_seat_that_adds_to_the_log_odds_cancels_exactly(truth: float, seat: float) -> None:
    rows = votes([("a", "b", sigmoid(truth + seat)), ("b", "a", sigmoid(-truth + seat))])
    found = paired(rows, PLAIN.model_copy(update={"seat_correction": True})).to_dicts()[0]
    assert found["p"] == pytest.approx(sigmoid(truth)) and found["seat"] == pytest.approx(
        seat, abs=1e-9
    )
    if abs(truth) > 1e-6:
        assert found["consistent"] and found["strength"] == pytest.approx(sigmoid(truth))


def test_through_one_baseline_the_strengths_are_those_of_the_closed_form() -> None:
    s = {"b": 0.8, "c": 0.3, "d": 0.6}  # against the baseline a
    theta = bradley_terry({(one, "a"): p for one, p in s.items()})
    for one in s:
        assert sigmoid(theta[one][0] - theta["a"][0]) == pytest.approx(s[one], abs=1e-9)
        for other in s:
            expected = sigmoid(logit(s[one]) - logit(s[other]))
            assert sigmoid(theta[one][0] - theta[other][0]) == pytest.approx(expected, abs=1e-9)


def test_on_a_cycle_the_strengths_are_those_of_a_general_optimiser() -> None:
    edges = {("a", "b"): 0.9, ("b", "c"): 0.7, ("a", "c"): 0.2, ("c", "d"): 0.95, ("a", "d"): 0.5}
    ids = ["a", "b", "c", "d"]

    def loss(free: np.ndarray) -> float:
        at = dict(zip(ids, [0.0, *free], strict=True))
        return -sum(
            p * math.log(sigmoid(at[x] - at[y])) + (1 - p) * math.log(sigmoid(at[y] - at[x]))
            for (x, y), p in edges.items()
        )

    best = minimize(
        loss,
        np.zeros(3),
        method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 4000},
    ).x
    theta = bradley_terry(edges)
    found = [theta[one][0] - theta["a"][0] for one in ids[1:]]
    assert found == pytest.approx(best.tolist(), abs=1e-5)


def test_responses_that_were_never_linked_are_not_compared() -> None:
    pairs = pl.DataFrame(
        {"prompt_id": "p", "a_id": ["a", "c"], "b_id": ["b", "d"], "strength": [0.9, 0.6]}
    )
    assert ranked(pairs, "all").select("better_id", "worse_id").rows() == [("a", "b"), ("c", "d")]


def star(**against_a: float) -> pl.DataFrame:
    rows = [
        {"prompt_id": "p", "a_id": "a", "b_id": one, "strength": 1 - s}
        for one, s in against_a.items()
    ]
    return pl.DataFrame(rows)


def test_all_ranks_or_neighbouring_ranks_make_pairs_and_ties_none() -> None:
    # b and c share rank 0; a and e share rank 1; d is last
    pairs = star(b=0.8, c=0.8, d=0.3, e=0.5)
    found = {
        (x, y): s
        for x, y, s in ranked(pairs, "all").select("better_id", "worse_id", "strength").iter_rows()
    }
    assert set(found) == {*((x, y) for x in "bc" for y in "aed"), ("a", "d"), ("e", "d")}
    assert found["b", "d"] == pytest.approx(sigmoid(logit(0.8) - logit(0.3)))
    adjacent = set(ranked(pairs, "adjacent").select("better_id", "worse_id").rows())
    assert adjacent == set(found) - {("b", "d"), ("c", "d")}


def test_an_inconsistent_pair_makes_no_pair_even_where_others_would_rank_it() -> None:
    pairs = pl.DataFrame(
        {
            "prompt_id": "p",
            "a_id": ["a", "a", "b"],
            "b_id": ["b", "c", "c"],
            "strength": [0.5, 0.9, 0.7],
        }
    )
    assert set(ranked(pairs, "all").select("better_id", "worse_id").rows()) == {
        ("a", "c"),
        ("b", "c"),
    }


def test_several_voters_are_combined_by_their_mean_log_odds() -> None:
    rows = pl.concat(
        [
            votes([("a", "b", p), ("b", "a", 1 - p)], judge_id=name)
            for name, p in (("j", 0.9), ("k", 0.8))
        ]
    )
    assert per_pair(paired(rows, PLAIN))["strength"].to_list() == pytest.approx([6 / 7])


def test_the_order_of_rows_does_not_matter() -> None:
    names = "abcd"
    rows = votes(
        [
            (x, y, 0.5 + 0.07 * (i - j))
            for i, x in enumerate(names)
            for j, y in enumerate(names)
            if x != y
        ]
    )
    one, other = (ranked(per_pair(paired(r, PLAIN)), "all") for r in (rows, rows.reverse()))
    assert one.height and one.drop("strength").equals(other.drop("strength"))
    assert one["strength"].to_list() == pytest.approx(other["strength"].to_list(), abs=1e-12)
