"""Losses by name.

A loss is a function (log_ratios, columns) -> (n,): from `log_ratios` (n, K), in nats,
log pi(text) - log pi_ref(text) of a row's texts (a pair: chosen, rejected), to one number per row.
The trainer multiplies by the row's weight: the weighted variants need no loss of their own.
"""

from pipeline.training.losses.base import LOSSES, Loss, Running, loss_function
from pipeline.training.losses.columns import Columns

__all__ = ["Columns", "LOSSES", "Loss", "Running", "code_of", "get", "loss_function"]


def get(name: str) -> Loss:
    """The loss of that name.

    Raises:
        OrchardError: there is none; the message has all known names.
    """
    return LOSSES.find(name)


def code_of(name: str) -> str:
    """Where a loss's code is: the name of its module, or the path of a user's file."""
    return LOSSES.source_of(name)
