"""Strengths, combined rewards and treatments worked out by hand."""

import math

import numpy as np
import polars as pl
import pytest

from pipeline.config import NoiseSettings
from pipeline.noise.combine import TOGETHER, combined, in_nats, log_sigmoid_centred, together
from pipeline.noise.measure import auroc, precision_at
from pipeline.noise.strength import by_decile, strengths
from pipeline.noise.treatments import TREATMENTS, Doubts, weakest

SETTINGS = NoiseSettings(flip_share=0.4, drop_share=0.4, soft=0.2)


def votes(margins: dict[str, list[float | None]]) -> pl.DataFrame:
    rows = [
        (pair, f"v{m}", margin) for pair, each in margins.items() for m, margin in enumerate(each)
    ]
    return pl.DataFrame(
        rows,
        schema={"pair_id": pl.String, "voter_id": pl.String, "margin": pl.Float64},
        orient="row",
    )


def test_mean_population_spread_and_share_against_by_hand() -> None:
    found = strengths(
        votes(
            {"a": [1.0, 3.0], "b": [-1.0, 0.0, 4.0], "c": [None, math.nan], "d": [math.inf, -2.0]}
        )
    )
    assert found.drop("decile").rows() == [
        ("a", 2, 2.0, 1.0, 0.0),
        # one against, one of two minds, of three
        ("b", 3, 1.0, pytest.approx(math.sqrt(14 / 3)), 0.5),
        ("d", 1, -2.0, 0.0, 1.0),  # what is not finite is no vote, and c has none at all
    ]


def test_a_margin_that_its_calibrated_probability_contradicts_counts_the_other_way_round() -> None:
    rows = [
        ("a", "k", 2.0, 0.9),
        ("a", "liar", -4.0, 0.8),
        ("b", "k", -1.0, 0.3),
        ("b", "liar", 3.0, 0.2),
    ]
    frame = pl.DataFrame(rows, schema=["pair_id", "voter_id", "margin", "p"], orient="row")
    assert strengths(frame).drop("decile").rows() == [
        ("a", 2, 3.0, 1.0, 0.0),
        ("b", 2, -2.0, 1.0, 1.0),
    ]
    unknown = frame.with_columns(p=0.5)  # slope 0: nothing says that it should be turned
    assert strengths(unknown)["mean"].to_list() == [-1.0, 1.0]


def test_deciles_are_tenths_by_mean_and_equal_means_share_one() -> None:
    spread_out = strengths(votes({f"p{i:02d}": [i - 7.5] for i in range(20)}))
    assert spread_out["decile"].to_list() == [i // 2 for i in range(20)]
    assert by_decile(spread_out, pl.col("mean") > 0)[:5] == [
        (0.0, 0.0),
        (1.0, 0.0),
        (2.0, 0.0),
        (3.0, 0.0),
        (4.0, 1.0),
    ]
    assert strengths(votes({f"p{i}": [0.0] for i in range(7)}))["decile"].n_unique() == 1


def rewards(rows: list[tuple[str, str, float]]) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema=["text_id", "aspect", "raw"], orient="row")
    return frame.with_columns(prompt_id=pl.lit("p"), model_id=pl.col("aspect"))


def test_a_saturated_aspect_cannot_make_up_for_a_failure_elsewhere() -> None:
    scores = rewards(
        [
            ("flatters", "helpful", 12.0),
            ("flatters", "safe", -3.0),
            ("sound", "helpful", 3.0),
            ("sound", "safe", 2.0),
        ]
        + [(f"other{i}", aspect, 0.0) for i in range(8) for aspect in ("helpful", "safe")]
    )
    plain = dict(scores.group_by("text_id").agg(pl.col("raw").mean()).iter_rows())
    summed = dict(combined(log_sigmoid_centred(scores)).iter_rows())
    assert plain["flatters"] > plain["sound"] and summed["flatters"] < summed["sound"]
    # its centre, the 85th percentile of -3, eight times 0, and 2, is 0
    expected = -math.log1p(math.exp(-2.0))
    row = log_sigmoid_centred(scores).filter(
        (pl.col("text_id") == "sound") & (pl.col("aspect") == "safe")
    )
    assert row["r_lsc"].item() == pytest.approx(expected)


