"""A gain over prompts and training seeds: both are samples, and the interval answers for both.

A variant that is trained again with another seed is another policy. With S seeds and n prompts its
differences from the base form a crossed table (S, n): every seed answers every prompt. We want the
mean over all prompts and all seeds that could have been drawn, so both are random effects (two-way,
one value per cell; Montgomery, Design and Analysis of Experiments, chapter on random factors).
Nothing is resampled: to draw two or three seeds with replacement gives too narrow an interval (the
variance of such draws is (S - 1) / S of the seeds' own, and their quantiles are not a t's). How far
seeds are apart is taken from all variants of a leaderboard together, where it is given.

With one seed nothing can be known about other seeds. Then the interval is the paired bootstrap over
prompts alone, and holds for the one policy that was trained.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import stats

from pipeline.errors import OrchardError
from pipeline.validation.statistics import Interval, paired_bootstrap, sign_flip_p

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Gain:
    """A mean difference from the base model, its interval and p-value,
    and the spread between seeds.
    """

    interval: Interval
    p: float  # two-sided
    seed_sd: float | None  # of a policy's true gain from seed to seed; null with one seed
    covers: str  # what the interval answers for, in words
    method: str  # how interval and p were found


@dataclass(frozen=True)
class Spread:
    """Mean squares that tell how far seeds are apart, with their degrees of freedom,
    in squared units of the metric.
    """

    seeds: float  # n * variance of the seeds' means
    rest: float  # interaction and the noise of the draws
    seeds_df: float
    rest_df: float

    @classmethod
    def of(cls, table: Numbers) -> "Spread":
        """Of one crossed table (S, n), two of each at least."""
        seeds, prompts = table.shape
        by_prompt, by_seed = table.mean(axis=0), table.mean(axis=1)
        rest = table - by_prompt[None, :] - by_seed[:, None] + table.mean()
        df = float((seeds - 1) * (prompts - 1))
        return cls(
            float(prompts * by_seed.var(ddof=1)), float((rest**2).sum() / df), seeds - 1.0, df
        )

    def of_two(self) -> "Spread":
        """Of a difference of two variants, each with seeds of its own: twice one variant's."""
        return Spread(2 * self.seeds, 2 * self.rest, self.seeds_df, self.rest_df)

    @classmethod
    def pooled(cls, tables: Sequence[Numbers]) -> "Spread | None":
        """Of several variants on the same prompts, as if their seeds differed equally: our choice.

        Two or three seeds of one variant hardly tell how far seeds are apart; those of all variants
        together do. Null where no variant has two seeds.
        """
        found = [cls.of(table) for table in tables if min(table.shape) > 1]
        if not found:
            return None
        seeds_df, rest_df = sum(one.seeds_df for one in found), sum(one.rest_df for one in found)
        seeds = sum(one.seeds * one.seeds_df for one in found) / seeds_df
        return cls(seeds, sum(one.rest * one.rest_df for one in found) / rest_df, seeds_df, rest_df)


@dataclass(frozen=True)
class Components:
    """What the mean of a crossed table (S seeds, n prompts) is uncertain by."""

    prompts: float  # mean square: S * variance of the prompts' means
    spread: Spread
    shape: tuple[int, int]

    @classmethod
    def of(cls, table: Numbers, spread: Spread | None = None) -> "Components":
        """With the spread of its own seeds, or with a pooled one."""
        by_prompt = float(table.shape[0] * table.mean(axis=0).var(ddof=1))
        return cls(by_prompt, spread or Spread.of(table), (table.shape[0], table.shape[1]))

    @property
    def excess(self) -> float:
        """MS_seeds - MS_rest: n times the variance of the true gain between seeds; not below 0."""
        return max(self.spread.seeds - self.spread.rest, 0.0)

    @property
    def variance(self) -> float:
        """Of the mean: (MS_prompts + MS_seeds - MS_rest) / (S n)."""
        return (self.prompts + self.excess) / (self.shape[0] * self.shape[1])

    @property
    def seed_sd(self) -> float:
        """Standard deviation of the true gain from seed to seed."""
        return float(np.sqrt(self.excess / self.shape[1]))

    @property
    def degrees(self) -> float:
        """Degrees of freedom of that variance, by Satterthwaite 1946.

        Between those of the seeds, where they make most of it, and those of the prompts.
        """
        seeds, prompts = self.shape
        if not self.excess:
            return prompts - 1.0
        parts = (
            (self.prompts, prompts - 1),
            (self.spread.seeds, self.spread.seeds_df),
            (self.spread.rest, self.spread.rest_df),
        )
        return float((self.variance * seeds * prompts) ** 2 / sum(ms**2 / df for ms, df in parts))


def gain(
    values: Numbers,
    baseline: Numbers,
    *,
    resamples: int,
    confidence: float,
    seed: int,
    spread: Spread | None = None,
) -> Gain:
    """The mean difference of a variant from the base model, over prompts and training seeds.

    Args:
        values: (S seeds, n prompts), each a mean over draws.
        baseline: (n prompts,), the base model's on the same prompts: it has no training seed, so
            that its part is the same for all seeds and counts among the prompts' differences.
        resamples, seed: of the bootstrap and the test over prompts, with one seed.
        spread: between seeds, pooled over variants; null: that of this variant's own seeds.
    """
    table = np.atleast_2d(np.asarray(values, dtype=np.float64)) - np.asarray(
        baseline, dtype=np.float64
    )
    seeds, prompts = table.shape
    parts = Components.of(table, spread) if seeds > 1 and prompts > 1 else None
    if parts is None or parts.variance == 0:
        mean, zero = table.mean(axis=0), np.zeros(prompts)
        interval = paired_bootstrap(
            mean, zero, resamples=resamples, confidence=confidence, seed=seed
        )
        p = sign_flip_p(mean, zero, resamples=resamples, seed=seed)
        covers = (
            "other prompts, for the one policy that was trained" if seeds == 1 else "other prompts"
        )
        return Gain(
            interval,
            p,
            None if seeds == 1 else 0.0,
            covers,
            "paired bootstrap and sign flips over prompts",
        )
    mean, error = float(table.mean()), float(np.sqrt(parts.variance))
    half = float(stats.t.ppf(0.5 + confidence / 2, parts.degrees)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, parts.degrees))
    interval, covers = (
        Interval(mean, mean - half, mean + half),
        "other prompts and other training seeds",
    )
    return Gain(interval, p, parts.seed_sd, covers, "t over prompts and seeds (Satterthwaite)")


def crossed(evaluations: pl.DataFrame, variant: str, metric: str = "accuracy") -> Numbers:
    """(S, n) values of a variant:
    a row per training seed, a column per prompt, both in ascending order.

    Raises:
        OrchardError: its seeds were not measured on the same prompts.
    """
    found = evaluations.filter((pl.col("variant") == variant) & (pl.col("metric") == metric))
    wide = found.sort("seed", "unit_id").pivot(
        "unit_id", index="seed", values="value", maintain_order=True
    )
    names = sorted(name for name in wide.columns if name != "seed")
    table = wide.sort("seed").select(names)
    if table.null_count().sum_horizontal().sum():
        raise OrchardError(
            f"seeds of variant {variant!r} were evaluated on different prompts: evaluate it again"
        )
    return table.to_numpy().astype(np.float64)
