"""Records of Argilla: fields with two responses, and what each annotator answered."""

import re
from collections.abc import Mapping
from typing import Any

from pipeline import cells
from pipeline.cells import MEANING, BadRow, Row
from pipeline.sources.besides import BESIDES, Besides
from pipeline.sources.layout import layout

NOBODY = "unknown annotator"
COUNTED = (None, "submitted")  # drafts and discarded responses say nothing
OVERALL = ("preference", "overall")  # of several questions, one of these gives the label
_SIDE = re.compile(r"(response|answer|generation|completion|output)[-_ ]?([0-9a-b])", re.IGNORECASE)


@layout("Argilla records", "fields responses")
def records(row: Row) -> Row:
    """Every annotator's answer is a vote; the criterion is the question's name."""
    prompt, sides = _fields(row.get("fields"))
    votes = _votes(row.get("responses"), sides)
    criteria = {vote["criterion"] for vote in votes}
    by_label = next((name for name in OVERALL if name in criteria), None)
    label = by_label if by_label or len(criteria) > 1 else criteria.pop()
    said = [vote["p_first"] for vote in votes if vote["criterion"] == label]
    first, second = sides
    return {
        "prompt": prompt,
        "first": row["fields"][first],
        "second": row["fields"][second],
        "label": sum(said) / len(said) if said else None,
        BESIDES: Besides(votes=votes, metadata={"responses": row["responses"]}, tells_sides=True),
    }


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


def _votes(responses: Any, sides: tuple[str, str]) -> list[Row]:
    """Votes on all questions in which somebody named a side.

    Raises:
        BadRow: nobody did, or another annotator's answer to that question is none.
    """
    given = [answer for one in _counted(responses) for answer in _answers(one)]
    meant = [(user, name, value, _p_first(value, sides)) for user, name, value in given]
    asked = {name for _, name, _, p in meant if p is not None}
    if not asked:
        raise BadRow(f"no annotator names one of {', '.join(sides)}, or a tie")
    votes = []
    for user, name, value, p in meant:
        if name in asked and p is None:
            raise BadRow(f"{name}: {str(value)[:40]!r} is none of {', '.join(sides)} and tie")
        if name in asked:
            votes.append({"judge_id": user, "criterion": name, "p_first": p})
    return votes


def _counted(responses: Any) -> list[Mapping[str, Any]]:
    if not isinstance(responses, list) or not all(isinstance(one, Mapping) for one in responses):
        raise BadRow("responses is no list of annotators' responses")
    return [one for one in responses if one.get("status") in COUNTED]


def _answers(response: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    """(annotator, question, value) of all that one annotator answered."""
    user = cells.identifier(response.get("user_id"), "user_id") or NOBODY
    values = response.get("values")
    if not isinstance(values, Mapping):
        return []
    return [
        (user, name, one["value"] if isinstance(one, Mapping) and "value" in one else one)
        for name, one in values.items()
        if not cells.is_blank(one)
    ]


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
        if isinstance(one, Mapping)
    }
    first, second = (ranks.get(side) for side in sides)
    if first is None or second is None:
        return None
    return 0.5 if first == second else float(first < second)
