"""Pairs of trees of a simulated policy, against what is true of their steps."""

import numpy as np
import polars as pl
import pytest

from pipeline.preferences.strengths import of_siblings
from pipeline.preferences.trees import staged
from pipeline.validation.ranking import of_reference
from tests.trees.simulated import LAWS, SETTINGS, judge, world

TREES, MANY = 150, 100_000


def test_regret_prefers_no_depth_where_no_step_matters() -> None:
    """With the parent's own value, which chose it, a step of depth 1 won 88 % of them."""
    grown = world("null", TREES, seed=2)
    pairs = grown.query("pairs_regret", method="best_first", margin=0.375, per_prompt=MANY)
    depth = dict(grown.nodes.select("node_id", "depth").iter_rows())
    depths = np.array([[depth[one] for one in row] for row in sides(pairs)])
    first = depths[(depths == 1).any(axis=1)]
    assert len(first) > 300
    assert abs((first[:, 0] == 1).mean() - 0.5) < 0.03


@pytest.mark.parametrize(("law", "easy", "hard"), [("walk", 0.95, 0.7), ("critical", 0.99, 0.5)])
def test_the_first_stage_of_a_curriculum_has_the_right_labels(
    law: str, easy: float, hard: float
) -> None:
    """Without a floor and with thirds by gap, the last stage was empty."""
    grown = world(law, TREES, seed=2)
    pairs = grown.query("pairs_curriculum", method="best_first", margin=0.375, per_prompt=MANY)
    chances = of_siblings(grown.nodes.filter(pl.col("kind") == "step"))
    strengths = pl.Series("strength", [chances.strength(*row) for row in sides(pairs)])
    found = staged(pairs.with_columns(strengths)).filter(pl.col("split") == "train")
    right = []
    for stage in range(3):
        chosen, rejected = grown.chances(found.filter(pl.col("stage") == stage))
        assert len(chosen) > 100
        right.append(float(((chosen > rejected) + 0.5 * (chosen == rejected)).mean()))
    assert right[0] > easy and right[0] > right[1] >= right[2] - 0.02 and right[2] >= hard


@pytest.mark.parametrize("law", LAWS)
def test_rollouts_of_one_step_differ_in_nothing_but_their_end(law: str) -> None:
    grown = world(law, 40, seed=1, cut=0.1)
    pairs = grown.query("pairs_same_step", method="best_first", per_prompt=MANY)
    mixed = grown.nodes.filter(
        pl.col("kind") == "step", pl.col("n_correct").is_between(1, pl.col("n_rollouts") - 1)
    )
    assert 0.8 * mixed.height < pairs.height <= mixed.height  # a few have no wrong one that ends
    assert set(pairs["prefix"]) <= set(mixed.select(pl.concat_str("prefix", "text")).to_series())
    for prefix, chosen, rejected in pairs.select("prefix", "chosen", "rejected").iter_rows():
        assert (judge(prefix + chosen)[1], judge(prefix + rejected)[1]) == (True, False)
    few = grown.query("pairs_same_step", method="best_first", per_prompt=2)
    assert few.group_by("prompt_id").len()["len"].max() == 2


def test_nothing_is_sampled_below_a_step_whose_value_is_decided() -> None:
    """At a level that is mostly solved the rule makes a pair cheaper."""
    costs = []
    for skip in (False, True):
        grown = world("easy", 60, SETTINGS.model_copy(update={"skip_decided": skip}), seed=1)
        pairs = grown.query(
            "pairs_siblings", method="best_first", margin=0.375, continuation="step",
            per_prompt=MANY,
        )  # fmt: skip
        costs.append(grown.tokens / pairs.height)
        steps = grown.nodes.filter(pl.col("kind") == "step")
        decided = steps.filter(pl.col("value").is_in([0.0, 1.0]), ~pl.col("terminal"))
        below = steps.filter(pl.col("parent_id").is_in(decided["node_id"].to_list()))
        assert below.is_empty() == skip
    assert costs[1] < 0.75 * costs[0]


@pytest.mark.parametrize(("law", "off"), [("walk", 0.05), ("critical", 0.12), ("null", 0.05)])
def test_what_dpo_could_rank_right_is_said_nearly_as_it_is(law: str, off: float) -> None:
    """The limits of DPO by estimated strengths and by true ones; shares of draws say too much.

    They ask for log-odds near 0, and where one step decides, pairs of equal steps have a little
    more than that.
    """
    grown = world(law, TREES, seed=2)
    pairs = grown.query(
        "pairs_siblings", method="best_first", margin=0.375, continuation="step", per_prompt=4
    )
    chances = of_siblings(grown.nodes.filter(pl.col("kind") == "step"))
    value = dict(grown.nodes.select("node_id", "value").iter_rows())
    gap = np.random.default_rng(0).normal(3, 8, pairs.height)  # nats, of a reference
    strengths = {
        "said": [chances.strength(*row) for row in sides(pairs)],
        "true": grown.odds(pairs).tolist(),
        "draws": [odds(value[one], value[other]) for one, other in sides(pairs)],
    }
    found = {}
    for name, strength in strengths.items():
        logps = pl.DataFrame({"strength": strength, "ref_rejected": gap}).with_columns(
            pl.lit("x").alias("pair_id"), ref_chosen=0.0, chosen_tokens=1, rejected_tokens=1
        )
        limits = of_reference(logps, beta=0.1)
        found[name] = [limits[of]["value"].mean() for of in ("ideal_ranking", "unflippable")]
    assert np.allclose(found["said"], found["true"], atol=off)
    assert found["draws"][1] < found["true"][1] - 0.15  # type: ignore[operator]


def odds(one: float, other: float) -> float:
    return one * (1 - other) / (one * (1 - other) + other * (1 - one))


def sides(pairs: pl.DataFrame) -> list[tuple[str, str]]:
    return pairs.select("chosen_id", "rejected_id").rows()
