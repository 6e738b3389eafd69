"""The steps of responses as texts that a reward model scores: each with all that stands before it.

A text's tokens are those that a pair's side has in `pipeline.noise.features`: the context with the
steps before, then the step. So a step verifier reads a response as it read the steps of its pairs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from pipeline.engine.base import Reject, RequestFailed
from pipeline.engine.rendering import Renderer
from pipeline.ids import content_id
from pipeline.trees.steps import split_path

Ids = tuple[int, ...]
SCHEMA = {"prompt_id": pl.String, "item_id": pl.String, "step": pl.Int64, "text_id": pl.String}


@dataclass(frozen=True)
class Steps:
    """The steps of some responses.

    rows: prompt_id, item_id (the response), step from 0, text_id. texts: the tokens of each text.
    rejects: responses that do not fit, whole.
    """

    rows: pl.DataFrame
    texts: dict[str, Ids]
    rejects: list[Reject]


def steps_of(responses: pl.DataFrame, renderer: Renderer, delimiter: str, max_length: int) -> Steps:
    """Splits responses into their steps.

    Args:
        responses: rows of `responses` with the `messages` of their prompts.
        max_length: tokens of context and response together.
    """
    rows: list[tuple[str, str, int, str]] = []
    texts: dict[str, Ids] = {}
    rejects: list[Reject] = []
    for row in responses.iter_rows(named=True):
        pieces = split_path(row["text"], delimiter)
        try:
            found = _texts(row, pieces, renderer)
        except RequestFailed as error:
            rejects.append(_reject(row["response_id"], str(error)))
            continue
        if found and len(found[-1]) > max_length:
            reason = f"{len(found[-1])} tokens do not fit into noise.max_length {max_length}"
            rejects.append(_reject(row["response_id"], reason))
            continue
        for number, ids in enumerate(found):
            key = content_id("step", ids)
            texts[key] = ids
            rows.append((row["prompt_id"], row["response_id"], number, key))
    return Steps(pl.DataFrame(rows, schema=SCHEMA, orient="row"), texts, rejects)


def _texts(row: Mapping[str, Any], pieces: Sequence[str], renderer: Renderer) -> list[Ids]:
    """Token ids up to the end of each step; the turn's end stands behind a finished response."""
    found: list[Ids] = []
    for number, piece in enumerate(pieces):
        ends = number == len(pieces) - 1 and row["finish_reason"] == "stop"
        before = "".join(pieces[:number])
        context, text = renderer.chat.side(row["messages"], before, piece, ends=ends)
        found.append((*context, *text))
    return found


def _reject(response: str, reason: str) -> Reject:
    return Reject("step_scores", "step_scores", response, reason)
