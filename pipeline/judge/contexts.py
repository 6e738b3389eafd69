"""Does a judge read its question at all? Two questions that prefer different responses,
about the same two.

RPR (arXiv 2407.14916, second-hand): under reversed contexts a scorer that ignores the context is
right exactly half of the time. The cases are our own: which response is longer, or shorter (the
truth is counted), and, where annotators agree that one response satisfies a principle and another
does not, which satisfies it, or fails it.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from pipeline import tables
from pipeline.config import JudgeSettings
from pipeline.engine.base import Engine, Reject, RequestFailed, Turn
from pipeline.engine.session import run_all
from pipeline.ids import content_id, unit_for
from pipeline.judge.vote import Judge, check_words

Row = dict[str, Any]
EDGE = 1e-12  # probabilities this near to 0.5 are a tie
LONGER = 1.25  # a response is plainly longer from so many times the characters: our choice
LENGTH = ("Which response is longer?", "Which response is shorter?")


@dataclass(frozen=True)
class Case:
    """Two responses, and two questions that prefer different ones."""

    prompt_id: str
    messages: Sequence[Turn]
    a_id: str
    b_id: str
    a: str
    b: str
    kind: str  # length or principle
    prefers_a: str  # a question under which a is better
    prefers_b: str  # a question under which b is better


def by_length(prompts: pl.DataFrame, responses: pl.DataFrame) -> list[Case]:
    """The longest and the shortest response of each prompt, where one is plainly longer."""
    found = []
    drawn = responses.with_columns(chars=pl.col("text").str.len_chars()).sort(
        "chars", "response_id"
    )
    own = drawn.partition_by("prompt_id", as_dict=True)
    for prompt in prompts.sort("prompt_id").iter_rows(named=True):
        rows = own.get((prompt["prompt_id"],))
        if rows is None:
            continue
        short, long = rows.row(0, named=True), rows.row(-1, named=True)
        if long["chars"] >= LONGER * short["chars"]:
            found.append(_case(prompt, long, short, "length", LENGTH))
    return found


def by_principle(prompts: pl.DataFrame, pairs: pl.DataFrame) -> list[Case]:
    """Cases of rows of sql/pairs_principles.sql:
    the chosen side satisfies the principle, the rejected one does not.
    """
    messages = dict(zip(prompts["prompt_id"], prompts["messages"].to_list(), strict=True))
    found = []
    for row in pairs.sort("chosen_id", "rejected_id").iter_rows(named=True):
        name = row["principle"]
        asked = (
            f"Which response satisfies this principle: {name}?",
            f"Which response fails this principle: {name}?",
        )
        good, bad = (
            {"response_id": row[f"{side}_id"], "text": row[side]} for side in ("chosen", "rejected")
        )
        if row["prompt_id"] in messages:
            prompt = {"prompt_id": row["prompt_id"], "messages": messages[row["prompt_id"]]}
            found.append(_case(prompt, good, bad, "principle", asked))
    return found


def ask(
    engine: Engine,
    cases: Sequence[Case],
    settings: JudgeSettings,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[pl.DataFrame, list[Reject]]:
    """Rows of `judge_contexts` of one judge, two per case.

    A case with a failed answer is rejected as a whole.

    Of each kind `settings.contexts` cases by hash are asked.

    Raises:
        OrchardError: a verdict word is not one token for this judge.
    """
    chosen: list[Case] = []
    for kind in ("length", "principle"):
        own = sorted(
            (case for case in cases if case.kind == kind),
            key=lambda c: unit_for("context", c.a_id, c.b_id),
        )
        chosen += own[: settings.contexts]
    if chosen:
        check_words(engine, settings.words)
    found = run_all([_both(engine, case, settings) for case in chosen], progress)
    rows = [row for rows in found if not isinstance(rows, Reject) for row in rows]
    rejects = [reject for reject in found if isinstance(reject, Reject)]
    return pl.DataFrame(rows, schema=tables.empty("judge_contexts").schema), rejects


async def _both(engine: Engine, case: Case, settings: JudgeSettings) -> list[Row] | Reject:
    asked = ((case.prefers_a, True), (case.prefers_b, False))
    judges = [
        Judge(engine, "context", question, settings.template, settings.words, settings.must_answer)
        for question, _ in asked
    ]
    try:
        found = await asyncio.gather(
            *(judge.both_orders(case.messages, case.a, case.b) for judge in judges)
        )
    except RequestFailed as error:
        about: Row = {
            "prompt_id": case.prompt_id,
            "a_id": case.a_id,
            "b_id": case.b_id,
            "judge_id": engine.policy_id,
        }
        return Reject("judge_contexts", "judge contexts", content_id(*about.values()), error, about)
    return [
        {
            "context_id": content_id(engine.policy_id, case.a_id, case.b_id, question),
            "judge_id": engine.policy_id,
            "prompt_id": case.prompt_id,
            "kind": case.kind,
            "question": question,
            "a_id": case.a_id,
            "b_id": case.b_id,
            "a_is_better": a_is_better,
            "with_a_first": with_a,
            "with_b_first": with_b,
            "points": points(with_a, with_b, a_is_better=a_is_better),
            "tokens": 2 * judges[0].tokens,
        }
        for (question, a_is_better), (with_a, with_b) in zip(asked, found, strict=True)
    ]


def points(with_a_first: float, with_b_first: float, *, a_is_better: bool) -> float:
    """1 where the mean of both orders (each the probability that the first wins) is right,
    0.5 for a tie, else 0.
    """
    p = (with_a_first + 1 - with_b_first) / 2
    return 0.5 if abs(p - 0.5) < EDGE else float((p > 0.5) == a_is_better)


def _case(prompt: Row, a: Row, b: Row, kind: str, asked: tuple[str, str]) -> Case:
    sides = (a["response_id"], b["response_id"], a["text"], b["text"])
    return Case(prompt["prompt_id"], prompt["messages"], *sides, kind, *asked)
