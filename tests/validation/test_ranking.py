"""Ranking accuracy and its limits, on pairs worked out by hand and by brute force."""

import numpy as np
import polars as pl
import pytest

from pipeline.validation.ranking import measured, of_reference

NAMES = [
    "pair_id",
    "chosen",
    "rejected",
    "ref_chosen",
    "ref_rejected",
    "chosen_tokens",
    "rejected_tokens",
    "strength",
]


def pairs(*rows: tuple[object, ...]) -> pl.DataFrame:
    return pl.DataFrame(
        [dict(zip(NAMES, row, strict=True)) for row in rows],
        schema_overrides={"strength": pl.Float64},
    )


def value(found: dict[str, pl.DataFrame], metric: str) -> dict[str, float]:
    return dict(found[metric].iter_rows())


def test_a_policy_ranks_by_its_own_log_probabilities_and_is_rewarded_for_what_it_gained() -> None:
    found = measured(
        pairs(
            ("kept", -10.0, -12.0, -11.0, -12.0, 5, 2, None),  # right before and after; gained 1
            ("won", -10.0, -12.0, -13.0, -12.0, 10, 10, None),  # wrong before, right now; gained 3
            ("lost", -14.0, -12.0, -11.0, -12.0, 20, 4, None),  # right before, wrong now; gained -3
            ("still", -15.0, -12.0, -16.0, -12.0, 3, 4, None),  # wrong both times; gained 1
        ),
        beta=0.5,
    )
    assert value(found, "ranking_accuracy") == {"kept": 1, "won": 1, "lost": 0, "still": 0}
    assert value(found, "ranking_accuracy_per_token") == {
        "kept": 1,
        "won": 1,
        "lost": 1,
        "still": 0,
    }
    assert value(found, "reward_accuracy") == {"kept": 1, "won": 1, "lost": 0, "still": 1}
    assert value(found, "reward_margin") == {"kept": 0.5, "won": 1.5, "lost": -1.5, "still": 0.5}
    assert value(found, "flipped_right") == {"won": 1, "still": 0}
    assert value(found, "flipped_wrong") == {"kept": 0, "lost": 1}


def test_the_ideal_policy_is_dpos_optimum_found_by_search() -> None:
    rng = np.random.default_rng(0)
    rows, expected = [], {}
    grid = np.linspace(-400, 400, 8001)  # log pi(chosen) - log pi(rejected)
    for i in range(40):
        ref, alpha, beta = rng.normal(0, 8), rng.uniform(0.05, 0.95), 0.1
        rows.append((f"p{i}", 0.0, 0.0, ref, 0.0, 3, 3, alpha))
        # expected DPO loss of a pair that a share alpha of the raters calls right
        h = beta * (grid - ref)
        best = grid[np.argmin(alpha * np.logaddexp(0, -h) + (1 - alpha) * np.logaddexp(0, h))]
        if abs(best) > 0.2:
            expected[f"p{i}"] = float(best > 0)
    found = value(of_reference(pairs(*rows), 0.1), "ideal_ranking")
    assert len(expected) > 30 and {name: found[name] for name in expected} == expected
    assert 0 < sum(expected.values()) < len(expected)


def test_a_sure_label_is_a_share_of_0_999_and_only_a_very_unlikely_text_cannot_be_flipped() -> None:
    # logit(0.999) = 6.907: at beta 0.1 the ideal policy moves a pair by 69.07 nats.
    found = of_reference(
        pairs(
            ("right", 0.0, 0.0, -10.0, -12.0, 2, 2, None),
            ("wrong", 0.0, 0.0, -80.0, -12.0, 2, 2, None),
            ("lost", 0.0, 0.0, -82.0, -12.0, 2, 2, None),
            ("tie", 0.0, 0.0, -12.5, -12.0, 2, 2, 0.5),
        ),
        0.1,
    )
    assert value(found, "ranking_accuracy") == {"right": 1, "wrong": 0, "lost": 0, "tie": 0}
    assert value(found, "ideal_ranking") == {"right": 1, "wrong": 1, "lost": 0, "tie": 0}
    assert value(found, "unflippable") == {"wrong": 0, "lost": 1, "tie": 1}
    assert value(found, "ideal_ranking_beta_0.01") == {"right": 1, "wrong": 1, "lost": 1, "tie": 0}
    assert value(found, "ideal_ranking_beta_10") == {"right": 1, "wrong": 0, "lost": 0, "tie": 0}


def test_a_pair_is_ranked_right_exactly_where_its_dpo_loss_is_below_the_flip_loss() -> None:
    rng = np.random.default_rng(1)
    rows = [(f"p{i}", *rng.normal(-20, 5, 4), 3, 3, None) for i in range(500)]
    frame, beta = pairs(*rows), 0.3
    threshold, right = (
        value(of_reference(frame, beta), "flip_loss"),
        value(measured(frame, beta), "ranking_accuracy"),
    )
    margin = (frame["chosen"] - frame["ref_chosen"]) - (frame["rejected"] - frame["ref_rejected"])
    loss = dict(zip(frame["pair_id"], np.logaddexp(0, -beta * margin.to_numpy()), strict=True))
    assert len(threshold) > 200
    assert all((loss[name] <= threshold[name]) == bool(right[name]) for name in threshold)
    # a pair that is nearly tied
    assert max(threshold.values()) == pytest.approx(np.log(2), abs=0.02)