def test_the_centre_comes_from_the_prompts_samples_where_it_has_some() -> None:
    rows = rewards(
        [
            ("chosen", "safe", 5.0),
            ("rejected", "safe", 1.0),
            ("draw", "safe", 0.0),
            ("other", "safe", 2.0),
        ]
    )
    sampled = rows.with_columns(sampled=pl.col("text_id").is_in(["rejected", "draw", "other"]))
    elsewhere = rows.with_columns(sampled=pl.lit(False), prompt_id=pl.lit("q"))
    found = log_sigmoid_centred(pl.concat([sampled, elsewhere]), quantile=0.5)
    chosen = found.filter(text_id="chosen").sort("prompt_id")["r_lsc"].to_list()
    # 5 - 1, and 5 - 1.5
    assert chosen == pytest.approx([-math.log1p(math.exp(-4.0)), -math.log1p(math.exp(-3.5))])


def test_a_prompts_only_response_has_no_centre_and_an_extreme_reward_stays_finite() -> None:
    alone = log_sigmoid_centred(rewards([("a", "safe", 1.0)]))
    assert alone["r_lsc"].to_list() == [None] and combined(alone)["reward"].to_list() == [None]
    far = log_sigmoid_centred(
        rewards([("a", "safe", -2000.0), ("b", "safe", 2000.0)]), quantile=0.5
    )
    assert far.sort("text_id")["r_lsc"].to_list() == [-2000.0, 0.0]


def test_external_models_are_one_voter_and_a_text_that_lacks_an_aspect_has_none_of_it() -> None:
    # one nat above and below the centre
    good, weak = -math.log1p(math.exp(-1.0)), -math.log1p(math.exp(1.0))
    rows = [("a", "helps", "help", good), ("a", "spares", "safe", weak),
            ("a", "spares too", "safe", good),
            ("b", "helps", "help", weak), ("b", "spares", "safe", weak),
            ("c", "helps", "help", good)]  # fmt: skip
    outer = pl.DataFrame(rows, schema=["text_id", "model_id", "aspect", "r_lsc"], orient="row")
    outer = outer.with_columns(kind=pl.lit("external"), standardised=9.0)
    head = outer.head(1).with_columns(model_id=pl.lit("head"), kind=pl.lit("reward head"))
    rewards_ = dict(combined(outer).iter_rows())
    assert rewards_ == {
        "a": pytest.approx(good + (weak + good) / 2),
        "b": pytest.approx(2 * weak),
        "c": None,
    }
    found = together(pl.concat([outer, head]))
    assert sorted(found.select("text_id", "model_id", "kind", "standardised").rows()) == [
        ("a", TOGETHER, "external", pytest.approx(1.0)),  # of two rewards the higher
        ("a", "head", "reward head", 9.0),
        ("b", TOGETHER, "external", pytest.approx(-1.0)),
    ]


def test_one_models_scale_changes_nothing_once_it_is_calibrated() -> None:
    rng = np.random.default_rng(0)
    n, truth = 800, rng.random(800) < 0.9  # labels that are right
    better = np.where(truth, 1.0, -1.0)
    pairs = pl.DataFrame(
        {
            "pair_id": [f"p{i:03d}" for i in range(n)],
            "prompt_id": [f"q{i:03d}" for i in range(n)],
            "chosen_text_id": [f"c{i:03d}" for i in range(n)],
            "rejected_text_id": [f"r{i:03d}" for i in range(n)],
        }
    )
    margins = {name: 2.4 * better + rng.normal(0, 2, n) for name in ("help", "safe")}

    def agreement(scale: float, *, calibrated: bool = True) -> float:
        frames = [
            pl.DataFrame(
                {
                    "text_id": pairs[f"{side}_text_id"],
                    "prompt_id": pairs["prompt_id"],
                    "model_id": name,
                    "aspect": name,
                    "raw": sign * margin / 2 * (scale if name == "safe" else 1.0),
                }
            )
            for name, margin in margins.items()
            for side, sign in (("chosen", 1), ("rejected", -1))
        ]
        scores = pl.concat(frames)
        centred = log_sigmoid_centred(in_nats(scores, pairs) if calibrated else scores)
        reward = dict(combined(centred).iter_rows())
        said = [reward[c] > reward[r] for c, r in pairs.select(pl.col("^.*_text_id$")).iter_rows()]
        return float(np.mean(np.array(said) == truth))

    assert agreement(0.05) == agreement(1.0) > 0.94
    assert agreement(0.05, calibrated=False) < 0.91  # what calibration is for


