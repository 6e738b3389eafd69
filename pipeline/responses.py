"""Sampled responses: n draws per prompt from the policy itself,
each judged by the prompt's verifier.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import polars as pl
from datasketch import MinHash

from pipeline import tables
from pipeline.config import SamplingSettings
from pipeline.conversation import said_after
from pipeline.engine.base import (
    Completion,
    DrawFailed,
    Engine,
    Prompt,
    Reject,
    RequestFailed,
    Sampling,
    Unanswered,
)
from pipeline.engine.session import run_all
from pipeline.engine.thoughts import Parts
from pipeline.folding import folded
from pipeline.ids import content_id, seed_for
from pipeline.verify import registry
from pipeline.verify.response import check_answer
from pipeline.verify.verdict import VerifierFailed

Row = dict[str, object]


def draw(
    engine: Engine,
    prompts: pl.DataFrame,
    settings: SamplingSettings,
    run_seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[pl.DataFrame, list[Reject]]:
    """`settings.n` responses per prompt as rows of `responses`, and what was rejected.

    A draw that is empty, or that the model or a filter stopped, is a reject of its own: that is
    what was answered. Of draws whose request failed, each reason is one reject of the prompt.
    """

    async def one(prompt: Row) -> list[Row | Reject]:
        sampling = Sampling(settings.max_tokens, settings.temperature, settings.top_p)
        seeds = [
            seed_for(run_seed, prompt["prompt_id"], "response", number)
            for number in range(settings.n)
        ]
        drawn = await _drawn(engine, Prompt(tuple(prompt["messages"])), sampling, seeds)  # type: ignore[arg-type]
        good = [
            (number, found) for number, found in enumerate(drawn) if isinstance(found, Completion)
        ]
        failed = _failures(prompt, engine, settings, drawn)
        rows = [partial(_row, prompt, engine, settings, number, found) for number, found in good]
        if _runs_programs(prompt):  # it waits for a sandbox: in threads, so that the engine goes on
            return [*await asyncio.gather(*(asyncio.to_thread(row) for row in rows)), *failed]
        return [*(row() for row in rows), *failed]

    results = run_all([one(prompt) for prompt in prompts.iter_rows(named=True)], progress)
    flat = [item for items in results for item in items]
    rows = [item for item in flat if not isinstance(item, Reject)]
    mark_near_duplicates(rows, settings.near_duplicate)
    schema = tables.empty("responses").schema
    return pl.DataFrame(rows, schema=schema), [item for item in flat if isinstance(item, Reject)]


def _failures(
    prompt: Row,
    engine: Engine,
    settings: SamplingSettings,
    drawn: Sequence[Completion | RequestFailed],
) -> list[Reject]:
    """A reject for each draw that was stopped, and of the prompt one for each other reason."""
    found = []
    for number, one in enumerate(drawn):
        if isinstance(one, DrawFailed):
            about: Row = {"prompt_id": prompt["prompt_id"]}
            response_id = _response_id(prompt, engine, settings, number)
            found.append(Reject("responses", "responses", response_id, one, about))
    reasons = {
        str(one): one
        for one in drawn
        if isinstance(one, RequestFailed) and not isinstance(one, DrawFailed)
    }
    name = str(prompt["prompt_id"])
    return [*found, *(Reject("responses", "responses", name, one) for one in reasons.values())]


async def _drawn(
    engine: Engine, prompt: Prompt, sampling: Sampling, seeds: list[int]
) -> list[Completion | RequestFailed]:
    """One completion per seed or why there is none,
    so that a bad draw does not cost its prompt the good ones.

    A request that is refused is refused for its prompt: one reason stands for all draws.
    """
    try:
        return list(await engine.sample(prompt, sampling, seeds))
    except (Unanswered, DrawFailed) as error:
        if len(seeds) == 1:
            return [error]
    except RequestFailed as error:
        return [error]
    # The good ones are in the cache or on their way: asked for alone, only the bad one fails.
    alone = await asyncio.gather(*(_drawn(engine, prompt, sampling, [seed]) for seed in seeds))
    return [found for (found,) in alone]


def mark_near_duplicates(rows: list[Row], threshold: float) -> None:
    """Sets `near_duplicate_of`: the earliest draw for the same prompt that is at least this alike.

    Nothing is dropped.

    Alike is the Jaccard similarity of character 5-grams, estimated by MinHash with 128 permutations
    (datasketch).
    """
    earlier: dict[object, list[tuple[object, MinHash]]] = {}
    for row in sorted(rows, key=lambda row: (str(row["prompt_id"]), row["draw"])):
        own = _minhash(str(row["text"]))
        before = earlier.setdefault(row["prompt_id"], [])
        row["near_duplicate_of"] = next(
            (one for one, other in before if own.jaccard(other) >= threshold), None
        )
        before.append((row["response_id"], own))


def _runs_programs(prompt: Row) -> bool:
    return prompt["verifier"] is not None and registry.find(str(prompt["verifier"])).runs_programs


def _minhash(text: str) -> MinHash:
    words = " ".join(folded(text, case=False).split())
    sketch = MinHash(num_perm=128, seed=1)
    sketch.update_batch([words[i : i + 5].encode() for i in range(max(1, len(words) - 4))])
    return sketch


def _nothing(parts: Parts, completion: Completion) -> str:
    """Why a completion holds no response."""
    if parts.thought is None or not completion.text.strip():
        return "empty generation"
    if parts.response is not None:
        return "no response after the thought"
    if completion.finish_reason == "length":
        return (
            "unfinished thought: raise sampling.max_tokens, or switch thoughts off (model.template)"
        )
    return "unfinished thought: the model ended its turn inside it"


def _said_of(settings: SamplingSettings) -> str:
    """The settings that a draw depends on."""
    return settings.model_dump_json(exclude={"n", "near_duplicate"})


def _response_id(prompt: Row, engine: Engine, settings: SamplingSettings, number: int) -> str:
    return content_id(prompt["prompt_id"], engine.policy_id, _said_of(settings), number)


def _row(
    prompt: Row, engine: Engine, settings: SamplingSettings, number: int, completion: Completion
) -> Row | Reject:
    sampling = _said_of(settings)
    response_id = _response_id(prompt, engine, settings, number)
    parts = replace(completion, text=completion.text.rstrip()).parts
    text = said_after(prompt["messages"], parts.response or "")  # type: ignore[arg-type]
    if not text:
        about: Row = {"prompt_id": prompt["prompt_id"]}
        about |= {"thought": parts.thought} if parts.thought else {}
        reason = _nothing(parts, completion)
        return Reject("responses", "responses", response_id, reason, about)
    try:
        verdict = check_answer(text, prompt)
    except VerifierFailed as error:
        about = {"prompt_id": prompt["prompt_id"]}
        return Reject("responses", "responses", response_id, str(error), about)
    return {
        "response_id": response_id,
        "prompt_id": prompt["prompt_id"],
        "policy_id": engine.policy_id,
        "on_policy": True,
        "round": 0,
        "draw": number,
        "sampling": sampling,
        "text": text,
        "thought": parts.thought,
        "token_ids": None if engine.reads_back(completion) else list(completion.token_ids),
        "tokens": completion.tokens,
        "prompt_tokens": completion.prompt_tokens,
        "logprob_mean": sum(completion.logprobs) / len(completion.logprobs)
        if completion.logprobs
        else None,
        "finish_reason": completion.finish_reason,
        "answer": verdict.answer,
        "correct": verdict.correct,
    }
