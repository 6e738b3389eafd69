"""A reward model as a judge: it scores every response alone, and never sees a seat."""

import math
from collections.abc import Callable
from itertools import permutations

import polars as pl

from pipeline import tables
from pipeline.config import JudgeSettings
from pipeline.conversation import answered
from pipeline.engine.base import Reject
from pipeline.judge.collect import Row, candidates, recorded_candidates, vote_reject, vote_row
from pipeline.rewards import RewardModel

CRITERION = "reward"


def votes(
    score: RewardModel,
    judge_id: str,
    known: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame],
    settings: JudgeSettings,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[pl.DataFrame, list[Reject]]:
    """Rows of `votes` with P(first is better) = sigmoid(difference of the scores), Bradley-Terry;
    and what failed.

    Args:
        score: rewards in nats, whose differences are log-odds (Bradley-Terry); what it cannot read
            is rejected.
        judge_id: the reward model's id.
        known: rows of `prompts`, `responses` and `recorded_pairs`, as for `collect`.
        settings: `max_prompts`, `max_responses` and `max_recorded` count; it has no criterion of
            ours, hence "reward".
        progress: called with (done, all) after each prompt or recorded pair.
    """
    prompts, responses, recorded = known
    tables_, rejects = candidates(prompts, responses, settings)
    tables_ += recorded_candidates(recorded, settings)
    rows: list[Row] = []
    for done, (prompt_id, messages, texts, origin) in enumerate(tables_, start=1):
        said = score(
            {key: answered(messages, text) for key, text in texts.items()},
            None,
        )
        who, where = (judge_id, CRITERION), (prompt_id, origin)
        rejects += [
            vote_reject(who, where, key, why, {}) for key, why in sorted(said.faults.items())
        ]
        found = {key: said.rewards[key] for key in texts if key in said.rewards}
        for a, b in permutations(found, 2):
            p = 1 / (1 + math.exp(-max(-500.0, min(500.0, found[a] - found[b]))))
            rows.append(
                vote_row((*who, "scores"), where, (a, b), p, tokens=0, scores=(found[a], found[b]))
            )
        if progress:
            progress(done, len(tables_))
    return pl.DataFrame(rows, schema=tables.empty("votes").schema), rejects
