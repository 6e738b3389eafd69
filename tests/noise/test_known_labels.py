"""Reliability on pairs whose better side the lake knows, by its verifier or by annotators."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from assets.cli.importing_votes import bring_votes
from pipeline import tables
from pipeline.config import NoiseSettings
from pipeline.noise.judgement import NOTHING_KNOWN, judge
from pipeline.noise.truth import measured
from pipeline.store import Commit, Lake
from tests.judge import simulated
from tests.preferences.test_build import frame

RIGHT = {"a": 0.443, "b": 0.4, "c": 0.845}
N = 200


def test_the_share_of_right_sides_by_hand_and_with_annotators_of_two_minds() -> None:
    known = pl.DataFrame({"pair_id": ["p", "q", "r", "s"], "right": [1.0, 0.0, 0.75, 0.5]})
    sides = pl.DataFrame({"pair_id": ["p", "q", "r", "s", "t"], "voter_id": "v", "side": 2.0})
    (row,) = measured(sides, known).to_dicts()
    # c = 1, -1, 1/2: (1 - 1 + 1/2) / (1 + 1 + 1/4) = 2/9; the undecided and the unknown say nothing
    assert row["n_known"] == 3 and row["reliability"] == pytest.approx((1 + 2 / 9) / 2)
    assert measured(sides.head(2), known)["reliability"].item() == 0.5
    assert measured(sides, known.clear()).is_empty()


@pytest.mark.parametrize("sure", [True, False])
def test_the_interval_holds_the_truth_in_2000_worlds(sure: bool) -> None:
    rng = np.random.default_rng(0)
    worlds, n, eta = 2000, 101, 0.7  # Wilson's is exact here
    share = np.ones((worlds, n)) if sure else rng.choice([0.6, 0.75, 1.0], (worlds, n))
    truth = rng.random((worlds, n)) < share  # whether the chosen side is better
    says = np.where(rng.random((worlds, n)) < eta, truth, ~truth)
    ids = [f"{i}" for i in range(worlds * n)]
    sides = pl.DataFrame(
        {
            "pair_id": ids,
            "voter_id": np.repeat([f"w{i:04d}" for i in range(worlds)], n),
            "side": np.where(says, 1.0, -1.0).ravel(),
        }
    )
    found = measured(sides, pl.DataFrame({"pair_id": ids, "right": share.ravel()}))
    assert found["reliability"].mean() == pytest.approx(eta, abs=0.005)
    held = found.select(((pl.col("low") <= eta) & (pl.col("high") >= eta)).mean()).item()
    assert 0.93 <= held <= 0.97


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Recorded pairs with labels, and one pair that a verifier told apart."""
    monkeypatch.setenv("ORCHARD_HOME", str(tmp_path))
    rows = [
        {"pair_id": f"r{i}", "prompt_id": f"q{i}", "first_id": f"f{i}", "second_id": f"s{i}",
         "label": float(i % 2), "origin": "bench"}
        for i in range(N)
    ]  # fmt: skip
    with Lake(tmp_path) as lake:
        lake.write("recorded_pairs", frame("recorded_pairs", rows), Commit("test"))
        lake.write("prompts", simulated.prompts("p"), Commit("test"))
        right = simulated.responses({"p": ["7", "8"]}, lambda text: text == "7")
        lake.write("responses", right, Commit("test"))
    return tmp_path


def test_a_verifier_comes_before_annotators_and_sides_may_be_turned(home: Path) -> None:
    pairs = pl.DataFrame(
        {
            "pair_id": ["verified", "turned", "straight", "strange"],
            "chosen_id": ["p-0", "s1", "f3", "nobody"],
            "rejected_id": ["p-1", "f1", "s3", "f1"],
        }
    )
    with Lake(home) as lake:
        recorded = {"pair_id": "v", "prompt_id": "p", "first_id": "p-0", "second_id": "p-1",
                    "label": 0.0, "origin": "other"}  # fmt: skip
        lake.write("recorded_pairs", frame("recorded_pairs", [recorded]),
                   Commit("test"), partition={"origin": "other"})  # fmt: skip
        verified = lake.query_file("known_labels", frames={"pairs": pairs}).rows()
    assert verified == [
        ("straight", 1.0, False),
        ("turned", 0.0, False),
        ("verified", 1.0, True),
    ]


