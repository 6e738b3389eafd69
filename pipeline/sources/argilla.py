"""Records of Argilla: fields with two responses, and what each annotator answered."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from pipeline import cells
from pipeline.cells import MEANING, BadRow, Row
from pipeline.sources.besides import BESIDES, Besides
from pipeline.sources.layout import layout

NOBODY = "unknown annotator"
COUNTED = (None, "submitted")  # drafts and discarded responses say nothing
OVERALL = ("preference", "overall")  # of several questions, one of these gives the label
_SIDE = re.compile(r"(response|answer|generation|completion|output)[-_ ]?([0-9a-b])", re.IGNORECASE)


class _Answered(NamedTuple):
    """One annotator's answer to one question; p_first is null where it names no side."""

    user: str
    question: str
    value: Any
    p_first: float | None


@layout("Argilla records", "fields responses")
def records(row: Row) -> Row:
    """Every annotator's answer is a vote; the criterion is the question's name."""
    prompt, (first, second) = _fields(row.get("fields"))
    answers = _on_sides(row.get("responses"), (first, second))
    question = _question_of_label({answer.question for answer in answers})
    said = [one.p_first for one in answers if one.question == question and one.p_first is not None]
    votes = [
        {"judge_id": one.user, "criterion": one.question, "p_first": one.p_first} for one in answers
    ]
    return {
        "prompt": prompt,
        "first": row["fields"][first],
        "second": row["fields"][second],
        "label": sum(said) / len(said) if said else None,
        BESIDES: Besides(votes=votes, metadata={"responses": row["responses"]}, tells_sides=True),
    }


def _question_of_label(questions: set[str]) -> str | None:
    """The question whose answers are the label; null where several could be."""
    named = [name for name in OVERALL if name in questions]
    if named:
        return named[0]
    return next(iter(questions)) if len(questions) == 1 else None


def _fields(fields: Any) -> tuple[Any, tuple[str, str]]:
    """The prompt, and the names of the two fields that answer it."""
    if not isinstance(fields, Mapping):
        raise BadRow(f"fields holds {cells.kind_of(fields)}, not a struct")
    filled = [name for name in fields if not cells.is_blank(fields[name])]
    asked = [name for name in filled if name in MEANING]
    sides = sorted(name for name in filled if _SIDE.fullmatch(name))
    if others := [name for name in filled if name not in (*asked, *sides)]:
        raise BadRow(f"fields has {', '.join(others)}, which is not read")
    if len(asked) != 1 or len(sides) != 2:
        raise BadRow(f"fields has {len(asked)} prompts and {len(sides)} responses, not 1 and 2")
    return fields[asked[0]], (sides[0], sides[1])


def _on_sides(responses: Any, sides: tuple[str, str]) -> list[_Answered]:
    """Answers to all questions in which somebody named a side.

    Raises:
        BadRow: nobody did, or another annotator's answer to that question is none.
    """
    answers = [one for given in _counted(responses) for one in _answers(given, sides)]
    questions = {one.question for one in answers if one.p_first is not None}
    if not questions:
        raise BadRow(f"no annotator names one of {', '.join(sides)}, or a tie")
    asked = [one for one in answers if one.question in questions]
    for one in asked:
        if one.p_first is None:
            said = cells.printable(one.value)[:40]
            raise BadRow(f"{one.question}: {said!r} is none of {', '.join(sides)} and tie")
    return asked


def _counted(responses: Any) -> list[Mapping[str, Any]]:
    if not isinstance(responses, list) or not all(isinstance(one, Mapping) for one in responses):
        raise BadRow("responses is no list of annotators' responses")
    return [one for one in responses if one.get("status") in COUNTED]


def _answers(response: Mapping[str, Any], sides: tuple[str, str]) -> list[_Answered]:
    """All that one annotator answered."""
    user = cells.identifier(response.get("user_id"), "user_id") or NOBODY
    values = response.get("values")
    found: list[_Answered] = []
    for question, given in values.items() if isinstance(values, Mapping) else ():
        value = given["value"] if isinstance(given, Mapping) and "value" in given else given
        if not cells.is_blank(value):
            found.append(_Answered(user, question, value, _p_first(value, sides)))
    return found


def _p_first(value: Any, sides: tuple[str, str]) -> float | None:
    """P(first is better) of a named side, of tie, or of a ranking; null: it is none of these."""
    if isinstance(value, list):
        return _of_ranks(value, sides)
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return None
    said = cells.label(value, "value")
    for p, name in ((1.0, sides[0]), (0.0, sides[1])):
        if said in (name.lower(), _SIDE.sub(r"\2", name).lower()):
            return p
    return 0.5 if said == "tie" else None


def _of_ranks(ranking: list[Any], sides: tuple[str, str]) -> float | None:
    ranks = {
        one.get("value"): cells.number(one.get("rank"), "rank")
        for one in ranking
        if isinstance(one, Mapping) and isinstance(one.get("value"), str)
    }
    first, second = (ranks.get(side) for side in sides)
    if first is None or second is None:
        return None
    return 0.5 if first == second else float(first < second)
