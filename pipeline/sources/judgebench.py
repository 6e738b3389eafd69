"""JudgeBench (Tan et al. 2025): its pairs, and files that hold judges' verdicts on them in both
orders in one row, by the pair's id. The pairs have to be imported first.
"""

from pipeline import cells
from pipeline.cells import BadRow, Row, Rows
from pipeline.engine.base import Reject
from pipeline.sources.layout import Gathered, layout

ORDERS = {"orig", "swapped"}


@layout("JudgeBench", "question response_A response_B label", knows="pair_id response_model")
def pairs(row: Row) -> Row:
    """One model's two answers, which the pair's id and a letter name."""
    policy = row.get("response_model")
    named = cells.identifier(row.get("pair_id"), "pair_id")
    sides = (("first", "A"), ("second", "B"))
    ids = {} if named is None else {f"{side}_id": f"{named}-{letter}" for side, letter in sides}
    return {
        "prompt": row.get("question"),
        "first": row.get("response_A"),
        "second": row.get("response_B"),
        **ids,
        "label": row.get("label"),
        "first_policy": policy,
        "second_policy": policy,
    }


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


def spread(rows: Rows, origin: str) -> tuple[list[Gathered], list[Reject]]:
    """Each row as one row per judge and order, in our columns.

    The swapped verdict is as printed, A being the other.
    """
    names = judges(rows)
    found: list[Gathered] = []
    rejects: list[Reject] = []
    for number, row in rows:
        try:
            found += [((number,), one) for one in cells.attempt(_both_orders, row, names)]
        except BadRow as bad:
            rejects.append(Reject("votes", "import", f"{origin} row {number}", str(bad), row))
    return found, rejects


def _both_orders(row: Row, names: list[str]) -> list[Row]:
    cells.check_row(row)
    pair_id = cells.identifier(row.get("pair_id"), "pair_id")
    if pair_id is None:
        raise BadRow("no pair_id")
    a, b = (f"{pair_id}-{letter}" for letter in "AB")  # as `pairs` names them
    more = cells.other_columns(row, {"pair_id", "label", *names})
    found: list[Row] = []
    for name in names:
        given = row.get(name)
        said = given if isinstance(given, dict) else {}
        told = {"judge_id": name, "label": row.get("label"), cells.OTHERS: more}
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


@layout(
    "JudgeBench's verdicts",
    "pair_id",
    knows="label",
    spread=spread,
    fits=lambda rows: bool(judges(rows)),
)
def verdicts(row: Row) -> Row:
    """One judge's verdict in one order, as `spread` writes it."""
    return row
