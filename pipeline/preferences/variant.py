"""What a data variant is: where its pairs come from, which loss learns them, what it controls."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import polars as pl

from pipeline.config import Settings, TrainingSettings
from pipeline.config.policies import BASE
from pipeline.config.training import merged
from pipeline.errors import OrchardError
from pipeline.extensions import registering
from pipeline.registered import Registry
from pipeline.steps.declared import Need, Reads, Rows
from pipeline.store.reader import Reader

Build = Callable[[Reader, Settings], pl.DataFrame]
Table = Literal["preferences", "preference_lists", "unpaired"]


@dataclass(frozen=True)
class Part:
    """One part of a mixture: a variant, its share of the pairs, and the loss of these.

    loss: null: the profile's `training.loss`.
    """

    name: str
    share: float
    loss: str | None


@dataclass(frozen=True)
class Variant:
    """One row of the registry.

    level: what the two sides are: step, response or prompt.
    method: how its pairs were made, in a few words.
    reads: what `build` reads; the tokens of these tables are the variant's cost.
    build: gives columns of `preferences`. Those that it leaves out become null, weight 1, flipped
        false; ids, variant, level and method are filled in for it.
    loss: name of the loss that learns it; null: the profile's `training.loss`.
    training: what of the profile's `training` is otherwise for it.
    control_of: the variant that this one is a control of.
    rows: the table whose rows of this variant's name the loss learns from.
    own_rows: where that is `unpaired`, gives its rows without ids and weights; where it is
        `preference_lists`, its lists without ids, if they are not made from trees.
    own_reads: what `own_rows` reads.
    source: gives the name of the variant whose pairs this one treats, where it treats any. They
        are read from `preferences`; its level is this one's too.
    policies: gives the names of the policies whose responses it is made from, in their order, where
        these are not the trained one's alone (`base`).
    parts: of a mixture, the variants whose pairs it mixes.
    query: the text of a profile's own query.
    part_of: the variant of whose training rows it learns from a share, the point of a curve.
    share: that share.
    no_control: of a variant without a control, why it needs none.
    """

    name: str
    level: str
    method: str
    reads: Reads
    build: Build
    loss: str | None = None
    control_of: str | None = None
    rows: Table = "preferences"
    own_rows: Build | None = None
    own_reads: Reads = Reads()
    source: Callable[[Settings], str] | None = None
    policies: Callable[[Settings], tuple[str, ...]] | None = None
    parts: tuple[Part, ...] = ()
    query: str | None = None
    no_control: str | None = None
    part_of: str | None = None
    share: float = 1.0
    training: Mapping[str, Any] = field(default_factory=dict)

    def reads_for(self, settings: Settings) -> Reads:
        """All that its build reads, the pairs of its source and its own code among them."""
        source = tuple(Rows("preferences", "variant", name) for name in self.sources(settings))
        asked = self.policies(settings) if self.policies else ()
        responses = Reads(tables=tuple(map(responses_of, asked)), texts=tuple(asked))
        return Reads(tables=source).plus(responses, self.reads, Reads(code=(self.build,)))

    def reads_of_own_rows(self) -> Reads:
        """All that `own_rows` reads, its code among them."""
        return self.own_reads.plus(Reads(code=(self.own_rows,) if self.own_rows else ()))

    def sources(self, settings: Settings) -> tuple[str, ...]:
        """The variants whose pairs it is made from: the one it treats, or a mixture's parts."""
        if self.source is not None:
            return (self.source(settings),)
        return tuple(part.name for part in self.parts)

    def settings(self, shared: TrainingSettings) -> TrainingSettings:
        """How it is trained: what all variants share, its loss, and what differs for it."""
        return merged(shared, {**self.training, "loss": self.loss or shared.loss})

    def control(self, suffix: str, what: str, build: Build) -> "Variant":
        """A control of this variant: what is different in it, and how its rows are made."""
        name, method = f"{self.name}_{suffix}", f"{self.method}, {what}"
        return replace(self, name=name, method=method, build=build, control_of=self.name)


VARIANTS = Registry[Variant]("variant", "pipeline.preferences")


def register(*variants: Variant) -> None:
    """Makes variants known by their names: called in the file that defines them.

    Raises:
        OrchardError: a name that another variant has.
    """
    module = registering()
    for variant in variants:
        if variant.name == "base":
            raise OrchardError(f"variants: the name {variant.name!r} is taken: choose another")
        VARIANTS.add(variant.name, variant, module)


def responses_of(policy: str) -> Need:
    """Where the responses of a policy stand, by its name."""
    return "responses" if policy == BASE else Rows("policy_responses", "policy", policy)


def pairs_of(lake: Reader, source: str) -> pl.DataFrame:
    """The pairs of a variant as they stand in `preferences`, for variants that treat them."""
    rows = lake.read("preferences", where=f"variant = '{source}'")
    return rows.sort("chosen_id", "rejected_id", maintain_order=True)


def bare(pairs: pl.DataFrame) -> pl.DataFrame:
    """Pairs without what `preferences` fills in for each variant."""
    return pairs.drop("pair_id", "variant", "level", "method")
