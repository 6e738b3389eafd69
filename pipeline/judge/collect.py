"""Votes on sampled responses and on imported pairs, as rows of `votes`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from pipeline import tables
from pipeline.by_hash import first_by_hash
from pipeline.config import JudgeSettings
from pipeline.engine.base import Engine, Reason, Reject, RequestFailed, Turn
from pipeline.engine.session import run_all
from pipeline.folding import folded
from pipeline.ids import content_id
from pipeline.judge.pairings import PAIRINGS
from pipeline.judge.vote import Judge, above, check_words, expectation, score, score_words

Row = dict[str, Any]
SAMPLED = "responses"  # the origin of pairs that were sampled here
POLICIES = "policies"  # the origin of pairs of which another policy may have written a side


@dataclass
class Bench:
    """One prompt's responses before one judge: collects votes and rejects."""

    judge: Judge
    settings: JudgeSettings
    prompt_id: str
    messages: Sequence[Turn]
    texts: dict[str, str]  # response id -> text, all different
    origin: str = SAMPLED
    rows: list[Row] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)

    async def all_pairs(self) -> None:
        """Asks whatever the settings' method and pairing ask for."""
        if self.settings.method == "scores":
            await self.scores()
        else:
            await PAIRINGS[self.settings.pairing](list(self.texts), self.compare)

    async def compare(self, a: str, b: str) -> float:
        """P(a is better) from both orders (the plain mean, for the pairing's own use);
        0.5 where the vote failed.
        """
        try:
            with_a, with_b = await self.judge.both_orders(
                self.messages, self.texts[a], self.texts[b]
            )
        except RequestFailed as error:
            self.reject(content_id(*sorted((a, b))), error, first_id=a, second_id=b)
            return 0.5
        self.rows.append(self.row(a, b, with_a, tokens=self.judge.tokens))
        self.rows.append(self.row(b, a, with_b, tokens=self.judge.tokens))
        return (with_a + 1 - with_b) / 2

    async def scores(self) -> None:
        """Every response alone; all pairs follow from the scores' distributions."""
        found: dict[str, list[float]] = {}
        for one, text in self.texts.items():
            try:
                found[one] = await score(self.judge, self.messages, text, self.settings.scale)
            except RequestFailed as error:
                self.reject(one, error)
        paid: set[str] = set()
        for a in found:
            for b in found:
                if a != b:
                    tokens, means = (
                        self.judge.tokens * (a not in paid),
                        (expectation(found[a]), expectation(found[b])),
                    )
                    self.rows.append(
                        self.row(a, b, above(found[a], found[b]), tokens=tokens, scores=means)
                    )
                    paid.add(a)

    def row(
        self,
        first: str,
        second: str,
        p: float,
        *,
        tokens: int,
        scores: tuple[float, float] | None = None,
    ) -> Row:
        """One vote."""
        who = (self.judge.engine.policy_id, self.judge.criterion, self.settings.method)
        return vote_row(
            who, (self.prompt_id, self.origin), (first, second), p, tokens=tokens, scores=scores
        )

    def reject(self, row_id: str, reason: Reason, **row: object) -> None:
        """A vote that failed."""
        who, where = (
            (self.judge.engine.policy_id, self.judge.criterion),
            (self.prompt_id, self.origin),
        )
        self.rejects.append(vote_reject(who, where, row_id, reason, row))


def vote_row(
    who: tuple[str, str, str],
    where: tuple[str, str],
    shown: tuple[str, str],
    p: float,
    *,
    tokens: int,
    scores: tuple[float, float] | None = None,
) -> Row:
    """A row of `votes` by who (judge, criterion, method),
    where (prompt, origin) and what was shown (first, second).
    """
    judge_id, criterion, method = who
    return {
        "vote_id": content_id(judge_id, criterion, "model", where[1], where[0], *shown),
        "prompt_id": where[0],
        "first_id": shown[0],
        "second_id": shown[1],
        "judge_id": judge_id,
        "criterion": criterion,
        "method": method,
        "p_first": p,
        "score_first": scores[0] if scores else None,
        "score_second": scores[1] if scores else None,
        "source": "model",
        "origin": where[1],
        "tokens": tokens,
    }


