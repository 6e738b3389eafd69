"""Recorded absolute scores: what they say of a pair, and pairs from a file of single scores."""

import json
from itertools import combinations
from typing import Any

from pipeline import cells
from pipeline.cells import BadRow, Row, Rows
from pipeline.engine.base import Reject
from pipeline.sources.layout import Gathered, layout

COLUMNS = {"prompt", "response", "judge_id", "score"}  # of a file of single scores
# what a pair says of each side, and its column here
SIDES = {"": "response", "_score": "score", "_policy": "policy"}


def numbers(value: Any, name: str) -> list[float]:
    """A score, or several draws of it, as finite numbers.

    Raises:
        BadRow: missing, no number, or not finite.
    """
    draws = value if isinstance(value, list) and value else [value]
    found = [cells.number(one, name) for one in draws]
    if None in found:
        raise BadRow(f"{name} is {value!r}, not a number or a list of numbers")
    return [one for one in found if one is not None]


def above(first: list[float], second: list[float]) -> float:
    """P(first is better): share of pairs of draws in which its score is higher, equal ones half."""
    points = [1.0 if a > b else 0.5 if a == b else 0.0 for a in first for b in second]
    return sum(points) / len(points)


def pairs(rows: Rows, origin: str) -> tuple[list[Gathered], list[Reject]]:
    """All pairs of responses to one prompt that one judge scored under one criterion;
    rejected rows.

    Columns read: prompt, response, judge_id, score, and where given criterion and policy. A pair
    has the number of its later row; other columns of both are its metadata.
    """
    groups: dict[tuple[str, str, str], list[tuple[int, Row]]] = {}
    rejects: list[Reject] = []
    for number, row in rows:
        try:
            groups.setdefault(cells.attempt(_key, row), []).append((number, row))
        except BadRow as bad:
            rejects.append(Reject("votes", "import", f"{origin} row {number}", str(bad), row))
    found: list[Gathered] = []
    for (_, judge_id, criterion), own in groups.items():
        if len(own) == 1:
            reason = "one response only: this judge scored no other to the same prompt"
            rejects.append(
                Reject("votes", "import", f"{origin} row {own[0][0]}", reason, own[0][1])
            )
        for (one, a), (other, b) in combinations(own, 2):
            pair = {**_pair(a, b), "judge_id": judge_id, "criterion": criterion}
            found.append(((one, other), pair))
    return found, rejects


def _key(row: Row) -> tuple[str, str, str]:
    """What two scores must share to be compared: prompt, judge and criterion."""
    cells.check_row(row)
    judge_id = cells.identifier(row.get("judge_id"), "judge_id")
    if (
        not cells.text(row.get("response"), "response")
        or cells.is_blank(row.get("prompt"))
        or judge_id is None
    ):
        raise BadRow("a score needs prompt, response and judge_id")
    numbers(row.get("score"), "score")
    criterion = cells.identifier(row.get("criterion"), "criterion") or "overall"
    return json.dumps(row["prompt"], sort_keys=True), judge_id, criterion


def _pair(a: Row, b: Row) -> Row:
    sides = {
        side + name: row.get(column)
        for side, row in (("first", a), ("second", b))
        for name, column in SIDES.items()
    }
    known = {*COLUMNS, "criterion", "policy"}
    more = {
        side: found
        for side, row in (("first", a), ("second", b))
        if (found := cells.other_columns(row, known))
    }
    return {"prompt": a["prompt"], cells.OTHERS: more, **sides}


@layout(
    "single scores",
    "prompt response judge_id score",
    knows="criterion policy",
    spread=pairs,
)
def single_scores(row: Row) -> Row:
    """A pair of two scored responses, as `pairs` writes it."""
    return row
