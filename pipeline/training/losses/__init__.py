"""Losses by name.

A loss is a function (log_ratios, columns) -> (n,): from `log_ratios` (n, 2), in nats, log pi(text) - log pi_ref(text)
of the chosen and the rejected side, to one number per pair. The trainer multiplies by the pair's weight.
"""

from collections.abc import Callable

from torch import Tensor

from pipeline.errors import OrchardError
from pipeline.training.losses import sigmoid
from pipeline.training.losses.columns import Columns

Loss = Callable[[Tensor, Columns], Tensor]

LOSSES: dict[str, Loss] = {"sigmoid": sigmoid.loss}


def get(name: str) -> Loss:
    if name not in LOSSES:
        raise OrchardError(f"unknown loss {name!r}: use one of {', '.join(sorted(LOSSES))}")
    return LOSSES[name]


__all__ = ["LOSSES", "Columns", "Loss", "get"]
