"""Reward heads on features whose truth was drawn here."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from pipeline.config import NoiseSettings
from pipeline.errors import OrchardError
from pipeline.noise.crossfit import Scored
from pipeline.noise.crossfit import out_of_fold as cross_fitted
from pipeline.noise.features import Features
from pipeline.noise.heads import fit_heads, train_heads
from pipeline.noise.targets import Targets

SETTINGS = NoiseSettings(models=3, folds=3, min_steps=200, learning_rate=1e-2)


def drawn(n: int = 600, width: int = 12, seed: int = 0, noise: float = 0.0) -> Targets:
    """Pairs that a linear reward explains, a share `noise` of the labels exchanged."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(2 * n, width)).astype(np.float32)
    reward = matrix @ rng.normal(size=width)
    a, b = np.arange(n), np.arange(n) + n
    first = np.where(reward[a] > reward[b], a, b)
    plain = Targets.plain(
        Features([str(i) for i in range(2 * n)], matrix), first, np.where(first == a, b, a)
    )
    return plain.exchanged(rng.random(n) < noise)


def out_of_fold(
    targets: Targets, fold: np.ndarray, train: np.ndarray, settings: NoiseSettings, seed: int
) -> Scored:
    return cross_fitted(targets, fold, train, settings, seed, fit_heads(settings))


def accuracy(targets: Targets, margins: np.ndarray) -> float:
    return float((margins > 0).mean())


@pytest.mark.parametrize("hidden", [0, 8])
def test_heads_learn_a_reward_and_rank_pairs_that_they_never_saw(hidden: int) -> None:
    targets = drawn()
    settings = SETTINGS.model_copy(update={"hidden": hidden})
    scored = out_of_fold(targets, np.arange(600) % 3, np.ones(600, bool), settings, seed=1)
    assert scored.margins.shape == (3, 600)
    assert accuracy(targets, scored.margins) > 0.93
    assert all(curve[-1][1] < 0.4 < curve[0][1] for curve in scored.curves)


def test_a_pair_is_never_scored_by_a_model_that_learnt_from_it() -> None:
    # Labels without any rule can only be remembered: whoever saw them ranks them right, whoever did
    # not is at chance.
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(400, 300)).astype(np.float32)
    targets = Targets.plain(
        Features([str(i) for i in range(400)], matrix), np.arange(200), np.arange(200) + 200
    )
    settings = SETTINGS.model_copy(update={"min_steps": 400, "resample": False})
    heads = train_heads(targets, settings, [1, 2])
    seen = heads.score(matrix[:200]) - heads.score(matrix[200:])
    scored = out_of_fold(targets, np.arange(200) % 3, np.ones(200, bool), settings, seed=1)
    assert (seen > 0).mean() == 1.0
    assert abs((scored.margins > 0).mean() - 0.5) < 0.12  # 200 pairs: three standard errors


def test_all_heads_at_once_are_the_same_as_each_by_itself() -> None:
    targets = drawn(120)
    together = train_heads(targets, SETTINGS, [5, 6]).weights[0]
    for place, seed in enumerate((5, 6)):
        alone = train_heads(targets, SETTINGS, [seed]).weights[0]
        assert torch.allclose(together[place], alone[0], atol=1e-4)
    assert not torch.allclose(together[0], together[1], atol=1e-2)


def test_a_converged_head_is_the_penalised_logistic_regression_of_scipy() -> None:
    from scipy.optimize import minimize

    targets = drawn(300, width=5, noise=0.2)
    settings = SETTINGS.model_copy(
        update={
            "resample": False,
            "batch_pairs": 300,
            "min_steps": 3000,
            "weight_decay": 0.0,
            "learning_rate": 3e-3,
        }
    )
    heads = train_heads(targets, settings, [1])
    z = heads.standardised(torch.from_numpy(targets.matrix)).double().numpy()
    gap = z[targets.chosen] - z[targets.rejected]
    best = minimize(lambda w: float(np.logaddexp(0, -gap @ w).mean()), np.zeros(5))
    assert heads.weights[0][0, 0].numpy() == pytest.approx(best.x, abs=5e-3)


