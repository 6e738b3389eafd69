"""RewardBench 2 (Malik et al. 2025): right answers among wrong ones."""

from pipeline import cells
from pipeline.cells import BadRow, Row, Rows
from pipeline.sources.answers import Answer, Answers
from pipeline.sources.dialogue import most_rows
from pipeline.sources.layout import layout

SIDES = ("chosen", "rejected")


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _are_texts(rows: Rows) -> bool:
    return most_rows(rows, SIDES, _is_texts)


@layout("RewardBench 2", "prompt chosen rejected", fits=_are_texts)
def rewardbench(row: Row) -> Answers:
    """Right ones have rank 1, wrong ones the rank after them: none is preferred among equals."""
    right, wrong = (_texts(row, name) for name in SIDES)
    items = [Answer(text, rank=1) for text in right]
    items += [Answer(text, rank=1 + len(right)) for text in wrong]
    return Answers(row.get("prompt"), tuple(items))


def _texts(row: Row, name: str) -> list[str]:
    value = row.get(name)
    if not isinstance(value, list) or not value:
        raise BadRow(f"{name} holds {cells.kind_of(value)}, not a list of texts")
    return value
