"""Losses by name.

A loss is a function (log_ratios, columns) -> (n,): from `log_ratios` (n, K), in nats, log pi(text) - log pi_ref(text)
of a row's texts (a pair: chosen, rejected), to one number per row. The trainer multiplies by the row's weight: the
weighted variants need no loss of their own.
"""

from pipeline.errors import OrchardError
from pipeline.training.losses import prompt_contrast, sigmoid
from pipeline.training.losses.base import Loss
from pipeline.training.losses.columns import Columns

LOSSES: dict[str, Loss] = {
    "sigmoid": Loss(sigmoid.loss),
    "prompt_contrast": Loss(
        prompt_contrast.loss, texts=(2, 4), arrange=prompt_contrast.crossed, margin=prompt_contrast.margin
    ),
}


def get(name: str) -> Loss:
    if name not in LOSSES:
        raise OrchardError(f"unknown loss {name!r}: use one of {', '.join(sorted(LOSSES))}")
    return LOSSES[name]


__all__ = ["LOSSES", "Columns", "Loss", "get"]
