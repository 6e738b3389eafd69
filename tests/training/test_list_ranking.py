"""List ranking: hand-worked weights, two items, any order, any scale."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from pipeline.config import LossSettings
from pipeline.training import losses
from pipeline.training.losses import list_ranking
from tests.training.toy import columns

NAN = math.nan
VALUES = torch.tensor([[1.0, 0.5, 0.5, 0.0, 0.25]])
RATIOS = torch.tensor([[2.0, 9.0, -4.0, 1.0, 0.5]])


def of(ratios: Tensor, values: Tensor, **more: Any) -> Tensor:
    return losses.get("list_ranking")(ratios, columns(*ratios.shape, values=values, **more))


def test_two_items_are_dpo_whatever_their_values_and_rewards() -> None:
    ratios = torch.tensor([[3.0, -1.0], [-2.0, 5.0], [0.0, 0.0]])
    for values, reward in (([1.0, 0.0], NAN), ([0.2, 0.1], 1.7), ([900.0, -5.0], 0.3)):
        found = of(ratios, torch.tensor([values] * 3), rewards=torch.full((3, 2), reward))
        torch.testing.assert_close(found, losses.get("sigmoid")(ratios, columns(3)))


def test_three_items_by_hand() -> None:
    """Values 1, 1/2, 0 ranked 2, 1, 3 by score: gains 1, sqrt 2 - 1, 0;
    discounts 1 / log 3, 1 / log 2, 1 / log 4.
    """
    s, gains = [1.0, 2.0, -1.0], [1.0, math.sqrt(2) - 1, 0.0]
    discounts = [1 / math.log(3), 1 / math.log(2), 1 / math.log(4)]
    pairs = [(0, 1), (0, 2), (1, 2)]
    weight = {(i, j): abs(gains[i] - gains[j]) * abs(discounts[i] - discounts[j]) for i, j in pairs}
    expected = sum(w * math.log1p(math.exp(s[j] - s[i])) for (i, j), w in weight.items()) / sum(
        weight.values()
    )
    assert of(torch.tensor([s]) / 0.1, torch.tensor([[1.0, 0.5, 0.0]])).item() == pytest.approx(
        expected, rel=1e-5
    )


# zeros: all tied, as in the first step
@pytest.mark.parametrize("ratios", [RATIOS, torch.zeros(1, 5)])
def test_the_order_of_the_items_does_not_matter(ratios: Tensor) -> None:
    for seed in range(20):
        order = torch.randperm(5, generator=torch.Generator().manual_seed(seed))
        torch.testing.assert_close(of(ratios[:, order], VALUES[:, order]), of(ratios, VALUES))


def test_shorter_lists_beside_longer_ones_are_themselves() -> None:
    padded = of(
        torch.tensor([[2.0, 9.0, -4.0, 0.0, 0.0]]), torch.tensor([[1.0, 0.5, 0.0, NAN, NAN]])
    )
    torch.testing.assert_close(
        padded, of(torch.tensor([[2.0, 9.0, -4.0]]), torch.tensor([[1.0, 0.5, 0.0]]))
    )


def test_values_of_any_scale_give_the_same_loss_and_never_overflow() -> None:
    for scale, shift in ((100.0, 0.0), (1e6, -3e5), (1e-3, 0.0)):
        torch.testing.assert_close(
            of(RATIOS, scale * VALUES + shift), of(RATIOS, VALUES), rtol=1e-3, atol=0
        )
    extreme = torch.tensor([[1e6, -1e6, 0.0, 1e4, -1e4]], requires_grad=True)
    of(extreme, VALUES).sum().backward()
    assert extreme.grad is not None and extreme.grad.isfinite().all()


def test_the_gradient_raises_the_best_lowers_the_worst_and_is_the_numeric_one() -> None:
    def loss(ratios: Tensor) -> Tensor:
        return of(ratios, VALUES.double())

    start = torch.zeros(1, 5, dtype=torch.float64, requires_grad=True)
    loss(start).sum().backward()
    assert start.grad is not None
    assert start.grad[0, 0] < 0 < start.grad[0, 3]
    assert start.grad.sum().item() == pytest.approx(0.0, abs=1e-12)
    assert torch.autograd.gradcheck(loss, RATIOS.double().requires_grad_())
    uniform = LossSettings(list_weights="uniform")
    plain = of(RATIOS, VALUES, options=uniform)  # nine ordered pairs, each a DPO loss
    pairs = [(i, j) for i in range(5) for j in range(5) if VALUES[0, i] > VALUES[0, j]]
    sides = torch.stack([RATIOS[0, list(pair)] for pair in pairs])
    assert len(pairs) == 9
    assert plain.item() == pytest.approx(losses.get("sigmoid")(sides, columns(9)).mean().item())


def test_right_order_costs_less_than_a_tie_and_a_tie_less_than_the_wrong_order() -> None:
    right, tie = 10 * VALUES, torch.zeros(1, 5)
    assert of(right, VALUES) < of(tie, VALUES) < of(-right, VALUES)


def test_an_adaptive_step_reward_scales_an_items_score_relative_to_its_list() -> None:
    rewards = torch.tensor([[1.5, 1.0, 0.5]])
    ratios, values = torch.tensor([[2.0, 3.0, 1.0]]), torch.tensor([[1.0, 0.5, 0.0]])
    scaled = of(ratios * rewards, values)
    torch.testing.assert_close(of(ratios, values, rewards=rewards), scaled)
    torch.testing.assert_close(of(ratios, values, rewards=3 * rewards), scaled)
    for none in (torch.tensor([[1.5, NAN, 0.5]]), torch.tensor([[-1.0, 0.5, 0.5]])):
        torch.testing.assert_close(of(ratios, values, rewards=none), of(ratios, values))


def test_a_step_reward_scales_its_own_step_and_items_are_sums_of_their_steps() -> None:
    """Items of two, one and two steps, of values 1, 1/2 and 0; the second list has two items."""
    values = torch.tensor([[1.0, 1.0, 0.5, 0.0, 0.0], [1.0, 0.0, 0.0, NAN, NAN]])
    items = torch.tensor([[0, 0, 1, 2, 2], [0, 1, 1, -1, -1]])
    ratios = torch.tensor([[2.0, 1.0, 9.0, -4.0, 0.5], [1.0, 0.5, 0.25, 7.0, 7.0]])
    rewards = torch.tensor([[2.0, 1.0, 0.5, 1.0, 0.5], [2.0, 1.0, 0.0, NAN, NAN]])  # mean 1
    found = of(ratios, values, items=items, rewards=rewards)
    whole = torch.tensor([[2 * 2 + 1.0, 4.5, -4 + 0.25], [2.0, 0.5, 0.0]])
    plain = torch.tensor([[1.0, 0.5, 0.0], [1.0, 0.0, NAN]])
    torch.testing.assert_close(found, of(whole, plain))
    sums = torch.tensor([[3.0, 9.0, -3.5], [1.0, 0.75, 0.0]])
    for equal in (torch.full((2, 5), 1.3), torch.full((2, 5), NAN)):
        torch.testing.assert_close(of(ratios, values, items=items, rewards=equal), of(sums, plain))
    margin = losses.get("list_ranking").margin
    torch.testing.assert_close(
        margin(ratios, columns(2, 5, values=values, items=items)),
        margin(sums, columns(2, 3, values=plain)),
    )
    start = ratios.double().requires_grad_()
    double = {"items": items, "rewards": rewards.double()}
    assert torch.autograd.gradcheck(lambda r: of(r, values.double(), **double), start)


def test_equal_scores_rank_the_worse_item_first() -> None:
    assert list_ranking.ranks(torch.zeros(1, 5), VALUES).tolist() == [[5.0, 3.5, 3.5, 1.0, 2.0]]
    assert list_ranking.ranks(RATIOS, VALUES).tolist() == [[2.0, 1.0, 5.0, 3.0, 4.0]]


def test_a_list_of_equal_values_teaches_nothing_and_spoils_no_batch() -> None:
    """Two values that float32 cannot tell apart, beside a list that has an order:
    zero loss, zero gradient.
    """
    values = torch.tensor([[0.5, 0.5 + 1e-9], [1.0, 0.0]])
    for weights in ("lambda", "uniform"):
        ratios = torch.tensor([[3.0, -1.0], [0.0, 0.0]], requires_grad=True)
        found = of(ratios, values, options=LossSettings(list_weights=weights))
        assert found.tolist() == pytest.approx([0.0, math.log(2)])
        found.sum().backward()
        assert ratios.grad is not None and ratios.grad[0].tolist() == [0.0, 0.0]
    assert losses.get("list_ranking").margin(
        ratios.detach(), columns(2, values=values)
    ).tolist() == [0.0, 0.0]


def test_its_margin_is_the_mean_over_ordered_pairs() -> None:
    found = losses.get("list_ranking").margin(
        torch.tensor([[3.0, 1.0, 0.0]]), columns(1, 3, values=torch.tensor([[1.0, 0.0, 0.0]]))
    )
    assert found.tolist() == pytest.approx([2.5])
