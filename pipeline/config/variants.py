"""Settings of variants that a profile adds to the registry."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from pipeline.config.section import Section
from pipeline.config.training import OwnTraining

PARTS = {"1of8": 1 / 8, "1of4": 1 / 4, "1of2": 1 / 2}  # of a learning curve


class UserVariant(Section):
    """A variant of one's own:
    a SELECT whose rows are pairs, another variant's pairs under another loss, or a mixture.

    The query gives prompt_id, chosen and rejected, and any other column of `preferences`; what it
    leaves out is filled in. It gets a control `<name>_shuffled` for nothing, unless it is a control
    itself.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    # path of the query, relative to the profile's folder; null: the pairs of `source`
    sql: str | None = None
    source: str | None = None  # a variant whose pairs the query reads as the table `source`
    loss: str | None = None  # null: training.loss
    # what of `training` is otherwise for this variant and its control
    training: OwnTraining = {}
    # what the two sides are; with a source: the source's
    level: Literal["step", "response", "prompt"] = "response"
    control_of: str | None = None
    # tables that it costs besides those that the query names, such as thought_nodes
    needs: tuple[str, ...] = ()
    # a part of another variant's training rows, in all else the same: for learning curves
    part_of: str | None = None
    share: float = Field(1.0, gt=0, le=1)  # of what that variant learns from, by hash
    # a mixture: variants and their shares of its pairs, each learned with its own loss
    of: dict[str, float] | None = None

    @model_validator(mode="after")
    def _names_its_loss_once(self) -> Self:
        if "loss" in self.training:
            raise ValueError(f"variant {self.name!r}: training.loss: set the variant's own `loss`")
        if self.training and self.control_of:
            what = f"it is a control and trains as {self.control_of!r} does"
            raise ValueError(f"variant {self.name!r}: training: {what}: leave it out")
        return self

    @model_validator(mode="after")
    def _has_pairs(self) -> Self:
        if self.part_of is not None:
            return self._is_part()
        if self.of is not None:
            return self._is_mixture(self.of)
        if self.sql is None and self.source is None:
            raise ValueError(f"variant {self.name!r} needs sql, source, or both; or of: a mixture")
        return self

    def _is_part(self) -> Self:
        own = ("sql", "source", "loss", "training", "control_of", "of")
        more = [name for name in own if getattr(self, name)]
        if more or self.needs:
            what = f"{(more or ['needs'])[0]} is not for a part of another variant"
            raise ValueError(f"variant {self.name!r}: {what}: leave it out")
        return self

    def _is_mixture(self, shares: dict[str, float]) -> Self:
        more = [key for key in ("sql", "source", "loss", "control_of") if getattr(self, key)]
        if more or self.needs:
            what = f"{(more or ['needs'])[0]} is not for a mixture, whose parts have their own"
            raise ValueError(f"variant {self.name!r}: {what}: leave it out")
        if len(shares) < 2 or not all(0 < share < math.inf for share in shares.values()):
            what = "of needs at least two variants with shares above 0"
            raise ValueError(f"variant {self.name!r}: {what}, such as {{outcome: 0.5, osp: 0.5}}")
        return self


def with_parts(names: Sequence[str], own: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The parts of a learning curve, as variants of one's own: those that are not declared yet.

    names: the compared variants. own: the declared variants of one's own.
    """
    declared = {str(one["name"]): one.get("part_of") for one in own if "name" in one}
    wholes = set(names) - {f"{name}_{part}" for name in names for part in PARTS}
    return [
        {"name": f"{name}_{part}", "part_of": name, "share": share}
        for name in names
        if name in wholes and declared.get(name) is None
        for part, share in PARTS.items()
        if f"{name}_{part}" not in declared
    ]
