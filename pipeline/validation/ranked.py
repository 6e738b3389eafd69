"""The policies of a profile on what they are ranked by: one number per prompt, paired.

A pair is measured, and a prompt is compared: the pairs of one prompt are not independent, so their
mean is the prompt's one value.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from scipy import stats

from pipeline.errors import OrchardError
from pipeline.validation.ranked_by import CHANCE, named
from pipeline.validation.scores import Scores, paired, scores
from pipeline.validation.sets import MARK, bare, split_name
from pipeline.validation.statistics import Numbers

BASE = "base"
# A change of a share near one half, in log-odds: 1 / (0.5 * 0.5).
UNITS = {"length_controlled_wins": 4.0}


@dataclass(frozen=True)
class RankedBy:
    """What ranks, and what the units are that it is measured on.

    weights: metric -> weight, summing to 1. prompts: the prompt of each unit that is no verified
    prompt. sets: unit -> the evaluation set that it is of. brought: policies that were trained
    elsewhere, by name, and where they are from.
    """

    weights: Mapping[str, float] = field(default_factory=lambda: {"accuracy": 1.0})
    prompts: Mapping[str, str] = field(default_factory=dict)
    sets: Mapping[str, str] = field(default_factory=dict)
    brought: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The metric in words."""
        return named(self.weights)

    @property
    def unit(self) -> float:
        """What a gain of 1 in a share is in units of the metric."""
        return sum(weight * UNITS.get(bare(one), 1.0) for one, weight in self.weights.items())


