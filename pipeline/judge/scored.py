"""Recorded absolute scores: what they say of a pair, and pairs from a file of single scores."""

import json
import math
from collections.abc import Iterable
from itertools import combinations
from typing import Any

from pipeline.engine.base import Reject
from pipeline.judge.layouts import BadRow, Row

COLUMNS = {"prompt", "response", "judge_id", "score"}  # of a file of single scores
SIDES = {"": "response", "_score": "score", "_policy": "policy"}  # what a pair says of each side, and its column here
PAIRED = ["prompt", "judge_id", "criterion", *(side + name for side in ("first", "second") for name in SIDES)]


def numbers(value: Any, name: str) -> list[float]:
    """A score, or several draws of it, as finite numbers.

    Raises:
        BadRow: missing, no number, or not finite.
    """
    given = value if isinstance(value, list) and value else [value]
    try:
        found = [float(one) for one in given]
    except (TypeError, ValueError):
        raise BadRow(f"{name} is {value!r}, not a number or a list of numbers") from None
    if not all(map(math.isfinite, found)):
        raise BadRow(f"{name} is {value!r}, not finite")
    return found


def above(first: list[float], second: list[float]) -> float:
    """P(first is better): share of pairs of draws in which its score is higher, equal ones half."""
    points = [1.0 if a > b else 0.5 if a == b else 0.0 for a in first for b in second]
    return sum(points) / len(points)


def pairs(rows: Iterable[tuple[int, Row]], origin: str) -> tuple[list[tuple[int, Row]], list[str], list[Reject]]:
    """All pairs of responses to one prompt that one judge scored under one criterion; their columns; rejected rows.

    Columns read: prompt, response, judge_id, score, and where given criterion and policy. A pair has the number of its
    later row.
    """
    groups: dict[tuple[str, str, str], list[tuple[int, Row]]] = {}
    rejects: list[Reject] = []
    for number, row in rows:
        try:
            if not str(row.get("response") or "").strip() or not row.get("prompt") or not row.get("judge_id"):
                raise BadRow("a score needs prompt, response and judge_id")
            numbers(row.get("score"), "score")
        except BadRow as error:
            rejects.append(Reject("votes", "import", f"{origin} row {number}", str(error), row))
            continue
        key = (json.dumps(row["prompt"], sort_keys=True), str(row["judge_id"]), str(row.get("criterion") or "overall"))
        groups.setdefault(key, []).append((number, row))
    found = []
    for (_, judge_id, criterion), own in groups.items():
        if len(own) == 1:
            reason = "one response only: this judge scored no other to the same prompt"
            rejects.append(Reject("votes", "import", f"{origin} row {own[0][0]}", reason, own[0][1]))
        for (_, a), (number, b) in combinations(own, 2):
            sides = {
                side + name: row.get(column)
                for side, row in (("first", a), ("second", b))
                for name, column in SIDES.items()
            }
            found.append((number, {"prompt": a["prompt"], "judge_id": judge_id, "criterion": criterion, **sides}))
    return found, PAIRED, rejects