def vote_reject(
    who: tuple[str, str],
    where: tuple[str, str],
    row_id: str,
    reason: Reason,
    row: Mapping[str, object],
) -> Reject:
    """A vote that failed, by who (judge, criterion) and where (prompt, origin).

    The reason names the judge too: by it rejects are told apart, and several judges may fail on one
    pair.
    """
    told = dict(zip(("judge_id", "criterion", "prompt_id", "origin"), who + where, strict=True))
    judge = f"judge {who[0]} on {who[1]!r}"
    said = f"{judge}: {reason}" if isinstance(reason, str) else reason.named(judge)
    return Reject("votes", "votes", row_id, said, {**told, **row})


def collect(
    engine: Engine,
    prompts: pl.DataFrame,
    responses: pl.DataFrame,
    recorded: pl.DataFrame,
    settings: JudgeSettings,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[pl.DataFrame, list[Reject]]:
    """Votes of one judge under every criterion, and what was rejected.

    Args:
        engine: the judge.
        prompts: rows of `prompts` whose responses are judged.
        responses: rows of `responses`.
        recorded: rows of `recorded_pairs`; those with texts are judged too, at most
            `settings.max_recorded`.
        settings: see JudgeSettings.
        progress: called with (done, all) after each prompt or recorded pair.

    Raises:
        OrchardError: a verdict word is not one token for this judge.
    """
    check_words(
        engine, score_words(settings.scale) if settings.method == "scores" else settings.words
    )
    judges = [
        Judge(engine, name, question, settings.template, settings.words, settings.must_answer)
        for name, question in settings.criteria.items()
    ]
    tables_, rejects = candidates(prompts, responses, settings)
    tables_ += recorded_candidates(recorded, settings)
    benches = [Bench(judge, settings, *table) for judge in judges for table in tables_]
    run_all([bench.all_pairs() for bench in benches], progress)
    rows = [row for bench in benches for row in bench.rows]
    rejects += [reject for bench in benches for reject in bench.rejects]
    return pl.DataFrame(rows, schema=tables.empty("votes").schema), rejects


# prompt id, its turns, response id -> text, origin
Table = tuple[str, Sequence[Turn], dict[str, str], str]


def candidates(
    prompts: pl.DataFrame, responses: pl.DataFrame, settings: JudgeSettings
) -> tuple[list[Table], list[Reject]]:
    """What there is to judge per prompt: the first draws with different texts.

    What cannot be judged is rejected.
    """
    found: list[Table] = []
    rejects: list[Reject] = []
    own: dict[str, list[Row]] = {}
    for row in responses.sort("draw", "response_id").iter_rows(named=True):
        own.setdefault(row["prompt_id"], []).append(row)
    for prompt in judged_prompts(prompts, settings).iter_rows(named=True):
        texts: dict[str, str] = {}
        for row in own.get(prompt["prompt_id"], []):
            same = next(
                (one for one, text in texts.items() if folded(text) == folded(row["text"])), None
            )
            if same is not None:
                about = {"prompt_id": row["prompt_id"], "identical_to": same}
                reason = "identical to an earlier response: judged once"
                rejects.append(Reject("votes", "votes", row["response_id"], reason, about))
            elif len(texts) < settings.max_responses:
                texts[row["response_id"]] = row["text"]
        if len(texts) >= 2:
            found.append((prompt["prompt_id"], prompt["messages"], texts, SAMPLED))
        elif texts:
            reason = "one response only: nothing to compare it with"
            rejects.append(
                Reject(
                    "votes", "votes", next(iter(texts)), reason, {"prompt_id": prompt["prompt_id"]}
                )
            )
    return found, rejects


def judged_prompts(prompts: pl.DataFrame, settings: JudgeSettings) -> pl.DataFrame:
    """The prompts whose responses are judged: at most `max_prompts`, by hash."""
    return first_by_hash(prompts, "judge", settings.max_prompts)


def judged_recorded(pairs: pl.DataFrame, settings: JudgeSettings) -> pl.DataFrame:
    """The imported pairs that are judged: with a prompt and two different texts, by hash."""
    whole = pairs.drop_nulls(["messages", "first", "second"])
    different = whole.filter(pl.col("first") != pl.col("second"))
    return first_by_hash(different, "judge", settings.max_recorded, ["pair_id"])


def recorded_candidates(pairs: pl.DataFrame, settings: JudgeSettings) -> list[Table]:
    """Imported pairs as they are judged."""
    return [
        (
            row["prompt_id"],
            row["messages"],
            {row["first_id"]: row["first"], row["second_id"]: row["second"]},
            row["origin"],
        )
        for row in judged_recorded(pairs, settings).iter_rows(named=True)
    ]
