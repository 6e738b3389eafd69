"""Single responses as a file gives them: ranked, rated by aspect, or each with a label of its own.

A layout whose rows hold them returns `Answers`. Their rows of `recorded_responses`, and the pairs
that follow from their ranks, are made in responses.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.cells import Row


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
    """

    text: Any
    policy: Any = None
    rank: int | None = None
    score: float | None = None
    desirable: bool | None = None
    ratings: Mapping[str, float] = field(default_factory=dict)
    metadata: Row = field(default_factory=dict)
    number: int | None = None


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
