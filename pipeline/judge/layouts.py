"""Shapes of judged pairs in files: ours, and those of three public sets, brought into ours."""

from collections.abc import Callable, Iterable
from typing import Any

from pipeline.errors import OrchardError

Row = dict[str, Any]
VERDICTS = {
    **dict.fromkeys(("first", "a", "a>b", "a>>b", "[[a>b]]", "[[a>>b]]", "[[a]]"), 1.0),
    **dict.fromkeys(("second", "b", "b>a", "b>>a", "[[b>a]]", "[[b>>a]]", "[[b]]"), 0.0),
    **dict.fromkeys(("tie", "a=b", "[[a=b]]", "[[c]]"), 0.5),
}
ANNOTATORS = ("annotator1", "annotator2", "annotator3")
PANDALM = {"instruction", "response1", "response2", "annotator1"}
SIDES = {"1": "first", "2": "second", "0": "tie"}  # LLMBar's and PandaLM's numbers


class BadRow(Exception):
    """Why a row cannot be used."""


def layout(columns: list[str], origin: str) -> Callable[[Row], Row]:
    """The function that brings a row of a file with these columns into our columns.

    Raises:
        OrchardError: they tell neither a pair nor a judgement.
    """
    have = set(columns)
    if {"input", "output_1", "output_2", "label"} <= have:
        return _llmbar
    if {"question", "response_A", "response_B", "label"} <= have:
        return _judgebench
    if PANDALM <= have:
        return _pandalm
    _check(have, origin)
    return lambda row: row


def verdict(value: Any) -> float:
    """1 for the first, 0 for the second, 0.5 for a tie.

    Raises:
        BadRow: none of these.
    """
    found = VERDICTS.get(str(value).strip().lower())
    if found is None:
        raise BadRow(f"verdict {value!r} is none of first, second and tie")
    return found


def _llmbar(row: Row) -> Row:
    sides = {"first": row.get("output_1"), "second": row.get("output_2")}
    return {"prompt": row.get("input"), **sides, "label": _side(row.get("label"))}


def _judgebench(row: Row) -> Row:
    policy = row.get("response_model")
    sides = {"first": row.get("response_A"), "second": row.get("response_B")}
    named = row.get("pair_id")
    ids = {f"{side}_id": f"{named}-{seat}" for side, seat in (("first", "A"), ("second", "B"))}
    return {
        "prompt": row.get("question"),
        **sides,
        **(ids if named is not None else {}),
        "label": row.get("label"),
        "first_policy": policy,
        "second_policy": policy,
    }


def annotators(rows: Iterable[tuple[int, Row]]) -> list[tuple[int, Row]]:
    """PandaLM's rows once for each annotator, named as the judge; a row without any stays one."""
    named = [(number, row, [name for name in ANNOTATORS if row.get(name) is not None]) for number, row in rows]
    return [(number, {**row, "judge_id": name}) for number, row, names in named for name in names or (None,)]


def _pandalm(row: Row) -> Row:
    """Annotators say 1, 2, or 0 for a tie; their mean is the label. One's vote has no seat, as two scores have none."""
    votes = {name: verdict(_side(row[name])) for name in ANNOTATORS if row.get(name) is not None}
    mine = votes.get(row.get("judge_id", ""))
    scores = {} if mine is None else {"first_score": mine, "second_score": 1 - mine}
    first_policy, _, second_policy = str(row.get("cmp_key") or "").partition("_")
    asked = f"{row.get('instruction')}\n\n{row['input']}" if row.get("input") else row.get("instruction")
    return {
        "prompt": asked,
        "first": row.get("response1"),
        "second": row.get("response2"),
        "label": sum(votes.values()) / len(votes) if votes else None,
        "first_policy": first_policy,
        "second_policy": second_policy,
        "judge_id": row.get("judge_id"),
        **scores,
    }


def _side(value: Any) -> Any:
    return SIDES.get(str(value).strip(), value)


def _check(have: set[str], origin: str) -> None:
    pair = ({"prompt", "first", "second"}, {"first_id", "second_id"})
    if not any(wanted <= have for wanted in pair):
        raise OrchardError(
            f"{origin}: its columns are {', '.join(sorted(have)) or 'none'}: name the pair by prompt, first and second "
            "(texts), or by first_id and second_id"
        )
    if "label" not in have and not ("judge_id" in have and ({"p_first", "verdict", "first_score"} & have)):
        missing = "judge_id" if "judge_id" not in have else "p_first or verdict"
        raise OrchardError(
            f"{origin}: column {missing} is missing: a vote needs judge_id, and p_first, verdict or two scores"
        )
