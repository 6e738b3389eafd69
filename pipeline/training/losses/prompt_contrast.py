"""MAPL: which prompt does a response fit, and how much more is it preferred under it?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline.training.example import Example
from pipeline.training.losses.base import compared, difference, log_sigmoid, loss_function
from pipeline.training.losses.columns import Columns

if TYPE_CHECKING:
    from torch import Tensor


def crossed(example: Example) -> Example:
    """A pair with two contexts and two texts becomes four sides: each text in each context.

    Order: (x', chosen), (x', rejected), (x, rejected), (x, chosen), where x' is the chosen side's
    context and x the rejected side's. Every other row stays as it is.
    """
    example = compared(example)
    contexts, texts = {context for context, _ in example.texts}, {text for _, text in example.texts}
    if len(example.texts) != 2 or len(contexts) != 2 or len(texts) != 2:
        return example
    (first, chosen), (other, rejected) = example.texts
    four = ((first, chosen), (first, rejected), (other, rejected), (other, chosen))
    return replace(example, texts=four, values=(1.0, 0.0, 0.0, 1.0))


def margin(log_ratios: Tensor, columns: Columns) -> Tensor:
    """(n,) in nats: the margin under the first context less that under the second;
    the plain one for other rows.
    """
    h = difference(log_ratios, columns)
    return h if log_ratios.shape[1] == 2 else h + log_ratios[:, 2] - log_ratios[:, 3]


@loss_function("prompt_contrast", texts=(2, 4), arrange=crossed, margin=margin)
def loss(log_ratios: Tensor, columns: Columns) -> Tensor:
    """-log sigmoid(beta * margin), for the rows of MAPL and plain pairs among them.

    Intra-sample (one response, two prompts): -log sigmoid(r(x_w, y) - r(x_l, y)), the
    response-conditioned Bradley-Terry model in its DPO form (arXiv 2502.00814, second-hand). The
    partition terms of two prompts do not cancel; that note drops them, and so does this loss.

    Inter-sample (two prompts, two responses): -log sigmoid([r(x', y_w) - r(x', y_l)] - [r(x, y_w) -
    r(x, y_l)]), where x' favours y_w more than x does. The paper's construction could not be read:
    this is our hypothesis.

    Args:
        log_ratios: (n, 2) or (n, 4) in nats, in the order of `crossed`; 0 for the sides that a row
            does not have.
        columns: reads beta.
    """
    return -log_sigmoid(columns.beta * margin(log_ratios, columns))
