"""Single responses as a file gives them: ranked, rated by aspect, or each with a label of its own.

A layout whose rows hold them returns `Answers`. Their rows of `recorded_responses`, and the pairs
that follow from their ranks, are made in responses.py.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pipeline import cells
from pipeline.cells import BadRow, Row


@dataclass(frozen=True)
class Answer:
    """One response to a prompt, its text as it came.

    Args:
        text: the text; checked where its row is made.
        policy: who wrote it.
        rank: 1 is best, equal ranks are ties; null: unknown.
        score: what the file says of it as a number, higher is better.
        desirable: a thumb; null: none.
        ratings: criterion -> what the file's judge gives it, higher is more of it.
        metadata: what else the file says of this response.
        number: the row of the file, where several rows make the answers of one prompt.
        flaw: why it cannot be read; null: it can.
    """

    text: Any
    policy: Any = None
    rank: int | None = None
    score: float | None = None
    desirable: bool | None = None
    ratings: Mapping[str, float] = field(default_factory=dict)
    metadata: Row = field(default_factory=dict)
    number: int | None = None
    flaw: str | None = None


@dataclass(frozen=True)
class Answers:
    """Responses to one prompt.

    Args:
        prompt: a text, or chat turns.
        items: the responses.
        judge_id: who gave their ratings; null: nobody, or they have none.
        is_list: they are compared with each other; false: each stands alone.
        keeps_ties: two of equal rank are a pair with the label 0.5, for the votes on it; false:
            they are no pair.
    """

    prompt: Any
    items: tuple[Answer, ...]
    judge_id: str | None = None
    is_list: bool = True
    keeps_ties: bool = False


def ranks_of(scores: list[float | None]) -> list[int | None]:
    """Ranks of scores where higher is better: 1 is best, equal scores share a rank.

    The rank after a tie of two counts both (1, 1, 3), as in Nectar; an unknown score has no rank.
    """
    known = [score for score in scores if score is not None]
    return [
        None if score is None else 1 + sum(other > score for other in known) for score in scores
    ]


def read_answers(
    value: Any, name: str, read: Callable[[Mapping[str, Any]], Answer]
) -> list[Answer]:
    """The answers of a list of structs; one that cannot be read says why, and the others go on.

    Raises:
        BadRow: no list, or an empty one.
    """
    if not isinstance(value, list) or not value:
        raise BadRow(f"{name} is no list of responses")
    return [_read_answer(one, read) for one in value]


def _read_answer(given: Any, read: Callable[[Mapping[str, Any]], Answer]) -> Answer:
    if not isinstance(given, Mapping):
        return Answer(None, flaw=f"a response holds {cells.kind_of(given)}, not a struct")
    try:
        return cells.attempt(read, given)
    except BadRow as bad:
        return Answer(None, flaw=str(bad), metadata=dict(given))


def with_ranks(items: list[Answer]) -> tuple[Answer, ...]:
    """Answers ranked by their scores."""
    ranks = ranks_of([None if item.flaw else item.score for item in items])
    return tuple(replace(item, rank=rank) for item, rank in zip(items, ranks, strict=True))
