"""Recorded votes: what comes in, what is turned away and why."""

import math

import polars as pl
import pytest

from pipeline.errors import OrchardError
from pipeline.noise.votes import read_votes


def test_scores_probabilities_and_labels_take_one_shape() -> None:
    base = {"pair_id": ["a", "b"], "voter_id": ["k", "k"]}
    shapes: list[dict[str, list[object]]] = [
        {"p": [0.25, 1.0]},
        {"label": [0, 1]},
        {"margin": [math.log(3), -2.0]},
    ]
    read = [read_votes(pl.DataFrame({**base, **values}))[0] for values in shapes]
    assert read[0].select("p", "margin").rows() == [(0.25, None), (1.0, None)]
    assert read[1].select("p", "margin").rows() == [(0.0, None), (1.0, None)]
    assert read[2]["p"].to_list() == pytest.approx([0.75, 1 / (1 + math.exp(2))])


def test_both_orders_of_one_voter_become_one_vote_however_often_each_was_asked() -> None:
    votes = pl.DataFrame(
        {
            "pair_id": "a",
            "voter_id": "k",
            "p": [0.9, 0.9, 0.3],
            "order": ["first", "first", "second"],
        }
    )
    read, _ = read_votes(votes, duplicates="mean")
    assert read.rows() == [("a", "k", pytest.approx(0.6), None)]


def test_what_is_no_vote_is_rejected_with_its_reason() -> None:
    rows = [
        ("a", 0.5),
        (None, 0.5),
        ("b", math.nan),
        ("c", math.inf),
        ("d", 1.5),
        ("e", None),
        ("z", 0.5),
    ]
    frame = pl.DataFrame(rows, schema=["pair_id", "p"], orient="row")
    votes, rejects = read_votes(frame, known={"a", "b", "c", "d", "e"})
    assert votes.select("pair_id", "voter_id").rows() == [("a", "unknown")]
    assert [(r.row_id, r.reason) for r in rejects] == [
        (None, "no pair_id"),
        ("b", "no p"),  # NaN is what pandas writes for null
        ("c", "p is not finite"),
        ("d", "p is outside [0, 1]"),
        ("e", "no p"),
        ("z", "no such pair"),
    ]


def test_labels_are_true_and_false_too_and_what_cannot_be_read_is_one_rows_fault() -> None:
    words = pl.DataFrame(
        {"pair_id": ["a", "b", "c", "d", "e"], "label": ["true", "False", " 1 ", "maybe?", ""]}
    )
    votes, rejects = read_votes(words)
    assert votes.select("pair_id", "p").rows() == [("a", 1.0), ("b", 0.0), ("c", 1.0)]
    assert [(r.row_id, r.reason) for r in rejects] == [
        ("d", "label is 'maybe?', not a number"),
        ("e", "no label"),
    ]
    assert rejects[0].row is not None and rejects[0].row["said"] == "maybe?"
    truths = read_votes(pl.DataFrame({"pair_id": ["a", "b"], "label": [True, False]}))[0]
    assert truths["p"].to_list() == [1.0, 0.0]
    shares, rejects = read_votes(
        pl.DataFrame({"pair_id": ["a", "b", "c"], "p": ["0.1", "n/a", "true"]})
    )
    assert shares["p"].to_list() == [0.1] and [r.reason for r in rejects] == [
        "p is 'n/a', not a number", "p is 'true', not a number"
    ]  # fmt: skip


def test_duplicates_are_a_named_error_or_their_mean_and_unknown_annotators_have_none() -> None:
    twice = pl.DataFrame({"pair_id": ["a", "a"], "voter_id": ["k", "k"], "label": [1, 0]})
    with pytest.raises(
        OrchardError, match=r"voter 'k' votes 2 times on pair 'a' in one order \(1 such cases\)"
    ):
        read_votes(twice)
    assert read_votes(twice, duplicates="mean")[0]["p"].to_list() == [0.5]
    assert read_votes(twice.drop("voter_id"))[0]["p"].to_list() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        ({"voter_id": ["k"], "p": [1.0]}, "column 'pair_id' is missing"),
        ({"pair_id": ["a"]}, "exactly one of the columns p, label, margin is needed: found none"),
        ({"pair_id": ["a"], "p": [1.0], "margin": [1.0]}, "exactly one of"),
    ],
)
def test_a_file_of_the_wrong_shape_is_one_line(frame: dict[str, list[object]], says: str) -> None:
    with pytest.raises(OrchardError, match=says):
        read_votes(pl.DataFrame(frame))
