"""Strengths of tree pairs are calibrated, in as many worlds as a claim about them asks for."""

import random

import numpy as np
import polars as pl
import pytest

from tests.trees.many_worlds import strengths, tree
from tests.trees.simulated import LAWS, world
from tests.trees.test_chances import off

WORLDS = [40, pytest.param(2000, marks=[pytest.mark.long, pytest.mark.timeout(3600)])]


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("worlds", WORLDS)
def test_strengths_are_calibrated_over_many_worlds(law: str, worlds: int) -> None:
    found = [strengths(law, 150, random.Random(f"{law} {number}")) for number in range(worlds)]
    said, true = np.concatenate(found).T
    apart = [off(*each.T) for each in found]
    print(
        f"{law}: {len(said)} pairs, said {said.mean():.4f}, true {true.mean():.4f}, "
        f"off {off(said, true):.4f}, a world {np.mean(apart):.4f}, "
        f"95 % of them below {np.quantile(apart, 0.95):.4f}, worst {max(apart):.4f}"
    )
    assert abs(said.mean() - true.mean()) < 0.025 and off(said, true) < 0.05
    assert np.quantile(apart, 0.95) < 0.05  # each world has its own fit


@pytest.mark.parametrize("law", LAWS)
def test_these_trees_are_those_of_the_projects_search(law: str) -> None:
    """Means over trees differ by less than four standard errors: steps, steps that end,
    right rollouts a step, and the spread of the values.
    """
    grown = world(law, 150, seed=2).nodes.filter(pl.col("kind") == "step")
    ours = grown.group_by("prompt_id").agg(
        pl.len(),
        pl.col("terminal").sum(),
        pl.col("n_correct").filter(~pl.col("terminal")).mean(),
        pl.col("value").var().fill_null(0),
    )
    rng = random.Random(f"equal {law}")
    rows = []
    for _ in range(600):
        draws = [each for group in tree(law, rng) for each, _ in group]
        on = [each.right for each in draws if not each.ends]
        values = [each.right / each.drawn for each in draws]
        spread = float(np.var(values, ddof=1)) if len(values) > 1 else 0.0
        rows.append((len(draws), len(draws) - len(on), np.mean(on), spread))
    here, there = ours.drop("prompt_id").to_numpy(), np.array(rows, dtype=float)
    error = np.sqrt(here.var(axis=0) / len(here) + there.var(axis=0) / len(there))
    assert (np.abs(here.mean(axis=0) - there.mean(axis=0)) < 4 * error).all()
