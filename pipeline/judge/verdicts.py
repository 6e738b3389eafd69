"""Files that hold a judge's verdicts in both orders in one row, by the pair's id: JudgeBench's outputs."""

from collections.abc import Sequence

from pipeline.judge.layouts import Row

ORDERS = {"orig", "swapped"}
COLUMNS = ["first_id", "second_id", "judge_id", "verdict", "label"]


def judges(rows: Sequence[tuple[int, Row]]) -> list[str]:
    """The columns that hold a judge's verdicts in both orders; none where rows have no pair_id."""
    found = {name: None for _, row in rows if "pair_id" in row for name, value in row.items() if _both(value)}
    return list(found)


def expanded(rows: Sequence[tuple[int, Row]], names: Sequence[str]) -> list[tuple[int, Row]]:
    """Each row as one row per judge and order, in our columns; the swapped verdict is as printed, A being the other."""
    found: list[tuple[int, Row]] = []
    for number, row in rows:
        a, b = (f"{row.get('pair_id')}-{seat}" for seat in "AB")  # as layouts.py names JudgeBench's responses
        for name in names:
            given = row.get(name)
            said = given if isinstance(given, dict) else {}
            told = {"judge_id": name, "label": row.get("label")}
            found.append((number, {"first_id": a, "second_id": b, "verdict": said.get("orig"), **told}))
            # The label speaks of the pair as it was first shown.
            swapped = {"first_id": b, "second_id": a, "verdict": said.get("swapped"), "judge_id": name, "label": None}
            found.append((number, swapped))
    return found


def _both(value: object) -> bool:
    return isinstance(value, dict) and set(value) >= ORDERS
