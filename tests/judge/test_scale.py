"""Reward models that judge together, one of which has another unit."""

import numpy as np
import polars as pl

from pipeline.config import JudgeSettings
from pipeline.judge.scale import on_one_scale
from pipeline.judge.strength import paired, per_pair

N = 300


def judged(scales: dict[str, float]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Votes of reward models on pairs of two responses, and the labels; a is always better."""
    rng = np.random.default_rng(0)
    frames = []
    for name, scale in scales.items():
        apart = scale * (1.5 + rng.normal(0, 1.5, N))
        for first, second, sign in (("a", "b", 1), ("b", "a", -1)):
            frame = pl.DataFrame(
                {
                    "prompt_id": [f"p{i}" for i in range(N)],
                    "first_id": [f"{first}{i}" for i in range(N)],
                    "second_id": [f"{second}{i}" for i in range(N)],
                    "score_first": sign * apart / 2,
                    "score_second": -sign * apart / 2,
                    "p_first": 1 / (1 + np.exp(-sign * apart)),
                }
            )
            frames.append(frame.with_columns(judge_id=pl.lit(name)))
    votes = pl.concat(frames).with_columns(
        criterion=pl.lit("reward"), method=pl.lit("scores"), source=pl.lit("model"),
        origin=pl.lit("responses"),
    )  # fmt: skip
    labels = pl.DataFrame(
        {"a_id": [f"a{i}" for i in range(N)], "b_id": [f"b{i}" for i in range(N)], "label": 1.0}
    )
    return votes, labels


def right(votes: pl.DataFrame) -> float:
    found = per_pair(paired(votes, JudgeSettings()))
    return float((found["strength"] > 0.5).mean() or 0.0)


def test_a_models_unit_does_not_outvote_the_others() -> None:
    same, labels = judged({"one": 1.0, "two": 1.0, "three": 1.0})
    loud, _ = judged({"one": 1.0, "two": 1.0, "three": 40.0})
    assert right(loud) < right(same) - 0.02  # it alone decides
    assert right(on_one_scale(loud, labels)) == right(on_one_scale(same, labels))
    # without labels, by root mean square
    assert abs(right(on_one_scale(loud, labels.head(3))) - right(same)) < 0.02


def test_one_voter_alone_and_judges_that_read_words_stay_as_they_are() -> None:
    votes, labels = judged({"one": 7.0})
    assert on_one_scale(votes, labels).equals(votes)
    words = votes.with_columns(judge_id=pl.lit("llm"), criterion=pl.lit("help"))
    both = on_one_scale(pl.concat([votes, words]), labels)
    assert both.filter(judge_id="llm").equals(words)