@dataclass(frozen=True)
class Ranked:
    """(variant, metric) -> scores per prompt, of the metrics that rank."""

    by: RankedBy
    found: Mapping[tuple[str, str], Scores]
    expected: Mapping[str, frozenset[str]]  # metric -> prompts that should have a value

    @classmethod
    def of(cls, evaluations: pl.DataFrame, by: RankedBy, tests: Collection[str]) -> "Ranked":
        """From rows of `evaluations`, the metrics of sets with their names (`sets.by_set`); tests:
        ids of the test prompts that have a verifier.

        Raises:
            OrchardError: nothing was measured that could rank, or units that are none of today's.
        """
        own = evaluations.filter(pl.col("metric").is_in(list(by.weights)))
        known = {**{unit: unit for unit in tests}, **by.prompts}
        _refuse_unknown(own, known, set(tests))
        prompts = own.with_columns(
            unit_id=pl.col("unit_id").replace_strict(known, return_dtype=pl.String)
        )
        keys = ["variant", "metric", "seed", "unit_id"]
        means = prompts.group_by(keys, maintain_order=True).agg(pl.col("value").mean())
        expected = {
            metric: frozenset(t for t in tests if by.sets.get(t) == split_name(metric)[1])
            if bare(metric) == "accuracy"
            else frozenset(means.filter(pl.col("metric") == metric)["unit_id"])
            for metric in by.weights
        }
        made = cls(by, scores(means), expected)
        made._refuse_incomplete()
        return made

    @property
    def variants(self) -> list[str]:
        """The base model, and whoever has a score, in the order of the evaluations."""
        return list(dict.fromkeys([BASE, *(variant for variant, _ in self.found)]))

    def is_fixed(self, name: str) -> bool:
        """Whether a policy has no training seed: the base model, and what was trained elsewhere."""
        return name == BASE or name in self.by.brought

    def value(self, variant: str, against: str = BASE) -> float:
        """The weighted mean of a variant, on the prompts that the other has too."""
        return sum(
            weight * float(self._both(metric, variant, against)[0].values.mean())
            for metric, weight in self.by.weights.items()
        )

    def prompts(self, variant: str, against: str = BASE) -> frozenset[str]:
        """The prompts that both were measured on, by any of the metrics."""
        both = (self._both(metric, variant, against)[0].units for metric in self.by.weights)
        return frozenset(unit for units in both for unit in units)

    def missing(self, variant: str) -> int:
        """Prompts that should have a value for the variant and the base model, and have none."""
        wanted = frozenset(unit for units in self.expected.values() for unit in units)
        return len(wanted - self.prompts(variant))

    def differences(self, variant: str, against: str = BASE) -> Numbers:
        """(S seeds, n prompts) whose mean is the variant's value minus the other's.

        Of several metrics: with gaps d (S, n_m) of metric m and N prompts in all,
        sum of w_m * mean(d) + sum of w_m * N / n_m * c_m * (d - mean(d)) where the prompt has m,
        c_m = t / z * sqrt(n_m / (n_m - 1)) at 97.5 %. The standard error of its mean over prompts
        is that of the weighted sum, whether metrics share prompts (and so go together) or not: the
        delta method, our choice. t / z is for a metric with few prompts: without it, nothing was
        called something in 5.8 % of simulated worlds of 50 and 30 prompts.
        """
        gaps = {m: self._gap(m, variant, against) for m in self.by.weights}
        if len(gaps) == 1:
            return next(iter(gaps.values())).values
        order = {
            unit: i for i, unit in enumerate(sorted({u for g in gaps.values() for u in g.units}))
        }
        seeds = min(len(gap.values) for gap in gaps.values())  # a seed may lack a metric
        table = np.zeros((seeds, len(order)))
        for metric, gap in gaps.items():
            own = gap.values[:seeds]
            mean = own.mean(axis=1, keepdims=True)  # (S, 1)
            n, weight = len(gap.units), self.by.weights[metric]
            share = len(order) / n * _few(n)
            table[:, [order[unit] for unit in gap.units]] += weight * share * (own - mean)
            table += weight * mean
        return table

    def _gap(self, metric: str, variant: str, against: str) -> Scores:
        own, other = self._both(metric, variant, against)
        if self.is_fixed(against):  # has no training seed: the same for all
            return Scores(own.units, own.values - other.per_unit)
        if self.is_fixed(variant):
            return Scores(own.units, own.per_unit - other.values)
        seeds = min(len(own.values), len(other.values))
        return Scores(own.units, own.values[:seeds] - other.values[:seeds])

    def _both(self, metric: str, variant: str, against: str) -> tuple[Scores, Scores]:
        own, other = self._scores(metric, variant, against), self._scores(metric, against, variant)
        one, two = paired(own, other)
        if not one.units:
            what = f"variant {variant!r}: no test prompt was answered by it and by "
            what = f"{what}{'the base model' if against == BASE else repr(against)}"
            raise OrchardError(f"{what} ({metric}): see `rejects`")
        return one, two

    def _scores(self, metric: str, variant: str, beside: str) -> Scores:
        """Those of a variant; the base model's where it has none by definition: chance."""
        chance = CHANCE.get(bare(metric))
        if (variant, metric) in self.found or chance is None or variant != BASE:
            return self.found[variant, metric]
        if beside == BASE:
            units = tuple(sorted(self.expected[metric]))
        else:
            units = self.found[beside, metric].units
        return Scores(units, np.full((1, len(units)), chance))

    def _refuse_incomplete(self) -> None:
        for metric in self.by.weights:
            by_chance = bare(metric) in CHANCE
            if not by_chance and (BASE, metric) not in self.found:
                what = f"the base model has no evaluation by {metric}"
                raise OrchardError(f"{what}: materialise `evaluations` first, or see `rejects`")
            if by_chance and not self.expected[metric]:
                what = f"no policy has an evaluation by {metric}"
                raise OrchardError(f"{what}: see `rejects`, or rank by another")
            lacking = [v for v in self.variants if v != BASE and (v, metric) not in self.found]
            if lacking:
                what = f"variant {lacking[0]!r} has no evaluation by {metric}"
                raise OrchardError(f"{what}: materialise `evaluations` first, or see `rejects`")


def _few(n: int) -> float:
    """By how much residuals from a mean of n values are too small: t / z * sqrt(n / (n - 1))."""
    free = max(1, n - 1)
    return float(stats.t.ppf(0.975, free) / stats.norm.ppf(0.975) * np.sqrt(n / free))


def _refuse_unknown(own: pl.DataFrame, known: Mapping[str, str], tests: set[str]) -> None:
    bare_names = own["metric"].str.split(MARK).list.first()
    verified = bare_names.is_in(["accuracy", "instructions"])
    stale = ~own["unit_id"].is_in(list(known)) | (verified & ~own["unit_id"].is_in(list(tests)))
    if stale.any():
        name = own.filter(stale)["variant"][0]
        raise OrchardError(
            f"variant {name!r} was evaluated on other prompts than the test's: evaluate it again"
        )
