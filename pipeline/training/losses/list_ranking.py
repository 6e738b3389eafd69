"""Learning from ranked lists (TPO):
every ordered pair of a list, weighted by what its order is worth.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pipeline.training.losses.base import log_sigmoid, loss_function
from pipeline.training.losses.columns import Columns

if TYPE_CHECKING:
    from torch import Tensor


def scores(log_ratios: Tensor, columns: Columns) -> Tensor:
    """(n, K) beta * step reward * log-ratio, summed over the steps of each item; 0 without an item.

    TPO's released code weighs each step's mean log-ratio by the step's reward 1 + cos (the paper's
    equation could not be read). Here it weighs the step's sum, so that steps of equal reward are
    the whole text's log-ratio (our choice).

    Step rewards are divided by their mean in the list (our choice: only differences of rewards
    count); a list that lacks one takes none. A mean of 0 or less gives no scale, so that such a
    list takes none either.
    """
    present = ~columns.values.isnan()
    mean = columns.rewards.where(present, 0.0).sum(1, keepdim=True)
    mean = mean / present.sum(1, keepdim=True)
    factor = (columns.rewards / mean).where((mean > 0) & present, 1.0)  # a NaN mean is not above 0
    return columns.beta * by_item(factor * log_ratios, columns)


def by_item(each: Tensor, columns: Columns) -> Tensor:
    """(n, K) sums over the texts of each item, at the item's place; 0 where there is none."""
    each = each.where(~columns.values.isnan(), 0.0)
    if columns.items is None:
        return each
    return (each[:, :, None] * _of_items(columns.items)).sum(1)


def item_values(columns: Columns) -> Tensor:
    """(n, K) the value of each item, at its place; NaN where there is none."""
    if columns.items is None:
        return columns.values
    mine = _of_items(columns.items)
    found = columns.values[:, :, None].where(mine, -math.inf).amax(1)
    return found.where(mine.any(1), math.nan)


def _of_items(items: Tensor) -> Tensor:
    """(n, K, K) true where a text is a step of the item of that place."""
    import torch

    return items[:, :, None] == torch.arange(items.shape[1], device=items.device)


def ordered(values: Tensor) -> Tensor:
    """(n, K, K) true where item i is better than item j."""
    return values[:, :, None] > values[:, None, :]


def lambdas(scores: Tensor, values: Tensor) -> Tensor:
    """(n, K, K) what exchanging the ranks of i and j would change, for pairs with v_i > v_j;
    else 0.
    """
    present = ~values.isnan()
    low = values.where(present, math.inf).amin(1, keepdim=True)
    high = values.where(present, -math.inf).amax(1, keepdim=True)
    gain = (((values - low) / (high - low)).exp2() - 1).nan_to_num()  # (n, K)
    discount = 1 / (1 + ranks(scores, values)).log()
    delta = (gain[:, :, None] - gain[:, None, :]).abs() * (
        discount[:, :, None] - discount[:, None, :]
    ).abs()
    return delta.where(ordered(values), 0.0)


def ranks(scores: Tensor, values: Tensor) -> Tensor:
    """(n, K) rank by score, 1 for the highest.

    Of equal scores the worse item stands first, as if misplaced.

    So the first step, where all scores are equal, already has weights. Items equal in both share
    their mean rank.
    """
    there = ~values.isnan()[:, None, :]
    tied = scores[:, None, :] == scores[:, :, None]
    ahead = (scores[:, None, :] > scores[:, :, None]) | (
        tied & (values[:, None, :] < values[:, :, None])
    )
    equal = tied & (values[:, None, :] == values[:, :, None])  # with itself too
    return 0.5 + (ahead & there).sum(2) + 0.5 * (equal & there).sum(2)


def margin(log_ratios: Tensor, columns: Columns) -> Tensor:
    """(n,) mean difference of log-ratios over a list's ordered pairs, in nats;
    0 where it has none.
    """
    better = ordered(item_values(columns))
    whole = by_item(log_ratios, columns)
    apart = whole[:, :, None] - whole[:, None, :]
    differences = apart.where(better, 0.0)
    return differences.sum((1, 2)) / better.sum((1, 2)).clamp(min=1)


@loss_function("list_ranking", texts=(2, 1000), margin=margin)
def loss(log_ratios: Tensor, columns: Columns) -> Tensor:
    """Sum over pairs with v_i > v_j of -lambda_ij * log sigmoid(s_i - s_j),
    the lambdas of a list summing to 1.

    TPO (arXiv 2410.12854) names preference list ranking, lambda weights and an adaptive step
    reward; its equations could not be read and its code maximises mis-ranking. This is LiPO's form
    (arXiv 2402.01878, second-hand): lambda_ij = |G_i - G_j| * |1 / D_i - 1 / D_j|, gain G = 2^v -
    1, discount D = log(1 + rank by score). Ours: values are rescaled to [0, 1] per list, so that no
    gain overflows; lambdas sum to 1, so that a list of two is DPO and a long list weighs no more
    than a short one; equal values make no pair, and a list of them costs 0. The same whatever the
    order of the items.

    Args:
        log_ratios: (n, K) in nats.
        columns: reads beta, values (n, K; NaN where there is no text), rewards (n, K), items and
            the setting list_weights.
    """
    score, values = scores(log_ratios, columns), item_values(columns)
    better = ordered(values)
    weights = (
        lambdas(score.detach(), values)
        if columns.options.list_weights == "lambda"
        else better.float()
    )
    total = weights.sum((1, 2), keepdim=True)
    weights = weights / total.where(total > 0, 1.0)
    return -(weights * log_sigmoid(score[:, :, None] - score[:, None, :])).sum((1, 2))