@pytest.mark.parametrize(
    ("verdicts", "annotated", "expected"),
    [
        ((1.0, 1.0, 1.0), (), (None, 0)),  # they made the labels
        ((1.0, 0.0, 1.0), (), (2 / 3, 3)),
        ((1.0, 1.0), (1.0, 0.0), (0.5, 2)),
        ((), (), (None, 0)),
    ],
)
def test_verdicts_that_made_the_labels_do_not_prove_them_right(
    verdicts: tuple[float, ...],
    annotated: tuple[float, ...],
    expected: tuple[float | None, int],
) -> None:
    right = [*verdicts, *annotated]
    ids = [f"k{i}" for i in range(len(right))]
    known = pl.DataFrame(
        {"pair_id": ids, "right": right, "verified": [i < len(verdicts) for i in range(len(ids))]},
        schema=NOTHING_KNOWN.schema,
    )
    names = [f"k{i}" for i in range(8)]
    pairs = pl.DataFrame(
        {"pair_id": names, "chosen_id": names, "rejected_id": [f"{n}-" for n in names],
         "prompt_id": names, "split": ["train"] * 8, "method": ["m"] * 8}
    )  # fmt: skip
    votes = pl.concat(
        pairs.select(
            "pair_id", "chosen_id", "rejected_id", "prompt_id", "split",
            voter_id=pl.lit(voter), family=pl.lit(None, pl.String), kind=pl.lit("recorded"),
            source=pl.lit("s"), number=pl.lit(0, pl.Int64), margin=pl.lit(None, pl.Float64),
            p=pl.Series([float((i + shift) % 4 > 0) for i in range(8)]),
        )
        for shift, voter in enumerate("ab")
    )  # fmt: skip
    _, voters = judge(pairs, votes, "s", NoiseSettings(), known)
    label = voters.row(by_predicate=pl.col("kind") == "label", named=True)
    assert label["n_known"] == expected[1] and label["consensus"] is not None
    assert label["reliability"] == pytest.approx(expected[0])
    other = voters.row(by_predicate=pl.col("voter_id") == "a", named=True)
    assert other["n_known"] == len(known)


def test_recorded_judges_are_as_reliable_as_they_are_right(home: Path, tmp_path: Path) -> None:
    """Two of them err together, and agree with each other more than with the third."""
    rng = np.random.default_rng(1)
    common = rng.permutation(N)
    votes = []
    for name, share in RIGHT.items():
        order = rng.permutation(N) if name == "c" else common
        for place, i in enumerate(order):
            is_right = place < round(share * N)
            first = (i % 2 == 1) == is_right
            votes.append({"pair_id": f"r{i}", "voter_id": name, "label": int(first)})
    file = tmp_path / "judges.jsonl"
    file.write_text("\n".join(map(json.dumps, votes)))
    voters = {row["voter_id"]: row for row in bring_votes(file, "error").voters.to_dicts()}
    for name, share in RIGHT.items():
        assert voters[name]["reliability"] == pytest.approx(round(share * N) / N)
        assert voters[name]["n_known"] == N
        assert voters[name]["low"] < share < voters[name]["high"]
    # what they say of each other is another thing, and has another name
    assert voters["a"]["consensus"] > 0.9 and "accuracy" not in voters["a"]


def test_where_nothing_is_known_reliability_is_unknown(home: Path, tmp_path: Path) -> None:
    with Lake(home) as lake:
        rows = lake.read("recorded_pairs").with_columns(label=pl.lit(None, pl.Float64))
        lake.write("recorded_pairs", rows, Commit("test"))
    file = tmp_path / "judges.csv"
    lines = [f"r{i},{name},{i % 2}" for i in range(5) for name in "ab"]
    file.write_text("\n".join(["pair_id,voter_id,label", *lines]))
    voters = bring_votes(file, "error").voters
    assert voters["reliability"].null_count() == 2 and set(voters["n_known"]) == {0}
    assert tables.empty("voters").schema["consensus"] == pl.Float64