def test_weights_soft_targets_and_margins_reach_the_loss() -> None:
    targets = drawn(200)
    half = np.arange(200) < 100
    wrong = targets.exchanged(half)  # a half of the labels is wrong, but counts nothing
    weighted = Targets(**{**vars(wrong), "weight": np.where(half, 0.0, 1.0)})
    heads = train_heads(weighted, SETTINGS, [1])
    d = heads.score(targets.matrix[targets.chosen]) - heads.score(targets.matrix[targets.rejected])
    assert (d > 0).mean() > 0.9
    undecided = train_heads(
        Targets(**{**vars(targets), "target": np.full(200, 0.5)}), SETTINGS, [1]
    )
    flat = undecided.score(targets.matrix[targets.chosen]) - undecided.score(
        targets.matrix[targets.rejected]
    )
    asked = train_heads(Targets(**{**vars(targets), "margin": np.full(200, 4.0)}), SETTINGS, [1])
    wide = asked.score(targets.matrix[targets.chosen]) - asked.score(
        targets.matrix[targets.rejected]
    )
    assert np.abs(flat).mean() < 0.3 * np.abs(d).mean() < np.abs(wide).mean()


def test_the_length_penalty_takes_length_out_of_the_reward() -> None:
    # Length explains the label as well as the other feature does: only the penalty tells them
    # apart.
    rng = np.random.default_rng(2)
    quality, length = rng.normal(size=800), rng.normal(size=800)
    matrix = np.stack([quality, length], axis=1).astype(np.float32)
    a, b = np.arange(400), np.arange(400) + 400
    better = (quality + length)[a] > (quality + length)[b]
    chosen, rejected = np.where(better, a, b), np.where(better, b, a)
    plain = Targets.plain(Features([str(i) for i in range(800)], matrix), chosen, rejected)
    targets = Targets(**{**vars(plain), "length": length[chosen] - length[rejected]})

    def correlation(penalty: float) -> float:
        heads = train_heads(targets, SETTINGS.model_copy(update={"length_penalty": penalty}), [1])
        d = heads.score(matrix[chosen])[0] - heads.score(matrix[rejected])[0]
        return abs(float(np.corrcoef(d, targets.length)[0, 1]))

    assert correlation(0.0) > 0.4 and correlation(10.0) < 0.15


def test_scores_are_standardised_per_model_and_constant_features_give_constant_scores() -> None:
    targets = drawn(200)
    scored = out_of_fold(targets, np.arange(200) % 3, np.ones(200, bool), SETTINGS, seed=0)
    both = np.concatenate([scored.chosen, scored.rejected], axis=1)
    assert np.allclose(both.mean(axis=1), 0, atol=0.2) and np.allclose(
        both.std(axis=1), 1, atol=0.2
    )
    flat = Targets(**{**vars(targets), "matrix": np.ones_like(targets.matrix)})
    still = out_of_fold(flat, np.arange(200) % 3, np.ones(200, bool), SETTINGS, seed=0)
    assert (still.margins == 0).all()


def test_no_pairs_to_learn_from_is_one_line() -> None:
    targets = drawn(4)
    with pytest.raises(OrchardError, match="reward heads: 1 pairs to learn from"):
        train_heads(targets.take(np.array([0])), SETTINGS, [1])


def test_bradley_terry_of_the_batch_is_what_the_curve_says() -> None:
    targets = drawn(50)
    settings = SETTINGS.model_copy(
        update={"resample": False, "min_steps": 1, "epochs": 1, "batch_pairs": 50}
    )
    first = train_heads(targets, settings, [3]).curve[0][1]
    # log 2 before anything is learnt
    assert first == pytest.approx(float(F.softplus(torch.zeros(1))), abs=0.05)
