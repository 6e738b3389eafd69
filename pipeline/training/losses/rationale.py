"""DPO that also learns to say why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.training.example import Example
from pipeline.training.losses import sigmoid
from pipeline.training.losses.base import loss_function
from pipeline.training.losses.columns import Columns

if TYPE_CHECKING:
    from torch import Tensor


def keep(example: Example) -> Example:
    """The example with its rationale."""
    return example


def without_reasons(examples: Sequence[Example]) -> str | None:
    """What is wrong with rows of which none has a rationale."""
    if any(len(example.texts) > len(example.values) for example in examples):
        return None
    return "no row has a rationale: attach the table `rationales` to the pairs"


@loss_function("rationale", arrange=keep, fault=without_reasons)
def loss(log_ratios: Tensor, columns: Columns) -> Tensor:
    """DPO - gamma * mean log-probability per token of the rationale;
    plain DPO for a row without one.

    Just et al. 2024 (arXiv 2407.14477) as summarised: DPO - gamma * log pi(r | x, chosen >
    rejected). Ours: the mean per token, so that gamma does not depend on how long rationales are;
    the authors' code takes the sum, inside a sigmoid, and needs a gamma of about 0.001.

    Args:
        log_ratios: (n, 3) in nats; the third is the rationale's log-probability under the policy, 0
            without one.
        columns: reads beta, tokens (n, 3) and the setting gamma.
    """
    pairs = sigmoid.loss(log_ratios, columns)
    if log_ratios.shape[1] < 3:  # no row of this batch has one
        return pairs
    return pairs - columns.options.gamma * log_ratios[:, 2] / columns.tokens[:, 2].clamp(min=1)
