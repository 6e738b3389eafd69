"""Which answer each rule takes: by hand, and against brute force over random answers."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.selection.choose import by_tournament, by_vote, of_highest, pooled

SAID = st.lists(st.sampled_from(["a", "b", "c", None]), min_size=2, max_size=7)


def test_a_vote_takes_the_commonest_answer_and_shares_a_tie() -> None:
    assert by_vote(["7", "8", "7"]).tolist() == [0.5, 0, 0.5]
    assert by_vote(["7", "8", None]).tolist() == [0.5, 0.5, 0]
    assert by_vote(["7", "8", "7", "8"]).tolist() == [0.25] * 4
    assert by_vote([None, None]).tolist() == [0.5, 0.5]


def test_the_highest_score_takes_all_and_ties_share() -> None:
    assert of_highest(np.array([0.1, 0.9, 0.9])).tolist() == [0, 0.5, 0.5]


def test_a_tournament_by_hand() -> None:
    """The two 7s win against each other once each, and twice against the 8; scores cannot help."""
    assert by_tournament(["7", "7", "8"], np.array([0.2, 0.1, 0.0])).tolist() == [0.5, 0.5, 0]
    # 8 scores higher than both: 4 wins against 1 each.
    assert by_tournament(["7", "7", "8"], np.array([0.2, 0.1, 0.3])).tolist() == [0, 0, 1]
    # Between the scores: 8 wins 2 of 4 against the 7s, the better 7 its 2 and one from its equal.
    assert by_tournament(["7", "7", "8"], np.array([0.3, 0.1, 0.2])).tolist() == [1, 0, 0]


@given(SAID, st.randoms())
def test_shares_are_one_choice_whatever_is_said(said: list[str | None], random) -> None:  # type: ignore[no-untyped-def]
    scores = np.array([random.choice([0.0, 1.0, 2.0]) for _ in said])
    for shares in (by_vote(said), of_highest(scores), by_tournament(said, scores)):
        assert shares.min() >= 0 and shares.sum() == pytest.approx(1)


@given(SAID, st.randoms())
def test_a_tournament_counts_every_ordered_pair(said: list[str | None], random) -> None:  # type: ignore[no-untyped-def]
    scores = np.array([float(n) for n in random.sample(range(20), len(said))])
    wins = [0.0] * len(said)
    for i, j in product(range(len(said)), repeat=2):
        if i != j:
            same = said[i] is not None and said[i] == said[j]
            wins[i if same or scores[i] > scores[j] else j] += 1
    best = {i for i, n in enumerate(wins) if n == max(wins)}
    taken = set(np.flatnonzero(by_tournament(said, scores)).tolist())
    assert taken == best


@given(SAID)
def test_without_scores_a_tournament_is_a_draw_at_random_and_no_vote(
    said: list[str | None],
) -> None:
    """One win of two against each other answer, whoever says the same: company is no advantage."""
    assert by_tournament(said, np.zeros(len(said))) == pytest.approx(1 / len(said))


def test_scores_of_steps_become_one() -> None:
    steps = [0.5, -1.0, 0.2]
    assert [pooled(steps, how) for how in ("last", "mean", "min")] == [0.2, pytest.approx(-0.1), -1]
