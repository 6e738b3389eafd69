"""Rows of `recorded_responses` from the answers to one prompt, and the pairs that their ranks
make of them.
"""

from itertools import combinations
from typing import Any

from pipeline import cells
from pipeline.cells import BadRow, Row
from pipeline.engine.base import Reject
from pipeline.ids import content_id
from pipeline.prompts.record import to_json
from pipeline.prompts.turns import read_prompt
from pipeline.sources.answers import Answer, Answers
from pipeline.sources.besides import BESIDES, Besides
from pipeline.sources.pairs import From
from pipeline.sources.texts import response_text

Placed = tuple[Answer, Row]  # an answer, and its row of the table


def response_rows(answers: Answers, place: From, more: Row) -> tuple[list[Placed], list[Reject]]:
    """The answers that can be read, each with its row, and why others cannot.

    Args:
        answers: to one prompt.
        place: where they came from.
        more: what the file says of all of them: metadata of each.

    Raises:
        BadRow: the prompt cannot be read.
    """
    messages = read_prompt(answers.prompt, "prompt")
    if messages is None:
        raise BadRow("prompt is empty")
    if not answers.items:
        raise BadRow("no responses")
    prompt = {"prompt_id": content_id(messages), "messages": messages}
    placed: list[Placed] = []
    rejects: list[Reject] = []
    for number, answer in enumerate(answers.items, start=1):
        name = f"response {number}" if len(answers.items) > 1 else "the response"
        try:
            row = cells.attempt(_row, answer, name, prompt, place, more)
            placed.append((answer, row))
        except BadRow as bad:
            rejects.append(_reject(answer, place, str(bad)))
    kept, alike = _distinct(placed, place)
    if answers.is_list and kept:
        ranked = sorted((row["rank"] or 0, row["response_id"]) for _, row in kept)
        list_id = content_id(place.origin, prompt["prompt_id"], ranked)
        kept = [(answer, {**row, "list_id": list_id}) for answer, row in kept]
    return kept, [*rejects, *alike]


def pairs_of_ranks(
    answers: Answers, placed: list[Placed]
) -> tuple[list[tuple[Row, tuple[int, ...]]], int]:
    """The pairs of answers of different rank, in our columns, each with the rows of the file that
    it is of; and how many of equal rank are no pair.
    """
    found: list[tuple[Row, tuple[int, ...]]] = []
    ties = 0
    if not answers.is_list:
        return found, ties
    for (a, row_a), (b, row_b) in combinations(placed, 2):
        if a.rank is None or b.rank is None:
            continue
        if a.rank == b.rank and not answers.keeps_ties:
            ties += 1
            continue
        label = 0.5 if a.rank == b.rank else float(a.rank < b.rank)
        besides = Besides(
            scores=(a.score, b.score),
            votes=_votes(a, b, answers.judge_id),
            metadata={"list_id": row_a["list_id"]},
        )
        pair = {
            "prompt": row_a["messages"],
            "first": row_a["text"],
            "second": row_b["text"],
            "first_policy": a.policy,
            "second_policy": b.policy,
            "label": label,
            BESIDES: besides,
        }
        found.append((pair, (*row_a["_rows"], *row_b["_rows"])))
    return found, ties


def _row(answer: Answer, name: str, prompt: Row, place: From, more: Row) -> Row:
    if answer.flaw is not None:
        raise BadRow(f"{name}: {answer.flaw}")
    text = response_text(answer.text, name)
    if text is None:
        raise BadRow(f"{name} has no text")
    metadata = {**more, **{key: one for key, one in answer.metadata.items() if one is not None}}
    rows = place.rows if answer.number is None else (answer.number,)
    return {
        **prompt,
        "response_id": content_id(prompt["prompt_id"], text),
        "text": text,
        "policy": cells.identifier(answer.policy, f"the model of {name}"),
        "origin": place.origin,
        "list_id": None,
        "rank": answer.rank,
        "desirable": answer.desirable,
        "score": answer.score,
        "metadata": to_json(metadata) if metadata else None,
        "_where": _where(answer, place),
        "_rows": rows,
    }


def _distinct(placed: list[Placed], place: From) -> tuple[list[Placed], list[Reject]]:
    """Answers without those whose text an earlier one has.

    Where equal texts have different ranks, none of them has a place in the list.
    """
    same: dict[str, list[Placed]] = {}
    for answer, row in placed:
        same.setdefault(row["response_id"], []).append((answer, row))
    kept: list[Placed] = []
    rejects: list[Reject] = []
    for first, *others in same.values():
        ranks = {answer.rank for answer, _ in (first, *others)}
        if len(ranks) == 1:
            kept.append(first)
            reason = f"the same text as another response to its prompt{cells.REPEAT}"
            rejects += [_reject(answer, place, reason) for answer, _ in others]
        else:
            reason = "the same text stands in the list with different ranks"
            rejects += [_reject(answer, place, reason) for answer, _ in (first, *others)]
    return kept, rejects


def _votes(a: Answer, b: Answer, judge_id: str | None) -> list[Row]:
    """What the ratings say of a pair, one criterion a vote."""
    if judge_id is None:
        return []
    return [
        {
            "judge_id": judge_id,
            "criterion": criterion,
            "first_score": a.ratings[criterion],
            "second_score": b.ratings[criterion],
        }
        for criterion in a.ratings
        if criterion in b.ratings
    ]


def _where(answer: Answer, place: From) -> str:
    return place.where if answer.number is None else f"{place.origin} row {answer.number}"


def _reject(answer: Answer, place: From, reason: str) -> Reject:
    row: dict[str, Any] = {"text": answer.text, "rank": answer.rank, **answer.metadata}
    return Reject("recorded_responses", "import", _where(answer, place), reason, row)
