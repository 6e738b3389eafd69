"""Files that hold a judge's verdicts in both orders in one row, by the pair's id:
JudgeBench's outputs.
"""

from pipeline.cells import OTHERS, BadRow, Row, Rows, attempt, check_row, identifier, other_columns
from pipeline.engine.base import Reject

ORDERS = {"orig", "swapped"}
# stands for the columns of judges, whose names are free
BOTH_ORDERS = "(a_judge's_verdicts_in_both_orders)"


def judges(rows: Rows) -> list[str]:
    """The columns that hold a judge's verdicts in both orders; none where rows have no pair_id."""
    found = {
        name: None
        for _, row in rows
        if "pair_id" in row
        for name, value in row.items()
        if _both(value)
    }
    return list(found)


def spread(rows: Rows, origin: str) -> tuple[Rows, list[Reject]]:
    """Each row as one row per judge and order, in our columns.

    The swapped verdict is as printed, A being the other.
    """
    names = judges(rows)
    found: list[tuple[int, Row]] = []
    rejects: list[Reject] = []
    for number, row in rows:
        try:
            found += [(number, one) for one in attempt(_both_orders, row, names)]
        except BadRow as bad:
            rejects.append(Reject("votes", "import", f"{origin} row {number}", str(bad), row))
    return found, rejects


def _both_orders(row: Row, names: list[str]) -> list[Row]:
    check_row(row)
    pair_id = identifier(row.get("pair_id"), "pair_id")
    if pair_id is None:
        raise BadRow("no pair_id")
    a, b = (f"{pair_id}-{letter}" for letter in "AB")  # as layout.py names JudgeBench's responses
    more = other_columns(row, {"pair_id", "label", *names})
    found: list[Row] = []
    for name in names:
        given = row.get(name)
        said = given if isinstance(given, dict) else {}
        told = {"judge_id": name, "label": row.get("label"), OTHERS: more}
        found.append({"first_id": a, "second_id": b, "verdict": said.get("orig"), **told})
        # The label speaks of the pair as it was first shown.
        swapped = {
            "first_id": b,
            "second_id": a,
            "verdict": said.get("swapped"),
            **told,
            "label": None,
        }
        found.append(swapped)
    return found


def _both(value: object) -> bool:
    return isinstance(value, dict) and set(value) >= ORDERS
