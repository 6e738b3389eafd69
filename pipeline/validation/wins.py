"""Which of two answers a judge finds better:
a policy's against the base model's, asked in both orders.
"""

from collections.abc import Mapping, Sequence

import polars as pl

from pipeline import tables
from pipeline.config import JudgeSettings
from pipeline.engine.base import Engine, Reject
from pipeline.engine.session import run_all
from pipeline.judge.collect import Bench
from pipeline.judge.strength import paired
from pipeline.judge.vote import Judge, check_words
from pipeline.validation.length_control import controlled

OWN, BASE = "own ", "base "  # ids of the two answers start so, and end with the prompt's id


def win_rate(
    engines: Sequence[Engine],
    prompts: pl.DataFrame,
    own: Mapping[str, str],
    base: Mapping[str, str],
    settings: JudgeSettings,
) -> tuple[dict[str, pl.DataFrame], list[Reject]]:
    """Metrics win_rate and win_flips -> (unit_id, value) per prompt,
    and the comparisons that failed.

    Args:
        engines: the judges; a prompt's value is the mean over judges and criteria.
        prompts: rows of `prompts`; those that both have answered are judged.
        own: prompt id -> the policy's answer; empty where it said nothing.
        base: prompt id -> the base model's.
        settings: criteria, words, template, and how two orders become one verdict.

    A win counts 1, a loss 0; a tie, and a judge whose verdict flips with the order, count 0.5 each.
    Two equal answers tie without being asked, and nothing loses against any answer: a policy that
    says nothing where it is hard gains nothing by it. win_flips is the share of comparisons that
    flipped.
    """
    rows = [
        row
        for row in prompts.iter_rows(named=True)
        if row["prompt_id"] in own and row["prompt_id"] in base
    ]
    known = {
        one: 0.5 if own[one] == base[one] else float(not base[one])
        for one in (row["prompt_id"] for row in rows)
        if own[one] == base[one] or not own[one] or not base[one]
    }
    asked = [row for row in rows if row["prompt_id"] not in known]
    benches: list[Bench] = []
    for engine in engines if asked else ():
        check_words(engine, settings.words)
        for name, question in settings.criteria.items():
            judge = Judge(
                engine, name, question, settings.template, settings.words, settings.must_answer
            )
            for row in asked:
                prompt = row["prompt_id"]
                texts = {OWN + prompt: own[prompt], BASE + prompt: base[prompt]}
                benches.append(Bench(judge, settings, prompt, row["messages"], texts))
    run_all([bench.compare(*bench.texts) for bench in benches])
    votes = pl.DataFrame(
        [row for bench in benches for row in bench.rows], schema=tables.empty("votes").schema
    )
    return _values(votes, known, settings), [
        reject for bench in benches for reject in bench.rejects
    ]


def by_length(
    win_rate: pl.DataFrame,
    own: Mapping[str, tuple[str, int]],
    base: Mapping[str, tuple[str, int]],
) -> dict[str, pl.DataFrame]:
    """Metrics win_longer and length_controlled_wins -> (unit_id, value) of the judged prompts.

    win_rate: (unit_id, value). own, base: prompt id -> the answer and its tokens.
    """
    units = win_rate["unit_id"]
    longer = pl.DataFrame(
        {"unit_id": units, "value": [float(own[unit][1] - base[unit][1]) for unit in units]},
        schema={"unit_id": pl.String, "value": pl.Float64},
    )
    return {"win_longer": longer, "length_controlled_wins": controlled(win_rate, longer)}


def _values(
    votes: pl.DataFrame, known: Mapping[str, float], settings: JudgeSettings
) -> dict[str, pl.DataFrame]:
    own_is_a = pl.col("a_id").str.starts_with(OWN)
    won = (
        pl.when(~pl.col("consistent"))
        .then(0.5)
        .when((pl.col("p") > 0.5) == own_is_a)
        .then(1.0)
        .otherwise(0.0)
    )
    judged = paired(votes, settings).select(
        "prompt_id", won=won, flipped=pl.col("flipped").cast(pl.Float64)
    )
    unasked = pl.DataFrame(
        {"prompt_id": list(known), "won": list(known.values())},
        schema={"prompt_id": pl.String, "won": pl.Float64},
    )
    both = pl.concat([judged, unasked.with_columns(flipped=pl.lit(0.0))])
    means = (
        both.group_by("prompt_id")
        .agg(pl.col("won").mean(), pl.col("flipped").mean())
        .sort("prompt_id")
    )
    return {
        "win_rate": means.select(unit_id="prompt_id", value="won"),
        "win_flips": means.select(unit_id="prompt_id", value="flipped"),
    }
