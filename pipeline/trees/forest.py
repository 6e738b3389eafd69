"""Trees for a whole pool: one coroutine each, one engine for all."""

from collections.abc import Callable

import polars as pl

from pipeline import tables
from pipeline.config import GrowthSettings
from pipeline.conversation import whole_response
from pipeline.engine.base import Engine, Reason, Reject, RequestFailed, Turn
from pipeline.engine.session import run_all
from pipeline.ids import content_id
from pipeline.trees.growth import grow
from pipeline.trees.node import Node, Problem
from pipeline.trees.plans import needs_answers, plan_of
from pipeline.trees.value import Reward
from pipeline.verify import has_final_answer
from pipeline.verify.response import check_answer

_EMPTY = (
    "empty generation: the model said nothing, or never ended its thought (raise thought_tokens)"
)
_BROKE = "no budget: max_expansions or max_tokens allows not even the first expansion"


# settings that came later, as they were
LATER = {"inside_thoughts": False, "thought_tokens": 512, "skip_decided": False}


def _said(settings: GrowthSettings) -> dict[str, object]:
    """The settings as they stand in a tree's id.

    One that came later counts where it is not as it was, so that trees made before keep their ids.
    """
    said = settings.model_dump()
    return {name: value for name, value in said.items() if LATER.get(name, ...) != value}


def problem(prompt: dict[str, object], policy_id: str, settings: GrowthSettings) -> Problem:
    """The search problem of a row of `prompts`.

    Without a verifier, a response ends only where the model ends it.
    """
    verifier = prompt["verifier"]
    messages: tuple[Turn, ...] = tuple(prompt["messages"])  # type: ignore[arg-type]

    def judge(response: str | None) -> tuple[str | None, bool | None]:
        verdict = check_answer(response, prompt)
        return verdict.answer, verdict.correct

    return Problem(
        prompt_id=str(prompt["prompt_id"]),
        messages=messages,
        tree_id=content_id(prompt["prompt_id"], policy_id, _said(settings)),
        judge=judge,
        is_final=lambda response: has_final_answer(whole_response(messages, response), verifier),  # type: ignore[arg-type]
    )


def plant(
    engine: Engine,
    prompts: pl.DataFrame,
    settings: GrowthSettings,
    run_seed: int,
    progress: Callable[[int, int], None] | None = None,
    reward: Reward | None = None,
) -> tuple[pl.DataFrame, list[Reject]]:
    """Grows one tree per prompt and returns the rows of `tree_nodes`,
    and the prompts that got no tree.

    A prompt without a verifier is rejected where values come from rollouts, which need answers that
    can be checked. `reward` values thoughts where the settings say so.
    """
    plan = plan_of(settings, reward)
    unchecked = (
        "no verifier: rollouts need checkable answers; "
        "the model's own values do not (thoughts.value: verdict, score or vote, without a probe)"
    )

    async def one(prompt: dict[str, object]) -> list[Node] | Reject:
        if prompt["verifier"] is None and needs_answers(settings):
            return _reject(prompt, plan.method, unchecked)
        try:
            nodes = await grow(
                engine, problem(prompt, engine.policy_id, settings), settings, plan, run_seed
            )
        except RequestFailed as error:
            return _reject(prompt, plan.method, error)
        if len(nodes) > 1:
            return nodes
        empty = nodes[0].expanded_order is not None
        return _reject(prompt, plan.method, _EMPTY if empty else _BROKE)

    grown = run_all([one(prompt) for prompt in prompts.iter_rows(named=True)], progress)
    rows = [node.row() for nodes in grown if isinstance(nodes, list) for node in nodes]
    frame = (
        pl.DataFrame(rows, schema=tables.empty("tree_nodes").schema)
        if rows
        else tables.empty("tree_nodes")
    )
    return frame, [result for result in grown if isinstance(result, Reject)]


def _reject(prompt: dict[str, object], method: str, reason: Reason) -> Reject:
    # The method tells the store which partition the reject belongs to.
    step = "trees" if method == "best_first" else "thoughts"
    row = {"prompt_id": prompt["prompt_id"], "method": method}
    return Reject("tree_nodes", step, str(prompt["prompt_id"]), reason, row)
