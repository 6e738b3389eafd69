"""Estimated reliabilities against voters of known reliability, and against another library."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import optimize

from pipeline.noise.calibrate import calibrated_prior, fit
from pipeline.noise.reliability import Reliability, dawid_skene, lcpo, one_coin
from pipeline.noise.votes import read_votes
from tests.noise.simulate import ETAS, World, auroc, bayes, world

LABEL = "label"


def labelled(w: World) -> pl.DataFrame:
    """The votes, and the labels as one more voter's: the chosen side is the labelled one."""
    return pl.concat([w.votes, pl.DataFrame({"pair_id": w.pair_ids, "voter_id": LABEL, "p": 1.0})])


def eta(found: Reliability) -> dict[str, float]:
    return dict(found.voters.select("voter_id", "reliability").iter_rows())


@pytest.mark.parametrize("seen", [1.0, 0.6])
def test_known_reliabilities_are_found_and_flips_are_ranked_as_bayes_rule_ranks_them(
    seen: float,
) -> None:
    w = world(8000, ETAS, seen=seen)
    found = lcpo(labelled(w))
    for name, true in {**ETAS, LABEL: 0.7}.items():
        assert eta(found)[name] == pytest.approx(true, abs=0.03)
    score = found.pairs.sort("pair_id")["noise_score"].to_numpy()
    best = auroc(bayes(w, ETAS, 0.7), ~w.right)
    assert auroc(score, ~w.right) == pytest.approx(best, abs=0.01) and best > 0.9


def test_single_labels_by_three_annotators_beside_margins_give_their_reliabilities() -> None:
    # LCPO's own setting: one annotator a pair, p from a model. The margins are three times too
    # confident.
    rng = np.random.default_rng(1)
    n = 24000
    odds = rng.normal(0, 2.5, n)  # of the side that a reader sees first
    first = rng.random(n) < 1 / (1 + np.exp(-odds))
    names = np.array(list(ETAS))[rng.integers(0, 3, n)]
    says_right = rng.random(n) < np.array([ETAS[name] for name in names])
    margin = np.where(first == says_right, 1, -1) * odds  # of the labelled side over the other
    ids = [f"p{i:06d}" for i in range(n)]
    votes = pl.DataFrame({"pair_id": ids, "voter_id": names, "p": 1.0})
    prior = calibrated_prior(pl.DataFrame({"pair_id": ids, "mean": 3 * margin}))
    found = lcpo(votes, prior)
    for name, true in ETAS.items():
        assert eta(found)[name] == pytest.approx(true, abs=0.03)
    raw = lcpo(votes, pl.DataFrame({"pair_id": ids, "p": 1 / (1 + np.exp(-3 * margin))}))
    assert eta(raw)["good"] < 0.9  # what calibration is for
    known = np.array([ETAS[name] for name in names])
    p = 1 / (1 + np.exp(-margin))
    best = auroc((1 - p) * (1 - known) / ((1 - p) * (1 - known) + p * known) * -1 + 1, says_right)
    assert auroc(
        1 - found.pairs.sort("pair_id")["noise_score"].to_numpy(), says_right
    ) == pytest.approx(best, abs=0.01)


def test_one_label_and_one_prior_give_the_papers_formula() -> None:
    votes = pl.DataFrame({"pair_id": ["a"], "voter_id": ["k"], "p": [1.0]})
    found = lcpo(votes, pl.DataFrame({"pair_id": ["a"], "p": [0.3]}), max_iterations=1)
    assert found.pairs["p"].item() == pytest.approx(0.3 * 0.9 / (0.3 * 0.9 + 0.7 * 0.1))


def test_dawid_skene_agrees_with_crowd_kit() -> None:
    crowdkit = pytest.importorskip("crowdkit.aggregation.classification.dawid_skene")
    w = world(800, {**ETAS, "d": 0.7, "e": 0.75}, seen=0.8, clean=0.6)
    theirs = w.votes.rename({"pair_id": "task", "voter_id": "worker"}).with_columns(
        label=pl.col("p").cast(int)
    )
    two = crowdkit.DawidSkene(n_iter=500, tol=1e-9).fit(theirs.to_pandas())
    ours = dawid_skene(w.votes, pseudo=1e-9).pairs
    expected = two.probas_.loc[ours["pair_id"].to_list()][1].to_numpy()
    assert np.abs(ours["p"].to_numpy() - expected).max() < 2e-3


