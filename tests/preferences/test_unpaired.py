"""Single good and bad texts (BCO): which there are, and what a bad one weighs."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pipeline import tables
from pipeline.config import load
from pipeline.preferences.registry import variant
from pipeline.preferences.unpaired import texts
from pipeline.store import Commit, Lake


def drawn(counts: dict[str, tuple[int, int]]) -> dict[str, pl.DataFrame]:
    """Prompts, and their good and bad responses, all different."""
    asked = [
        {"prompt_id": name, "messages": [{"role": "user", "content": name}], "split": "train",
         "pool": "x", "task": "x", "answer": "7", "verifier": "number", "source": "test",
         "licence": "none"} for name in counts
    ]  # fmt: skip
    both = [
        (name, right, n)
        for name, pair in counts.items()
        for right, n in zip((True, False), pair, strict=True)
    ]
    of = pl.DataFrame(both, schema=["prompt_id", "correct", "n"], orient="row")
    said = of.select(pl.all().repeat_by("n").explode()).with_columns(draw=pl.int_range(pl.len()))
    fixed = {"finish_reason": "stop", "policy_id": "m", "sampling": "{}"}
    said = said.with_columns(
        **{name: pl.lit(value) for name, value in fixed.items()},
        response_id=pl.format("r{}", "draw"),
        text=pl.format("text {}", "draw"),
        on_policy=True,
        tokens=1,
        prompt_tokens=1,
    )
    schema = tables.empty("responses").schema
    said = pl.concat(
        [
            tables.empty("responses"),
            said.drop("n").cast({k: v for k, v in schema.items() if k in said.columns}),
        ],
        how="diagonal",
    )
    return {
        "prompts": pl.DataFrame(asked, schema=tables.empty("prompts").schema),
        "responses": said,
    }


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return Lake(tmp_path_factory.mktemp("lake"))


def weights(lake: Lake, counts: dict[str, tuple[int, int]]) -> dict[tuple[str, bool], float]:
    """(prompt, desirable) -> the weight of each of its texts."""
    verified = lake.query_file("unpaired_verified", frames=drawn(counts))
    rows = lake.query_file("unpaired_weights", frames={"texts": verified})
    assert rows.height == sum(map(sum, counts.values())), "every response counts"
    found = rows.group_by("prompt_id", "desirable").agg(pl.col("weight").unique())
    return {(name, good): values[0] for name, good, values in found.iter_rows() if len(values) == 1}


def test_weights_are_ratios_of_counts_within_bounds_and_no_prompt_is_left_out(lake: Lake) -> None:
    # Of 20 good texts and 12 bad ones: (2/20)/(2/12) = .6, (12/20)/(1/12) = 7.2, and
    # (3/20)/(6/12) = .3, which is held at .5, as is the 0 of a prompt without a good one.
    mixed = {"both": (2, 2), "easy": (12, 1), "hard": (3, 6), "bad": (0, 3), "good": (3, 0)}
    assert weights(lake, mixed) == {
        ("both", True): 1, ("easy", True): 1, ("hard", True): 1, ("good", True): 1,
        ("both", False): pytest.approx(0.6), ("easy", False): pytest.approx(7.2),
        ("hard", False): 0.5, ("bad", False): 0.5,
    }  # fmt: skip
    # (12/12)/(1/31) = 31, which is held at 10.
    assert weights(lake, {"easy": (12, 1), "bad": (0, 30)})["easy", False] == 10
    # Without a good text nothing is known of good ones: the loss refuses such rows.
    assert weights(lake, {"bad": (0, 3)}) == {("bad", False): 1}


@pytest.mark.parametrize(("rate", "draws", "off"), [
    (0.2, 8, 0.06), (0.5, 8, 0.07), (0.5, 64, 0.02), (0.8, 64, 0.02),
])  # fmt: skip
def test_weighted_bad_texts_come_from_prompts_as_good_ones_do(
    lake: Lake, rate: float, draws: int, off: float
) -> None:
    """Prompts whose chance of a right draw is known: bad texts are weighted as if by the true ratio
    p(prompt | good) / p(prompt | bad), held within the same bounds.

    Without weights their prompts are harder by .2 and more than that.
    """
    random = np.random.default_rng(1)
    chance = random.beta(2 * rate, 2 * (1 - rate), 12_000 // draws)
    good = random.binomial(draws, chance)
    names = [str(number) for number in range(len(chance))]
    counts = {name: (int(n), draws - int(n)) for name, n in zip(names, good, strict=True)}
    found = weights(lake, counts)
    bad = draws - good
    own = np.array([found.get((name, False), 0.0) for name in names])
    true = np.clip(chance / (1 - chance + 1e-12) * (1 - rate) / rate, 0.5, 10)
    means = [float((bad * w * chance).sum() / (bad * w).sum()) for w in (own, true)]
    plain = float((bad * chance).sum() / bad.sum())
    print(f"rate {rate}, {draws} draws: plain {plain:.3f}, own {means[0]:.3f}, true {means[1]:.3f}")
    assert means[1] - plain > 0.15 and means[0] == pytest.approx(means[1], abs=off)


def test_the_control_has_the_same_texts_with_labels_of_others(tmp_path: Path) -> None:
    with Lake(tmp_path) as lake:
        for name, rows in drawn({"both": (9, 6), "good": (9, 0), "bad": (0, 6)}).items():
            lake.write(name, rows, Commit("test"))
        settings = load("quick")
        own, control = (
            texts(lake, settings, variant(name, settings)) for name in ("bco", "bco_shuffled")
        )
    told = [one.sort("response_id")["desirable"].to_list() for one in (own, control)]
    assert sorted(told[0]) == sorted(told[1]) and told[0] != told[1]
    assert own["response_id"].sort().to_list() == control["response_id"].sort().to_list()
    assert own["desirable"].sum() == 18 and own.height == 30
