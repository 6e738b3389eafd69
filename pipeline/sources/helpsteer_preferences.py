"""HelpSteer 2 and 3 as preferences (Wang et al. 2025): grades from -3 to 3 by several people."""

from collections.abc import Mapping
from typing import Any

from pipeline import cells
from pipeline.cells import BadRow, Row
from pipeline.sources.besides import BESIDES, Besides
from pipeline.sources.layout import layout

STRONGEST = 3  # -3: the first is much better, 3: the second is


@layout(
    "HelpSteer3 preferences",
    "context response1 response2 overall_preference",
    knows="individual_preference",
)
def helpsteer3(row: Row) -> Row:
    """The overall grade gives the label; every person's grade is a vote."""
    sides = {"first": row.get("response1"), "second": row.get("response2")}
    graded = _graded(row, "overall_preference", "individual_preference", "score")
    return {"prompt": row.get("context"), **sides, **graded}


@layout(
    "HelpSteer2 preferences",
    "prompt response_1 response_2 preference_strength",
    knows="all_preferences_unprocessed",
)
def helpsteer2(row: Row) -> Row:
    """The same in the columns of HelpSteer2-Preference."""
    sides = {"first": row.get("response_1"), "second": row.get("response_2")}
    graded = _graded(row, "preference_strength", "all_preferences_unprocessed", "strength")
    return {"prompt": row.get("prompt"), **sides, **graded}


def _graded(row: Row, overall: str, several: str, key: str) -> Row:
    """Label, grade and votes: P(first is better) falls evenly from 1 at -3 to 0 at 3."""
    p = _p_first(row.get(overall), overall)
    given = row.get(several)
    people = [] if cells.is_blank(given) else given
    if not isinstance(people, list):
        raise BadRow(f"{several} holds {cells.kind_of(people)}, not a list")
    votes = [_vote(one, number, several, key) for number, one in enumerate(people, start=1)]
    said = any(isinstance(one, Mapping) for one in people)
    besides = Besides(
        votes=votes,
        grade=p,
        metadata={several: people} if said else {},
        tells_sides=said,
    )
    label = None if p is None else 0.5 if p == 0.5 else float(p > 0.5)
    return {"label": label, BESIDES: besides}


def _vote(one: Any, number: int, several: str, key: str) -> Row:
    name = f"number {number} of {several}"
    p = _p_first(one.get(key) if isinstance(one, Mapping) else one, name)
    if p is None:
        raise BadRow(f"{name} has no grade")
    return {"judge_id": f"annotator{number}", "p_first": p}


def _p_first(value: Any, name: str) -> float | None:
    grade = cells.number(value, name)
    if grade is not None and abs(grade) > STRONGEST:
        raise BadRow(f"{name} is {grade:g}, outside [-{STRONGEST}, {STRONGEST}]")
    return None if grade is None else (STRONGEST - grade) / (2 * STRONGEST)
