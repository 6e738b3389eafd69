"""The reward models' loss by its limits and derivatives."""

import numpy as np
import pytest
import torch

from pipeline.noise.crossfit import Fitted, out_of_fold
from pipeline.noise.features import Features
from pipeline.noise.heads import train_heads
from pipeline.noise.loss import bradley_terry, length_correlation
from pipeline.noise.targets import Places, Targets
from tests.noise.test_heads import SETTINGS, drawn


def number(x: float) -> torch.Tensor:
    return torch.tensor([x], dtype=torch.float64)


def test_the_loss_is_log_2_at_the_margin_vanishes_far_above_it_and_is_linear_far_below() -> None:
    one = number(1.0)
    for margin in (0.0, 1.5, -0.5):
        at = [
            float(bradley_terry(number(d), one, number(margin)))
            for d in (margin, margin + 40, margin - 40)
        ]
        assert at == pytest.approx([np.log(2), 0.0, 40.0], abs=1e-9)


def test_its_derivatives_are_the_numerical_ones_and_a_soft_label_is_least_at_its_log_odds() -> None:
    d = torch.tensor([-2.0, 0.3, 5.0], dtype=torch.float64, requires_grad=True)
    for target in (1.0, 0.8, 0.5, 1.75):
        asked = (
            torch.full((3,), target, dtype=torch.float64),
            torch.tensor([0.0, 1.0, -1.0], dtype=torch.float64),
        )
        assert torch.autograd.gradcheck(lambda x, a=asked: bradley_terry(x, *a).sum(), d)
    best = torch.tensor([np.log(0.8 / 0.2)], dtype=torch.float64, requires_grad=True)
    bradley_terry(best, number(0.8), number(0.0)).backward()
    assert best.grad is not None and abs(float(best.grad)) < 1e-12


def test_the_length_penalty_is_the_squared_correlation_of_numpy() -> None:
    rng = np.random.default_rng(0)
    d, length = rng.normal(size=(2, 3, 9))
    expected = [np.corrcoef(a, b)[0, 1] ** 2 for a, b in zip(d, length, strict=True)]
    assert length_correlation(torch.tensor(d), torch.tensor(length)).tolist() == pytest.approx(
        expected
    )
    assert length_correlation(torch.ones(4), torch.arange(4.0)).item() == 0.0


def test_no_fold_is_scored_by_models_that_saw_one_of_its_pairs() -> None:
    # A model that only remembers: 1 for a text that it saw chosen, -1 for one that it saw rejected,
    # else 0.
    def remember(learnt: Targets, seeds: list[int], wanted: Places) -> Fitted:
        known = np.isin(wanted, learnt.chosen).astype(float) - np.isin(wanted, learnt.rejected)
        return Fitted(np.stack([known for _ in seeds]), np.zeros((1, len(seeds))))

    texts = Features([str(i) for i in range(80)], np.zeros((80, 0), np.float32))
    targets = Targets.plain(texts, np.arange(40), np.arange(40) + 40)
    prompt = np.arange(40) // 2
    scored = out_of_fold(targets, prompt % 4, np.arange(40) < 36, SETTINGS, 0, remember)
    assert (scored.margins == 0).all()
    # it does remember what it sees
    assert (remember(targets, [0], np.arange(80)).rewards != 0).all()


def test_every_head_has_a_curve_of_its_own() -> None:
    heads = train_heads(drawn(60), SETTINGS, [1, 2, 3])
    losses = torch.stack(heads.losses)
    assert losses.shape == (200, 3) and heads.curve[7] == (
        8.0,
        pytest.approx(float(losses[7].mean())),
    )
