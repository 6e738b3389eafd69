"""Principles of sampled responses:
several annotators give feedback, each names principles, and their consensus counts.

The feedback, the principles and the consensus follow RLBFF (see principles.py); that the feedback
is written by the judges themselves, and not by people, is our choice: the paper starts from human
feedback.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from pipeline import tables
from pipeline.by_hash import first_by_hash
from pipeline.config import PrincipleSettings
from pipeline.conversation import shown, whole_response
from pipeline.engine.base import Engine, Reason, Reject, RequestFailed, Sampling
from pipeline.engine.session import run_all
from pipeline.ids import content_id, seed_for
from pipeline.judge.likeness import Embed, alike
from pipeline.judge.principles import (
    WORDS,
    Dropped,
    Principle,
    consensus,
    extract,
    groups,
    log_odds,
)
from pipeline.judge.templates import render
from pipeline.judge.vote import check_words

Row = dict[str, Any]


@dataclass
class Annotation:
    """What one annotator says of one response."""

    engine: Engine
    number: int  # of the annotator among those of its judge
    prompt: Row
    response: Row
    settings: PrincipleSettings
    run_seed: int
    must_answer: bool
    answered: bool = False  # false: it gave no feedback, so that no consensus waits for it
    found: list[tuple[Principle, Row]] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)

    async def run(self) -> None:
        """Asks for feedback, principles, and the log-odds that the response satisfies each."""
        try:
            await self._ask()
        except RequestFailed as error:
            self._reject("", error)

    async def _ask(self) -> None:
        messages, text = self.prompt["messages"], self.response["text"]
        request = render(
            "feedback", request=shown(messages), response=whole_response(messages, text)
        )
        sampling = Sampling(self.settings.feedback_tokens, self.settings.temperature)
        (said,) = await self.engine.sample(request, sampling, [self._seed("feedback")])
        feedback, tokens = said.response.strip(), said.tokens
        if not feedback:
            return self._reject("", "empty feedback", tokens=tokens)
        self.answered = True
        lines, more = await extract(
            self.engine,
            messages,
            text,
            feedback,
            self._seed("principles"),
            self.settings.principle_tokens,
        )
        tokens += more  # the first line, good or bad, bears what all of them cost
        if not lines:
            self._reject("", "the feedback names no principle", tokens=tokens, feedback=feedback)
        for line in lines:
            if isinstance(line, Dropped):
                self._reject(line.line, line.reason, tokens=tokens, feedback=feedback)
            else:
                await self._value(line, feedback, tokens)
            tokens = 0

    async def _value(self, line: Principle, feedback: str, tokens: int) -> None:
        messages, text = self.prompt["messages"], self.response["text"]
        try:
            odds = await log_odds(
                self.engine, messages, text, line.name, must_answer=self.must_answer
            )
        except RequestFailed as error:  # of this principle alone: the others of the feedback stand
            return self._reject(line.name, error, tokens=tokens, feedback=feedback)
        self.found.append((line, self._row(line, feedback, odds, tokens + 1 + self.must_answer)))

    def _seed(self, what: str) -> int:
        return seed_for(
            self.run_seed, self.response["response_id"], self.engine.policy_id, self.number, what
        )

    def _about(self) -> Row:
        return {
            "prompt_id": self.prompt["prompt_id"],
            "response_id": self.response["response_id"],
            "judge_id": self.engine.policy_id,
            "annotator": self.number,
        }

    def _row(self, one: Principle, feedback: str, odds: float, tokens: int) -> Row:
        return {
            **self._about(),
            "principle_id": content_id(
                self.response["response_id"], self.engine.policy_id, self.number, one.name
            ),
            "name": one.name,
            "satisfied": one.satisfied,
            "span": one.span,
            "likeness": one.likeness,
            "feedback": feedback,
            "log_odds": odds,
            "group_id": None,
            "group_name": None,
            "tokens": tokens,
        }

    def _reject(self, line: str, reason: Reason, **row: object) -> None:
        about = self._about()
        self.rejects.append(
            Reject(
                "principles",
                "principles",
                content_id(*about.values(), line),
                reason,
                {**about, "line": line, **row},
            )
        )


def annotate(
    engines: Sequence[Engine],
    prompts: pl.DataFrame,
    responses: pl.DataFrame,
    settings: PrincipleSettings,
    run_seed: int,
    embed: Embed,
    progress: Callable[[int, int], None] | None = None,
    *,
    must_answer: bool = True,
) -> tuple[pl.DataFrame, list[Reject]]:
    """Rows of `principles`, and what failed.

    Args:
        engines: the judges; each is `settings.annotators` annotators, who differ in their seed.
        prompts: rows of `prompts` whose responses are annotated.
        responses: rows of `responses`; equal texts of a prompt are annotated once.
        settings: see PrincipleSettings.
        run_seed: the profile's seed.
        embed: vectors of principles, for the consensus.
        progress: called with (done, all) after each annotation.
        must_answer: a judge whose own first token is neither Yes nor No gives no log-odds.

    Raises:
        OrchardError: Yes and No are not one token each for a judge.
    """
    for engine in engines:
        check_words(engine, WORDS)
    made = [
        Annotation(engine, number, prompt, response, settings, run_seed, must_answer)
        for prompt, response in _chosen(prompts, responses, settings)
        for engine in engines
        for number in range(settings.annotators)
    ]
    run_all([one.run() for one in made], progress)
    _agree(made, settings, embed)
    rows = [row for one in made for _, row in one.found]
    rejects = [reject for one in made for reject in one.rejects]
    return pl.DataFrame(rows, schema=tables.empty("principles").schema), rejects


def annotated_prompts(prompts: pl.DataFrame, settings: PrincipleSettings) -> pl.DataFrame:
    """The prompts whose responses are annotated: at most `max_prompts`, by hash."""
    return first_by_hash(prompts, "principles", settings.max_prompts)


def _chosen(
    prompts: pl.DataFrame, responses: pl.DataFrame, settings: PrincipleSettings
) -> list[tuple[Row, Row]]:
    """(prompt, response) to annotate: prompts by hash, their first draws with different texts."""
    texts = responses.sort("draw", "response_id").unique(
        ["prompt_id", "text"], keep="first", maintain_order=True
    )
    own = texts.partition_by("prompt_id", as_dict=True)
    found: list[tuple[Row, Row]] = []
    for prompt in annotated_prompts(prompts, settings).to_dicts():
        drawn = own.get((prompt["prompt_id"],))
        rows = [] if drawn is None else drawn.head(settings.max_responses).to_dicts()
        found += [(prompt, row) for row in rows]
    return found


def _agree(made: Sequence[Annotation], settings: PrincipleSettings, embed: Embed) -> None:
    """Fills group_id and group_name of what the annotators of a response agree on.

    A group spans the prompt.
    """
    near = alike((principle.name for one in made for principle, _ in one.found), embed)
    by_response: dict[str, list[Annotation]] = {}
    for one in made:
        if one.answered:
            by_response.setdefault(one.response["response_id"], []).append(one)
    agreed: dict[str, list[Row]] = {}
    for own in by_response.values():
        kept = consensus(
            [[principle for principle, _ in one.found] for one in own], near, settings.alike
        )
        for one, principles in zip(own, kept, strict=True):
            rows = [row for principle, row in one.found if principle in principles]
            agreed.setdefault(one.prompt["prompt_id"], []).extend(rows)
    for prompt_id, rows in agreed.items():
        head = groups([row["name"] for row in rows], near, settings.alike)
        for row in rows:
            row |= {
                "group_id": content_id(prompt_id, head[row["name"]]),
                "group_name": head[row["name"]],
            }
