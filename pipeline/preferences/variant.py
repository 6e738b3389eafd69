"""What a data variant is: where its pairs come from, which loss learns them, and what it is a control of."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import polars as pl

from pipeline.config import Settings
from pipeline.store import Lake

Build = Callable[[Lake, Settings], pl.DataFrame]


@dataclass(frozen=True)
class Variant:
    """One row of the registry.

    `build` returns columns of `preferences` (those that it leaves out become null, weight 1, flipped false); ids,
    variant, level and method are filled in for it. `tables` are the tables that its data were made from: their tokens
    are its cost, and their assets run only where a variant of the profile names them. `loss` is the name of the loss
    that learns it; null: the profile's `training.loss`. `control_of` names the variant that this one is a control of.
    `rows` is the table whose rows of this variant's name the loss learns from: a list loss reads ranked lists.
    `source` gives the name of the variant whose pairs this one treats, where the profile says which: its tables and
    its level are then this one's too. `query` is the text of a profile's own query. `no_control` says, of a variant
    that has no control, why none is needed.
    """

    name: str
    level: str
    method: str
    tables: tuple[str, ...]
    build: Build
    loss: str | None = None
    control_of: str | None = None
    rows: Literal["preferences", "preference_lists", "unpaired"] = "preferences"
    source: Callable[[Settings], str] | None = None
    query: str | None = None
    no_control: str | None = None
