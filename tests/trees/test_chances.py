"""Chances from few draws: by hand where they are known, and against simulated worlds."""

import math
from itertools import product

import numpy as np
import polars as pl
import pytest
from scipy import integrate, stats

from pipeline.preferences.lists import ranked_lists
from pipeline.preferences.strengths import of_siblings
from pipeline.trees.chances import Draws, fit
from tests.trees.simulated import LAWS, World, world

TREES = 150  # of each world


@pytest.fixture(scope="module", params=LAWS)
def grown(request: pytest.FixtureRequest) -> World:
    return world(request.param, TREES, seed=2)


def test_with_one_known_prior_the_chance_is_the_betas_and_the_strength_its_integral() -> None:
    """Groups of one step drawn from Beta(2, 2) in great number:
    the fitted prior says of 6 of 8 what Beta(8, 4) does.
    """
    rng = np.random.default_rng(0)
    drawn = rng.binomial(8, rng.beta(2, 2, size=(20_000, 2)))
    groups = [
        {f"{n}.{m}": Draws(int(right), 8) for m, right in enumerate(row)}
        for n, row in enumerate(drawn)
    ]
    chances = fit(groups)
    number = next(n for n, row in enumerate(drawn) if tuple(row) == (6, 3))
    # The two of a group are drawn apart, but the grid may take some of their spread for the
    # group's own: the same draws, a little nearer to each other.
    assert chances.mean(f"{number}.0") == pytest.approx(8 / 12, abs=0.03)
    assert chances.mean(f"{number}.1") == pytest.approx(5 / 12, abs=0.03)

    def strength(c: float, d: float) -> float:
        won = c * (1 - d) / (c * (1 - d) + d * (1 - c))
        return float(won * stats.beta.pdf(c, 8, 4) * stats.beta.pdf(d, 5, 7))

    exact, _ = integrate.dblquad(strength, 0, 1, 0, 1)
    assert chances.strength(f"{number}.0", f"{number}.1") == pytest.approx(exact, abs=0.03)


def test_what_ends_is_known_and_the_two_strengths_of_a_pair_add_to_one() -> None:
    group = {
        "right": Draws(1, 1, ends=True), "wrong": Draws(0, 1, ends=True),
        "six": Draws(6, 8), "two": Draws(2, 8),
    }  # fmt: skip
    chances = fit([group, {"other": Draws(3, 8)}, {}])
    assert (chances.mean("right"), chances.mean("wrong")) == (pytest.approx(1), pytest.approx(0))
    assert chances.strength("right", "six") == pytest.approx(1)
    assert chances.strength("right", "right") == pytest.approx(0.5)
    for one, other in product(group, group):
        there, back = chances.strength(one, other), chances.strength(other, one)
        assert there is not None and back is not None and there + back == pytest.approx(1)
    assert chances.strength("six", "two") > 0.5  # type: ignore[operator]
    assert chances.strength("six", "unknown") is None and chances.mean("unknown") is None
    with pytest.raises(ValueError, match="six and other are of two groups"):
        chances.strength("six", "other")
    assert fit([]).mean("six") is None


def off(said: np.ndarray, true: np.ndarray) -> float:
    """Mean distance of said and true strengths over tenths from .5 to 1, by their sizes."""
    place = np.clip((said * 10).astype(int), 5, 9)
    parts = [place == tenth for tenth in range(5, 10)]
    return float(sum(abs(said[p].mean() - true[p].mean()) * p.mean() for p in parts if p.any()))


def inner(grown: World, pairs: pl.DataFrame) -> pl.DataFrame:
    """Pairs of steps that both go on: nothing of them is known for sure."""
    ends = grown.nodes.filter(pl.col("terminal"), pl.col("kind") == "step")["node_id"].to_list()
    return pairs.filter(~pl.col("chosen_id").is_in(ends) & ~pl.col("rejected_id").is_in(ends))


@pytest.mark.parametrize("name", ["pairs_siblings", "pairs_curriculum"])
@pytest.mark.parametrize("margin", [0.375, 0.125])
def test_strengths_of_tree_pairs_are_calibrated(grown: World, name: str, margin: float) -> None:
    """Pairs as they are built, picked by the draws that the strengths read."""
    more = {"continuation": "step"} if name == "pairs_siblings" else {}
    pairs = grown.query(name, method="best_first", margin=margin, per_prompt=1000, **more)
    chances = of_siblings(grown.nodes.filter(pl.col("kind") == "step"))
    value = dict(grown.nodes.select("node_id", "value").iter_rows())
    for picked in (pairs, inner(grown, pairs)):
        ids = picked.select("chosen_id", "rejected_id").rows()
        said, true = np.array([chances.strength(*each) for each in ids]), grown.odds(picked)
        plug_in = np.array([_odds(value[one], value[other]) for one, other in ids])
        assert len(said) > 300
        assert abs(said.mean() - true.mean()) < 0.05 and off(said, true) < 0.05
        assert plug_in.mean() - true.mean() > 0.1


def test_strengths_of_lists_are_calibrated(grown: World) -> None:
    lists, _ = ranked_lists(grown.nodes, grown.prompts, size=5)
    leaf = dict(
        grown.nodes.filter(pl.col("kind") == "rollout").select("node_id", "parent_id").rows()
    )
    rows = [
        (items[o["better"]]["item_id"], items[o["worse"]]["item_id"], o["strength"])
        for items, orders in lists.select("items", "orders").iter_rows()
        for o in orders
    ]
    pairs = pl.DataFrame(
        [(leaf.get(one, one), leaf.get(other, other)) for one, other, _ in rows],
        schema=["chosen_id", "rejected_id"],
        orient="row",
    )
    said, true = np.array([strength for *_, strength in rows]), grown.odds(pairs)
    assert len(said) > 300
    assert abs(said.mean() - true.mean()) < 0.05 and off(said, true) < 0.05


def _odds(one: float, other: float) -> float:
    both = one * (1 - other) + other * (1 - one)
    return one * (1 - other) / both if both else math.nan