def plain_em(p: np.ndarray, start: float) -> tuple[np.ndarray, np.ndarray, int]:
    """EM as it is written, with one right and one wrong pseudo vote:
    etas, posteriors and steps. p: (pairs, voters).
    """
    eta_, steps = np.full(p.shape[1], start), 0
    while True:
        steps += 1
        right, wrong = eta_ * p + (1 - eta_) * (1 - p), eta_ * (1 - p) + (1 - eta_) * p
        w = right.prod(axis=1) / (right.prod(axis=1) + wrong.prod(axis=1))
        hits = (w[:, None] * eta_ * p / right + (1 - w)[:, None] * eta_ * (1 - p) / wrong).sum(
            axis=0
        )
        new = (hits + 1) / (len(p) + 2)
        if np.abs(new - eta_).max() < 1e-12:
            return new, w, steps
        eta_ = new


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("etas", [ETAS, {**ETAS, "liar": 0.2}, {"a": 0.6, "b": 0.55, "c": 0.65}])
def test_leaps_end_where_plain_em_ends_after_fewer_steps(
    soft: bool, etas: dict[str, float]
) -> None:
    w = world(600, etas)
    high = np.sqrt(np.random.default_rng(0).random(w.votes.height))
    shares = pl.when(pl.col("p") == 1).then(pl.Series(high)).otherwise(1 - pl.Series(high))
    votes = w.votes.with_columns(p=shares if soft else pl.col("p"))
    wide = votes.pivot("voter_id", index="pair_id", values="p").sort("pair_id").drop("pair_id")
    expected, posterior, steps = plain_em(wide.to_numpy(), 0.9)
    found = lcpo(votes, tolerance=1e-10)
    for name, value in zip(wide.columns, expected, strict=True):
        assert eta(found)[name] == pytest.approx(value, abs=1e-6)
    assert found.pairs["p"].to_numpy() == pytest.approx(posterior, abs=1e-6)
    assert found.converged and found.iterations < (steps / 3 if soft else steps)


def test_the_one_coin_model_finds_the_maximum_of_the_likelihood() -> None:
    w = world(1500, {**ETAS, "d": 0.7}, seen=0.8, clean=0.6)
    wide = w.votes.pivot("voter_id", index="pair_id", values="p")
    said = wide.drop("pair_id").to_numpy()  # (pairs, voters), NaN where one did not vote

    def loss(parameters: np.ndarray) -> float:
        eta_, share = parameters[:-1], parameters[-1]
        right = np.where(np.isnan(said), 1.0, np.where(said == 1, eta_, 1 - eta_)).prod(axis=1)
        wrong = np.where(np.isnan(said), 1.0, np.where(said == 1, 1 - eta_, eta_)).prod(axis=1)
        return -float(np.log(share * right + (1 - share) * wrong).sum())

    best = optimize.minimize(loss, np.full(5, 0.7), bounds=[(0.5, 0.999)] * 4 + [(0.01, 0.99)])
    found = eta(one_coin(w.votes, pseudo=1e-9))
    for name, value in zip(wide.columns[1:], best.x[:-1], strict=True):
        assert found[name] == pytest.approx(value, abs=2e-3)


def test_dawid_skene_finds_a_voter_that_favours_one_side() -> None:
    rng = np.random.default_rng(3)
    w = world(6000, {"a": 0.9, "b": 0.8, "c": 0.75}, clean=0.5, seed=3)
    # right 0.95 of chosen, 0.5 of rejected
    says = np.where(w.right, rng.random(6000) < 0.95, rng.random(6000) < 0.5)
    votes = pl.concat(
        [
            w.votes,
            pl.DataFrame({"pair_id": w.pair_ids, "voter_id": "biased", "p": says.astype(float)}),
        ]
    )
    assert eta(dawid_skene(votes))["biased"] == pytest.approx((0.95 + 0.5) / 2, abs=0.03)


def test_the_votes_of_a_voter_worse_than_chance_count_the_other_way_round() -> None:
    w = world(4000, {"a": 0.85, "b": 0.8, "liar": 0.1})
    found = one_coin(w.votes)
    assert eta(found)["liar"] == pytest.approx(0.1, abs=0.03)
    without = one_coin(w.votes.filter(pl.col("voter_id") != "liar"))
    gain = [auroc(1 - f.pairs.sort("pair_id")["p"].to_numpy(), ~w.right) for f in (found, without)]
    assert gain[0] > gain[1] + 0.03


def test_weighting_by_reliability_beats_the_vote_share_where_voters_differ() -> None:
    def right_shares(etas: dict[str, float], seed: int) -> tuple[float, float]:
        w = world(4000, etas, clean=0.5, seed=seed)
        share = w.votes.group_by("pair_id").agg(pl.col("p").mean()).sort("pair_id")["p"].to_numpy()
        weighted = one_coin(w.votes).pairs.sort("pair_id")["p"].to_numpy()
        return tuple(float(np.mean((p > 0.5) == w.right)) for p in (weighted, share))  # type: ignore[return-value]

    weighted, share = right_shares({"a": 0.95, "b": 0.6, "c": 0.6, "d": 0.55, "e": 0.55}, 4)
    assert weighted > share + 0.1  # 0.95 against about 0.75 by enumeration of the five votes
    weighted, share = right_shares({name: 0.75 for name in "abcde"}, 5)
    assert weighted > share - 0.005


