"""Selections against a world whose truth is known: scores that say something, and nothing."""

import numpy as np
import polars as pl
import pytest

from pipeline import tables
from pipeline.config import Settings
from pipeline.selection.compare import in_words, selections
from pipeline.selection.learn import equal_pairs, standardised

SETTINGS = Settings(
    profile="test",
    pools=(),
    selection={"sources": ["tree_plv", "outcome"], "draws": 4},
    validation={"bootstrap": 500},
)


def world(
    prompts: int, informative: dict[str, float], p: float = 0.4, n: int = 4, seed: int = 0
) -> pl.DataFrame:
    """Step scores of n answers a prompt, right with probability p.

    A selector's score is `informative` times whether the answer is right, plus standard normal.
    """
    rng = np.random.default_rng(seed)
    right = rng.random((prompts, n)) < p
    wrong = rng.integers(1, 4, (prompts, n))
    rows = []
    for source, effect in informative.items():
        scores = effect * right + rng.normal(size=right.shape)
        for prompt in range(prompts):
            for draw in range(n):
                item = f"{prompt}-{draw}"
                rows.append(
                    {
                        "score_id": f"{source}-{item}",
                        "selector": source,
                        "n_pairs": 10,
                        "kind": "answer",
                        "prompt_id": f"p{prompt}",
                        "pair_id": None,
                        "item_id": item,
                        "step": 0,
                        "score": scores[prompt, draw],
                        "answer": str(0 if right[prompt, draw] else wrong[prompt, draw]),
                        "correct": bool(right[prompt, draw]),
                    }
                )
    return pl.DataFrame(rows, schema=tables.empty("step_scores").schema)


def by_rule(rows: pl.DataFrame) -> dict[tuple[str, str], dict[str, float]]:
    return {(row["selector"], row["rule"]): row for row in rows.iter_rows(named=True)}


def best_of(effect: float, p: float, n: int, draws: int = 400_000) -> float:
    """P(the answer with the highest score is right), by Monte Carlo of the two normals' maxima."""
    rng = np.random.default_rng(1)
    right = rng.random((draws, n)) < p
    scores = effect * right + rng.normal(size=right.shape)
    return float(right[np.arange(draws), scores.argmax(axis=1)].mean())


def test_accuracies_are_those_of_the_world() -> None:
    found = by_rule(selections(world(4000, {"tree_plv": 1.5, "outcome": 0.0}), SETTINGS))
    exact = {"one draw": 0.4, "any right": 1 - 0.6**4}
    for rule, value in exact.items():
        assert found["nobody", rule]["accuracy"] == pytest.approx(value, abs=0.025)
    told = found["tree_plv", "best"]
    assert told["accuracy"] == pytest.approx(best_of(1.5, 0.4, 4), abs=0.025)
    assert found["outcome", "best"]["accuracy"] == pytest.approx(0.4, abs=0.025)
    assert told["over_outcome"] == pytest.approx(
        told["accuracy"] - found["outcome", "best"]["accuracy"]
    )
    assert told["over_vote_low"] > 0.1 > 0 > found["outcome", "best"]["over_vote_high"]


@pytest.mark.parametrize(
    "worlds", [300, pytest.param(2000, marks=[pytest.mark.long, pytest.mark.timeout(3600)])]
)
def test_scores_that_say_nothing_are_rarely_called_better_than_another(worlds: int) -> None:
    """Two selectors without information: the 95 % interval of their difference leaves 0 out in
    about one world of twenty (bounds: three and a half standard errors about that).
    """
    wrong = 0
    settings = SETTINGS.model_copy(
        update={"validation": SETTINGS.validation.model_copy(update={"bootstrap": 200})}
    )
    for seed in range(worlds):
        row = by_rule(selections(world(40, {"tree_plv": 0, "outcome": 0}, seed=seed), settings))
        one = row["tree_plv", "best"]
        wrong += not one["over_outcome_low"] <= 0 <= one["over_outcome_high"]
    print(f"{wrong} of {worlds} worlds")
    assert abs(wrong / worlds - 0.05) < 3.5 * (0.05 * 0.95 / worlds) ** 0.5