DOUBTS = Doubts(
    ["a", "b", "c", "d", "e", "f"],
    np.array([-2.0, -0.5, 0.5, 1.0, 2.0, np.nan]),
    np.array([0.9, 0.6, 0.3, 0.2, 0.1, np.nan]),
    np.array([0.45, 0.3, 0.3, 0.3, 0.3, np.nan]),
)


def test_each_treatment_does_what_its_name_says_and_leaves_a_pair_without_votes_alone() -> None:
    done = {name: treatment(DOUBTS, SETTINGS) for name, treatment in TREATMENTS.items()}
    assert done["flip"].flip.tolist() == [True, True, False, False, False, False]
    assert done["drop"].keep.tolist() == [False, False, True, True, True, True]
    assert done["margin"].margin.tolist() == [-2.0, -0.5, 0.5, 1.0, 2.0, 0.0]
    assert done["flip_margin"].margin.tolist() == [2.0, 0.5, 0.5, 1.0, 2.0, 0.0]
    assert done["soft"].target.tolist() == [0.8, 0.8, 1.0, 1.0, 1.0, 1.0]
    assert done["weight"].weight.tolist() == pytest.approx([0.1, 0.4, 0.7, 0.8, 0.9, 1.0])
    assert done["posterior"].target.tolist() == pytest.approx([0.1, 0.4, 0.7, 0.8, 0.9, 1.0])
    # (1 - e) / (1 - 2e), the rate e held at 0.4: 3; else 0.7 / 0.4
    assert done["rdpo"].target.tolist() == pytest.approx([3.0, 1.75, 1.75, 1.75, 1.75, 1.0])


def test_only_pairs_with_a_negative_mean_are_ever_doubted() -> None:
    assert weakest(DOUBTS, 1.0).tolist() == [True, True, False, False, False, False]
    assert weakest(DOUBTS, 0.2).tolist() == [True, False, False, False, False, False]


def test_permuted_votes_are_the_same_votes_on_other_pairs_whatever_the_order_of_rows() -> None:
    order = [0.3, 0.9, 0.1, 0.7, 0.2, 0.5]
    found = DOUBTS.permuted(order)
    # by rank of the hash
    assert found.mean.tolist() == pytest.approx([0.5, 2.0, -2.0, np.nan, 1.0, -0.5], nan_ok=True)
    assert np.array_equal(np.sort(found.mean), np.sort(DOUBTS.mean), equal_nan=True)
    back = [5, 3, 1, 0, 2, 4]
    mixed = Doubts(
        [DOUBTS.keys[i] for i in back],
        DOUBTS.mean[back],
        DOUBTS.noise_score[back],
        DOUBTS.flip_rate[back],
    )
    other = mixed.permuted([order[i] for i in back])
    one = dict(zip(DOUBTS.keys, found.mean, strict=True))
    for key, value in zip(other.keys, other.mean, strict=True):
        assert value == one[key] or (math.isnan(value) and math.isnan(one[key]))


def test_auroc_counts_pairs_in_the_right_order_and_its_interval_holds_the_truth() -> None:
    score, wrong = np.array([0.9, 0.5, 0.5, 0.1]), np.array([True, True, False, False])
    # of four comparisons three are right and one is a tie
    assert auroc(score, wrong).value == 3.5 / 4
    rng = np.random.default_rng(0)
    truth = 0.7602  # Phi(1 / sqrt(2)): two normals a unit apart
    inside = 0
    for _ in range(2000):
        labels = rng.random(150) < 0.3
        found = auroc(rng.normal(labels.astype(float)), labels)
        inside += found.low <= truth <= found.high
    assert 0.93 <= inside / 2000 <= 0.97


def test_precision_at_k_takes_the_highest_scores_and_breaks_ties_as_told() -> None:
    score, wrong = np.array([3.0, 2.0, 2.0, 1.0]), np.array([True, False, True, False])
    assert precision_at(score, wrong, 2, np.array([0.0, 0.9, 0.1, 0.0])).value == 1.0
    assert precision_at(score, wrong, 2, np.array([0.0, 0.1, 0.9, 0.0])).value == 0.5
