"""The self-test on features whose reward was drawn here, so that the right answers are known."""

import math

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from pipeline.config import NoiseSettings
from pipeline.errors import OrchardError
from pipeline.noise.features import Features
from pipeline.noise.heads import fit_heads
from pipeline.noise.judgement import judge
from pipeline.noise.selftest import SelfTest, noise_test
from pipeline.noise.votes import read_votes
from pipeline.noise.voting import judged, own_scores, pair_votes, recorded_votes
from pipeline.tables import TABLES

SETTINGS = NoiseSettings(
    models=4, folds=3, min_steps=120, learning_rate=5e-3, test_shares=(0.2, 0.4)
)


def drawn(n: int, width: int = 16) -> tuple[Features, pl.DataFrame]:
    """n pairs of n / 2 prompts whose chosen side has the higher linear reward."""
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(2 * n, width)).astype(np.float32)
    reward = matrix @ rng.normal(size=width)
    better = np.where(reward[:n] > reward[n:], np.arange(n), np.arange(n) + n)
    worse = (better + n) % (2 * n)
    pairs = pl.DataFrame(
        {
            "pair_id": [f"pair{i:04d}" for i in range(n)],
            "prompt_id": [f"prompt{i // 2}" for i in range(n)],
            "split": ["train"] * n,
            "method": "made",
            "chosen_id": [f"r{i}" for i in better],
            "rejected_id": [f"r{i}" for i in worse],
            "chosen_text_id": [f"t{i:04d}" for i in better],
            "rejected_text_id": [f"t{i:04d}" for i in worse],
            "chosen_tokens": rng.integers(5, 20, n),
            "rejected_tokens": rng.integers(5, 20, n),
            "margin": 1.0,
        }
    )
    return Features([f"t{i:04d}" for i in range(2 * n)], matrix), pairs


@pytest.fixture(scope="module")
def found() -> SelfTest:
    return noise_test(*drawn(500), SETTINGS, seed=0)


def value(found: SelfTest, share: float, name: str, metric: str) -> dict[str, float]:
    rows = found.rows.filter(flipped_share=share, name=name, metric=metric).to_dicts()
    assert len(rows) == 1, (name, metric)
    return rows[0]


def test_its_rows_keep_the_tables_rules(found: SelfTest) -> None:
    good, bad = TABLES["noise_tests"].filter(found.rows)
    assert good.height == found.rows.height and not bad.counts()


def test_the_vote_finds_flipped_labels_and_chance_does_not(found: SelfTest) -> None:
    for scorer in ("mean margin", "LCPO", "share of voters against"):
        assert value(found, 0.2, scorer, "auroc")["value"] > 0.9
        assert value(found, 0.2, scorer, "precision_at_k")["value"] > 0.6  # chance: 0.2
    for scorer in ("random (control)", "length (baseline)"):
        row = value(found, 0.2, scorer, "auroc")
        assert row["low"] < 0.5 < row["high"]


def test_a_treatment_lies_between_none_and_the_oracle_and_above_its_control(
    found: SelfTest,
) -> None:
    none, oracle = (value(found, 0.4, name, "accuracy")["value"] for name in ("none", "oracle"))
    assert oracle > none + 0.08
    for name in ("drop", "weight", "margin", "posterior"):
        mine, control = (
            value(found, 0.4, n, "accuracy") for n in (name, f"{name}, votes permuted")
        )
        assert none + 0.02 < mine["value"] < oracle and mine["value"] > control["value"] + 0.02
    # random flips do harm
    assert value(found, 0.4, "flip, votes permuted", "accuracy")["gain_high"] < 0
    assert value(found, 0.4, "none", "accuracy")["gain"] == 0.0
    # rDPO weighs all pairs alike, so that its votes cannot be permuted.
    controls = set(found.rows.filter(kind="control", flipped_share=0.4)["name"])
    treated = {"flip", "margin", "soft", "flip_margin", "drop", "weight", "posterior"}
    assert controls == {"none", "oracle", *(f"{name}, votes permuted" for name in treated)}


def test_strong_labels_are_right_and_weak_ones_are_the_flipped_ones(found: SelfTest) -> None:
    curve = dict(found.accuracy_by_decile["20% flipped"])
    assert curve[9.0] > 0.97 and curve[0.0] < 0.15


def test_a_voter_from_elsewhere_is_a_scorer_that_knows_nothing_of_the_flips() -> None:
    features, pairs = drawn(120)
    # right of every true label
    sure = pl.DataFrame({"pair_id": pairs["pair_id"], "voter_id": "rm@1", "margin": 2.0})
    settings = SETTINGS.model_copy(update={"test_shares": (0.2,)})
    steps: list[tuple[int, int]] = []
    found = noise_test(
        features, pairs, settings, 0, lambda done, of: steps.append((done, of)), sure
    )
    assert steps == [
        (i + 1, 17) for i in range(17)
    ]  # none, oracle, eight treatments, seven controls
    assert (
        value(found, 0.2, "rm@1", "auroc")["value"]
        == value(found, 0.2, "rm@1", "precision_at_k")["value"]
        == 1.0
    )