def test_three_people_are_about_as_reliable_as_they_agree_with_their_majority() -> None:
    frame = pl.read_ndjson(Path(__file__).parent / "data" / "pandalm_votes.jsonl")
    votes, rejects = read_votes(frame)
    assert votes.height == 270 and not rejects
    majority = votes.group_by("pair_id").agg(m=pl.col("p").median())
    sided = votes.join(majority, on="pair_id").filter((pl.col("p") != 0.5) & (pl.col("m") != 0.5))
    agree = dict(sided.group_by("voter_id").agg((pl.col("p") == pl.col("m")).mean()).iter_rows())
    for name, value in eta(one_coin(votes)).items():
        assert value == pytest.approx(agree[name], abs=0.06)


def test_the_order_of_rows_changes_nothing() -> None:
    w = world(500, ETAS, seen=0.7)
    mixed = w.votes.sample(fraction=1.0, shuffle=True, seed=1)
    one, other = lcpo(w.votes), lcpo(mixed)
    assert one.voters.equals(other.voters) and one.pairs.equals(other.pairs)


@pytest.mark.parametrize(
    "worlds", [60, pytest.param(2000, marks=[pytest.mark.long, pytest.mark.timeout(3600)])]
)
def test_intervals_hold_the_truth_about_as_often_as_they_say(worlds: int) -> None:
    inside = []
    for seed in range(worlds):
        found = lcpo(labelled(world(300, ETAS, seed=seed))).voters
        truth = pl.col("voter_id").replace_strict({**ETAS, LABEL: 0.7})
        inside += (
            found.select(truth.is_between(pl.col("low"), pl.col("high"))).to_series().to_list()
        )
    print(f"{len(inside)} intervals of 95 % held the truth in {np.mean(inside):.4f}")
    assert 0.91 <= np.mean(inside) <= 0.985


def test_a_single_voter_without_a_prior_says_nothing_about_itself_nor_about_its_pairs() -> None:
    found = lcpo(pl.DataFrame({"pair_id": ["a", "b"], "voter_id": ["k", "k"], "p": [1.0, 0.0]}))
    assert found.voters.select("reliability", "low", "high").row(0) == (None, None, None)
    assert found.pairs["noise_score"].to_list() == [None, None]


def test_a_voter_that_never_takes_a_side_is_unknown_and_changes_no_pair() -> None:
    w = world(300, ETAS)
    idle = pl.DataFrame({"pair_id": w.pair_ids, "voter_id": "idle", "p": 0.5})
    found, without = lcpo(pl.concat([w.votes, idle])), lcpo(w.votes)
    assert eta(found)["idle"] is None
    assert np.allclose(found.pairs["p"].to_numpy(), without.pairs["p"].to_numpy(), atol=1e-3)


def test_a_voter_that_always_says_the_same_is_right_as_often_as_that_is_true() -> None:
    w = world(4000, ETAS, clean=0.7)
    found = lcpo(labelled(w))
    assert eta(found)[LABEL] == pytest.approx(float(w.right.mean()), abs=0.02)


def test_a_pair_with_a_prior_and_no_vote_keeps_the_prior() -> None:
    votes = pl.DataFrame({"pair_id": ["a"], "voter_id": ["k"], "p": [1.0]})
    found = lcpo(votes, pl.DataFrame({"pair_id": ["a", "b", "c"], "p": [0.9, 0.2, None]}))
    # c has neither: it is not there, so its score is null
    assert found.pairs["pair_id"].to_list() == ["a", "b"]
    assert found.pairs["p"][1] == pytest.approx(0.2)


def test_a_slope_is_found_though_a_fifth_of_the_labels_is_wrong() -> None:
    rng = np.random.default_rng(0)
    odds = rng.normal(0, 3, 100_000)
    truth = rng.random(100_000) < 1 / (1 + np.exp(-odds))
    label = np.where(rng.random(100_000) < 0.8, truth, ~truth)
    signed = np.where(label, odds, -odds)
    for scale in (0.05, 1.0, 8.0):
        found = fit(signed * scale)
        assert (found.slope * scale, found.label_eta) == pytest.approx((1.0, 0.8), abs=0.06)
    assert fit(-signed).slope == pytest.approx(-1.0, abs=0.06)
    assert fit(np.zeros(5)).slope == 0.0


def test_models_that_contradict_their_labels_know_nothing_and_few_margins_are_no_proof() -> None:
    rng = np.random.default_rng(0)
    contrary = rng.normal(-0.3, 1, 60)
    assert fit(contrary).slope < 0 == fit(contrary, contrary=False).slope
    means = pl.DataFrame({"pair_id": [f"p{i}" for i in range(60)], "mean": contrary})
    assert calibrated_prior(means).is_empty()
    labels = pl.DataFrame({"pair_id": means["pair_id"], "voter_id": LABEL, "p": 1.0})
    found = lcpo(labels, calibrated_prior(means))
    # unknown, and not 0.1 or 0.5
    assert found.pairs["noise_score"].null_count() == 60 and eta(found)[LABEL] is None
    assert fit(np.ones(8)).slope < 6  # eight margins that all agree: likely right, not certainly
