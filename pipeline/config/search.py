"""Settings of the search for each variant's training settings."""

from collections.abc import Mapping
from itertools import product
from typing import Any, Self

from pydantic import Field, model_validator

from pipeline.config.section import Section
from pipeline.config.training import OwnTraining, checked_changes
from pipeline.ids import unit_for

NUMBERS = ("learning_rate", "beta", "epochs")


class Grid(Section):
    """Values of training settings, each combined with each; empty: nothing is tried."""

    learning_rate: tuple[float, ...] = ()
    beta: tuple[float, ...] = ()
    epochs: tuple[int, ...] = ()
    losses: dict[str, tuple[float, ...]] = {}  # such as {simpo_gamma: [0.5, 1.0]}

    @model_validator(mode="after")
    def _can_be_trained_with(self) -> Self:
        for changes in self.points():
            checked_changes(changes)
        return self

    def points(self) -> list[OwnTraining]:
        """All combinations, as changes of the training settings."""
        plain = {name: getattr(self, name) for name in NUMBERS if getattr(self, name)}
        axes = [*plain.values(), *self.losses.values()]
        found = []
        for values in product(*axes) if axes else ():
            changes: dict[str, Any] = dict(zip(plain, values, strict=False))
            if self.losses:
                own = dict(zip(self.losses, values[len(plain) :], strict=True))
                changes["losses"] = own
            if changes not in found:
                found.append(changes)
        return found


class SearchSettings(Grid):
    """Training settings that are tried for each variant before it is trained.

    Each try is a training with the first seed; the one that ranks most of the variant's validation
    pairs right is taken. The board reports on other validation pairs.
    """

    # tries of each variant, drawn from its combinations by `seed`; null: all of them
    tries: int | None = Field(None, ge=1)
    seed: int = 0
    # other values for single variants, such as {mine: {beta: [2.0, 2.5]}}: as many tries as others
    variants: dict[str, Grid] = {}

    @property
    def asked(self) -> bool:
        """Whether anything is tried."""
        return bool(self.points() or self.variants)

    def changes_of(self, variant: str, shared: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What is tried for a variant, in the order of its values.

        shared: the variant's training settings without a search. Where they are one of the
        combinations, they are among the tries.
        """
        points = self.variants.get(variant, self).points()
        if self.tries is None or self.tries >= len(points):
            return points
        whole = kept(points[0], points[0])
        drawn = sorted(
            points,
            key=lambda one: (kept(one, shared) < whole, unit_for("search", self.seed, str(one))),
        )
        return [point for point in points if point in drawn[: self.tries]]


def kept(point: Mapping[str, Any], shared: Mapping[str, Any]) -> int:
    """How many values of a combination are what the training settings say already."""
    losses = point.get("losses", {})
    same = [shared[name] == value for name, value in point.items() if name != "losses"]
    return sum(map(bool, (*same, *(shared["losses"][n] == value for n, value in losses.items()))))
