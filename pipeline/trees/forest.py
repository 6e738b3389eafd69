"""Trees for a whole pool: one coroutine each, one engine for all."""

from collections.abc import Callable

import polars as pl

from pipeline import tables
from pipeline.config import TreeSettings
from pipeline.engine.base import Engine, Reject, RequestFailed
from pipeline.engine.session import run_all
from pipeline.ids import content_id
from pipeline.trees.best_first import grow
from pipeline.trees.node import Node, Problem
from pipeline.verify import has_final_answer, verify


def problem(prompt: dict[str, object], policy_id: str, settings: TreeSettings) -> Problem:
    """The search problem of a row of `prompts` that has a verifier."""
    answer, verifier, metadata = (prompt[name] for name in ("answer", "verifier", "metadata"))

    def judge(response: str) -> tuple[str | None, bool | None]:
        verdict = verify(response, answer, verifier, metadata)  # type: ignore[arg-type]
        return verdict.answer, verdict.correct

    return Problem(
        prompt_id=str(prompt["prompt_id"]),
        messages=tuple(prompt["messages"]),  # type: ignore[arg-type]
        tree_id=content_id(prompt["prompt_id"], policy_id, settings.model_dump()),
        judge=judge,
        is_final=lambda response: has_final_answer(response, str(verifier)),
    )


def plant(
    engine: Engine,
    prompts: pl.DataFrame,
    settings: TreeSettings,
    run_seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[pl.DataFrame, list[Reject]]:
    """Grows one tree per prompt and returns the rows of `tree_nodes`, and the prompts that got no tree.

    A prompt without a verifier is rejected: rollouts have a value only where answers can be checked.
    """

    async def one(prompt: dict[str, object]) -> list[Node] | Reject:
        if prompt["verifier"] is None:
            return _reject(prompt, "no verifier: step values need checkable answers")
        try:
            nodes = await grow(engine, problem(prompt, engine.policy_id, settings), settings, run_seed)
        except RequestFailed as error:
            return _reject(prompt, str(error))
        return nodes if len(nodes) > 1 else _reject(prompt, "empty generation: the model said nothing")

    grown = run_all([one(prompt) for prompt in prompts.iter_rows(named=True)], progress)
    rows = [node.row() for nodes in grown if isinstance(nodes, list) for node in nodes]
    frame = pl.DataFrame(rows, schema=tables.empty("tree_nodes").schema) if rows else tables.empty("tree_nodes")
    return frame, [result for result in grown if isinstance(result, Reject)]


def _reject(prompt: dict[str, object], reason: str) -> Reject:
    return Reject("tree_nodes", "trees", str(prompt["prompt_id"]), reason, {"prompt_id": prompt["prompt_id"]})
