"""The DPO loss: its sign, its limits and its slope."""

import math

import pytest
import torch

from pipeline.errors import OrchardError
from pipeline.training import losses
from pipeline.training.losses import sigmoid
from tests.training.toy import columns


def value(h: float, beta: float = 0.1) -> float:
    return sigmoid.loss(torch.tensor([[h, 0.0]], dtype=torch.float64), columns(beta=beta)).item()


def test_a_policy_that_prefers_the_chosen_text_has_the_lower_loss() -> None:
    assert value(3.0) < value(0.0) < value(-3.0)


def test_only_the_difference_of_the_sides_counts() -> None:
    ratios = torch.tensor([[2.0, 5.0], [-3.0, 0.0]])
    first, second = sigmoid.loss(ratios, columns()).tolist()
    assert first == pytest.approx(second)


@pytest.mark.parametrize(("h", "beta"), [(0.0, 0.1), (0.0, 5.0), (7.0, 1e-9), (-7.0, 1e-9)])
def test_without_a_margin_or_without_beta_it_is_log_2(h: float, beta: float) -> None:
    assert value(h, beta) == pytest.approx(math.log(2), abs=1e-7)


def test_large_margins_cost_nothing_and_large_errors_beta_per_nat() -> None:
    assert value(1e4) == pytest.approx(0.0, abs=1e-12)
    assert value(-1e4) == pytest.approx(0.1 * 1e4)


@pytest.mark.parametrize("h", [-40.0, -3.0, 0.0, 0.5, 20.0])
@pytest.mark.parametrize("beta", [0.01, 0.1, 1.0])
def test_its_slope_is_the_closed_form_and_the_numeric_one(h: float, beta: float) -> None:
    ratios = torch.tensor([[h, 0.0]], dtype=torch.float64, requires_grad=True)
    sigmoid.loss(ratios, columns(beta=beta)).sum().backward()
    slope = -beta / (1 + math.exp(beta * h))
    assert ratios.grad is not None
    assert ratios.grad.tolist() == [[pytest.approx(slope), pytest.approx(-slope)]]
    assert (value(h + 1e-4, beta) - value(h - 1e-4, beta)) / 2e-4 == pytest.approx(slope, rel=1e-5)


def test_an_unknown_loss_names_those_that_exist() -> None:
    with pytest.raises(
        OrchardError, match=r"unknown loss 'dpo': did you mean .*rdpo.*\? use one of .*sigmoid"
    ):
        losses.get("dpo")