def test_an_empty_draw_counts_as_wrong_where_one_is_drawn() -> None:
    rows = world(50, {"tree_plv": 0.0}, p=1.0, n=3)  # of four draws, one was empty
    found = by_rule(selections(rows, SETTINGS))
    assert found["nobody", "one draw"]["accuracy"] == pytest.approx(0.75)
    assert found["nobody", "vote"]["accuracy"] == 1
    assert found["tree_plv", "best"]["over_outcome"] is None  # no outcome verifier to compare with


def test_held_out_pairs_are_ordered_or_not() -> None:
    rows = world(3, {"tree_plv": 1.0})
    sides = [(0, 1.0, 0.5), (1, 0.2, 0.9), (2, 0.3, 0.3)]
    held = [
        {**rows.row(0, named=True), "score_id": f"{kind}{n}", "kind": kind, "pair_id": f"pair{n}",
         "score": score, "answer": None, "correct": None}
        for n, chosen, rejected in sides
        for kind, score in (("chosen", chosen), ("rejected", rejected))
    ]  # fmt: skip
    both = pl.concat([rows, pl.DataFrame(held, schema=rows.schema)])
    found = by_rule(selections(both, SETTINGS))["tree_plv", "best"]
    assert (found["pair_accuracy"], found["n_held_out"]) == (0.5, 3)
    assert found["n_pairs"] == 10


def test_no_answers_are_no_selection() -> None:
    found = selections(tables.empty("step_scores"), SETTINGS)
    assert found.is_empty() and in_words(found) == []


def test_a_step_decides_by_the_settings_pooling() -> None:
    row = world(1, {"tree_plv": 0.0}, n=2).to_dicts()
    steps = {"0-0": [0.9, 0.1], "0-1": [0.0, 0.5]}  # the first is better by mean and by least
    rows = [
        {**one, "step": number, "score": score, "correct": one["item_id"] == "0-0",
         "answer": one["item_id"], "score_id": f"{one['item_id']}-{number}"}
        for one in row
        for number, score in enumerate(steps[one["item_id"]])
    ]  # fmt: skip
    frame = pl.DataFrame(rows, schema=tables.empty("step_scores").schema)
    for pooling, right in (("last", 0.0), ("mean", 1.0), ("min", 1.0)):
        selection = SETTINGS.selection.model_copy(update={"pooling": pooling})
        settings = SETTINGS.model_copy(update={"selection": selection})
        assert by_rule(selections(frame, settings))["tree_plv", "best"]["accuracy"] == right


def test_all_sources_give_equally_many_pairs_by_hash() -> None:
    def pairs(n: int, name: str) -> pl.DataFrame:
        ids = [f"{name}{i}" for i in range(n)]
        return pl.DataFrame({"pair_id": ids, "split": ["train"] * (n - 1) + ["validation"]})

    given = {"a": pairs(9, "a"), "b": pairs(5, "b"), "c": pairs(2, "c")}
    found = equal_pairs(given, 100)
    assert {name: own.height for name, own in found.items()} == {"a": 4, "b": 4}
    assert equal_pairs({"a": given["a"]}, 3)["a"].height == 3
    again = equal_pairs({**given, "a": given["a"].reverse()}, 100)
    assert set(again["a"]["pair_id"]) == set(found["a"]["pair_id"])
    assert equal_pairs({}, 10) == {} and equal_pairs({"c": given["c"]}, 10) == {}


def test_rewards_lose_their_scale_and_origin() -> None:
    rewards = np.array([[1.0, 3.0, 5.0], [10.0, 30.0, 50.0]])
    assert standardised(rewards, np.array([0, 1])).tolist() == [[-1, 1, 3], [-1, 1, 3]]
    assert standardised(np.ones((1, 3)), np.array([0, 1])).tolist() == [[0, 0, 0]]