def test_several_votes_of_nobody_who_was_named_are_averaged() -> None:
    features, pairs = drawn(120)
    both = [
        pl.DataFrame({"pair_id": pairs["pair_id"], "voter_id": "unknown", "margin": m})
        for m in (0.5, -0.3)
    ]
    settings = SETTINGS.model_copy(
        update={"test_shares": (0.2,), "models": 1, "min_steps": 1, "epochs": 1}
    )
    for votes in (both, both[::-1]):
        found = noise_test(features, pairs, settings, 0, None, pl.concat(votes))
        assert value(found, 0.2, "unknown", "auroc")["value"] == 1.0


@pytest.mark.parametrize("share", [10.0, 1.0, 0.0, -0.1, math.nan])
def test_a_share_of_flips_is_between_0_and_1(share: float) -> None:
    with pytest.raises(ValidationError):
        NoiseSettings(test_shares=(share,))


def test_the_order_of_rows_changes_nothing() -> None:
    features, pairs = drawn(120)
    settings = SETTINGS.model_copy(update={"test_shares": (0.2,)})
    one, other = (noise_test(features, p, settings, seed=0).rows for p in (pairs, pairs.reverse()))
    assert one.equals(other)


def test_too_few_pairs_are_one_line() -> None:
    features, pairs = drawn(16)
    with pytest.raises(
        OrchardError, match="noise test: .* pairs to learn from and .* held out: at least 20 pairs"
    ):
        noise_test(features, pairs, SETTINGS, seed=0)


def test_a_judges_two_orders_become_one_vote_for_the_labelled_side() -> None:
    pairs = pl.DataFrame(
        {"pair_id": ["x", "y"], "chosen_id": ["a", "d"], "rejected_id": ["b", "c"]}
    )
    votes = pl.DataFrame(
        [("a", "b", 0.9), ("b", "a", 0.4), ("c", "d", 0.2), ("e", "f", 0.5)],
        schema=["first_id", "second_id", "p_first"],
        orient="row",
    ).with_columns(judge_id=pl.lit("j"), criterion=pl.lit("help"))
    read, rejects = read_votes(judged(pairs, votes), known=pairs["pair_id"].to_list())
    assert (
        read.select("pair_id", "voter_id").rows() == [("x", "j on help"), ("y", "j on help")]
        and not rejects
    )
    assert read["p"].to_list() == pytest.approx([(0.9 + 0.6) / 2, 0.8])


def test_scores_become_votes_strengths_and_voters() -> None:
    features, clean = drawn(400)
    wrong = pl.Series(np.arange(400) % 5 == 0)  # every fifth label is the wrong way round
    names = ("id", "text_id", "tokens")
    pairs = clean.with_columns(
        pl.when(wrong).then(f"{b}_{name}").otherwise(f"{a}_{name}").alias(f"{a}_{name}")
        for name in names
        for a, b in (("chosen", "rejected"), ("rejected", "chosen"))
    )
    scores, curves = own_scores(features, pairs, SETTINGS, 0, "model@1", fit_heads(SETTINGS))
    assert scores.height == 800 * SETTINGS.models and len(curves) == SETTINGS.models
    assert all(curve[-1][1] < curve[0][1] for curve in curves.values())
    votes = pair_votes(pairs, scores, "made")
    people = pl.DataFrame({"pair_id": pairs["pair_id"], "voter_id": "ann", "label": ~wrong}).head(
        200
    )
    few = recorded_votes(pairs, read_votes(people)[0], "made")
    strength, voters = judge(pairs, pl.concat([votes, few]), "made", SETTINGS)
    for table, rows in (
        ("scores", scores),
        ("pair_votes", votes),
        ("pair_strengths", strength),
        ("voters", voters),
    ):
        good, bad = TABLES[table].filter(rows)
        assert good.height == rows.height and not bad.counts(), table
    known = dict(voters.select("voter_id", "consensus").iter_rows())
    assert known["label:made"] == pytest.approx(0.8, abs=0.04)
    assert known["ann"] > 0.93  # right on all of her 200 pairs
    right = votes.join(pairs.select("pair_id", wrong=wrong), on="pair_id")
    really = right.group_by("voter_id").agg(((pl.col("margin") > 0) != pl.col("wrong")).mean())
    for name, share in really.iter_rows():
        # a head's share of right sides, which nobody told us
        assert known[name] == pytest.approx(share, abs=0.06)
    assert voters.filter(kind="reward head")["calibration_error"].max() < 0.2
    noise = dict(strength.select("pair_id", "noise_score").iter_rows())
    found = np.array([noise[pair] for pair in pairs["pair_id"]])
    assert ((found > 0.5) == wrong.to_numpy()).mean() > 0.9  # 0.8 were right before
