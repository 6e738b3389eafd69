"""Losses by name.

A loss is a function (log_ratios, columns) -> (n,): from `log_ratios` (n, K), in nats, log pi(text) - log pi_ref(text)
of a row's texts (a pair: chosen, rejected), to one number per row. The trainer multiplies by the row's weight: the
weighted variants need no loss of their own.
"""

from pipeline.errors import OrchardError
from pipeline.training.losses import (
    bco,
    hinge,
    ipo,
    lcpo,
    list_ranking,
    margin,
    prompt_contrast,
    rationale,
    rdpo,
    sigmoid,
    soft,
)
from pipeline.training.losses.base import Loss
from pipeline.training.losses.columns import Columns

LOSSES: dict[str, Loss] = {
    "sigmoid": Loss(sigmoid.loss),
    "soft": Loss(soft.loss, needs=("strength",)),
    "conservative": Loss(soft.conservative),
    "margin": Loss(margin.loss, needs=("margin",)),
    "soft_margin": Loss(margin.soft, needs=("margin", "strength")),
    "rdpo": Loss(rdpo.loss),
    "lcpo": Loss(lcpo.loss, running=lcpo.RELIABILITY),
    "ipo": Loss(ipo.loss),
    "hinge": Loss(hinge.loss),
    "bco": Loss(bco.loss, texts=(1, 2), margin=bco.margin, running=bco.CENTRE),
    "list_ranking": Loss(list_ranking.loss, texts=(2, 1000), margin=list_ranking.margin),
    "rationale": Loss(rationale.loss, arrange=rationale.keep),
    "prompt_contrast": Loss(
        prompt_contrast.loss, texts=(2, 4), arrange=prompt_contrast.crossed, margin=prompt_contrast.margin
    ),
}


def get(name: str) -> Loss:
    if name not in LOSSES:
        raise OrchardError(f"unknown loss {name!r}: use one of {', '.join(sorted(LOSSES))}")
    return LOSSES[name]


__all__ = ["LOSSES", "Columns", "Loss", "get"]
