"""Nectar (Zhu et al. 2023): seven answers to a prompt, ranked by GPT-4."""

from collections.abc import Mapping
from typing import Any

from pipeline import cells
from pipeline.cells import BadRow, Row
from pipeline.sources.answers import Answer, Answers, read_answers
from pipeline.sources.dialogue import read_asked
from pipeline.sources.layout import layout


@layout("Nectar", "prompt answers")
def nectar(row: Row) -> Answers:
    """A ranked list; its prompt is a dialogue that ends where the assistant speaks."""
    items = read_answers(row.get("answers"), "answers", _answer)
    return Answers(read_asked(row.get("prompt"), "prompt"), tuple(items))


def _answer(given: Mapping[str, Any]) -> Answer:
    rank = cells.number(given.get("rank"), "rank")
    if rank is None or rank < 1 or rank != int(rank):
        raise BadRow(f"rank is {given.get('rank')!r}, not a whole number from 1")
    others = cells.other_columns(given, ("answer", "model", "rank"))
    return Answer(given.get("answer"), policy=given.get("model"), rank=int(rank), metadata=others)
