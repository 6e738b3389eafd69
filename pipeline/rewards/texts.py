"""What an external voter reads, and how its numbers become one reward."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from pipeline.conversation import answered
from pipeline.engine.base import RequestFailed, Turn
from pipeline.errors import OrchardError
from pipeline.ids import content_id

# text id -> turns, of which the last is the assistant's
Conversations = Mapping[str, tuple[Turn, ...]]


@dataclass(frozen=True)
class Said:
    """What one voter said: rewards in nats by text id,
    and the reason for every text without one.
    """

    voter_id: str
    rewards: dict[str, float]
    faults: dict[str, RequestFailed]


def conversations(pairs: pl.DataFrame) -> dict[str, tuple[Turn, ...]]:
    """Both sides of every pair as whole conversations, equal texts once, by text id.

    Args:
        pairs: as `pipeline.noise.features.sides` gives them.
    """
    found: dict[str, tuple[Turn, ...]] = {}
    for row in pairs.sort("pair_id").iter_rows(named=True):
        for side, messages, prefix in (
            ("chosen", "messages", "prefix"),
            ("rejected", "rejected_messages", "rejected_prefix"),
        ):
            found.setdefault(row[f"{side}_text_id"], _turns(row, side, messages, prefix))
    return found


def references(pairs: pl.DataFrame, asked: Conversations, responses: pl.DataFrame) -> pl.DataFrame:
    """The sampled responses to the pairs' prompts:
    prompt_id, response_id, text_id, turns; equal texts once.

    A response that is one of the conversations already asked about has its text id; a side of a
    pair in another context, such as a named principle, is another conversation.

    Args:
        pairs: prompt_id.
        asked: as `conversations` gives them for the pairs.
        responses: prompt_id, response_id, text; and messages, their prompt's.
    """
    known = {content_id(turns): key for key, turns in asked.items()}
    wanted = responses.join(pairs.select("prompt_id").unique(), on="prompt_id", how="semi").sort(
        "response_id"
    )
    turns = [answered(row["messages"], row["text"]) for row in wanted.iter_rows(named=True)]
    ids = [known.get(key, key) for key in map(content_id, turns)]
    named = wanted.select(
        "prompt_id",
        "response_id",
        pl.Series("text_id", ids, pl.String),
        pl.Series("turns", turns, pl.Object),
    )
    return named.filter(pl.Series(ids, dtype=pl.String).is_first_distinct())


def _turns(row: Mapping[str, Any], side: str, messages: str, prefix: str) -> tuple[Turn, ...]:
    before = row["messages"] if row[messages] is None else row[messages]
    start = row["prefix"] if row[prefix] is None else row[prefix]
    return answered(before, start + row[side])


def plain(turns: Sequence[Turn]) -> tuple[str, str]:
    """(question, answer) for a classifier without a chat template, which reads two texts."""
    return "\n\n".join(turn["content"] for turn in turns[:-1]), turns[-1]["content"]


def class_of(positive: int | None, n: int, voter: str) -> int:
    """The class of n that counts as good.

    Raises:
        OrchardError: there is no such class, or several and none was chosen.
    """
    if positive is None and n > 2:
        raise OrchardError(
            f"voter {voter!r}: {n} classes: "
            "say which one counts as good in noise.external's positive"
        )
    if positive is not None and positive >= n:
        raise OrchardError(
            f"voter {voter!r}: has {n} classes: noise.external's positive is {positive}, from 0"
        )
    return min(n, 2) - 1 if positive is None else positive


def reward(values: Sequence[float], positive: int | None, voter: str) -> float:
    """One number in nats: a single logit as it is;
    of several, the log-odds of the good class against all others.

    Numbers that are probabilities (none outside [0, 1], sum 1) give the same log-odds as their
    logits do. That a single number is a logit cannot be checked: a server that applies a sigmoid
    compresses it.

    Raises:
        RequestFailed: a number is not finite, or a probability is 0.
        OrchardError: see `class_of`.
    """
    if not values:
        raise RequestFailed("it says nothing")
    place = class_of(positive, len(values), voter)
    if not all(map(math.isfinite, values)):
        raise RequestFailed(f"its score is not finite ({values[place]})")
    if len(values) == 1:
        return values[0]
    shares = all(0 <= v <= 1 for v in values) and abs(sum(values) - 1) < 1e-3
    if shares and not 0 < values[place] < 1:
        raise RequestFailed(
            f"its probability is {values[place]:g}, "
            "whose log-odds are not finite: ask it for logits"
        )
    logits = [math.log(v) if v > 0 else -math.inf for v in values] if shares else list(values)
    others = [v for i, v in enumerate(logits) if i != place]
    most = max(others)
    return logits[place] - (most + math.log(sum(math.exp(v - most) for v in others)))
