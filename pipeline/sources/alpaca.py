"""Pairs in Alpaca's columns: an instruction, perhaps its input, and two outputs."""

from pipeline import cells
from pipeline.cells import BadRow, Row
from pipeline.sources.besides import BESIDES, Besides
from pipeline.sources.labels import are_sides, side
from pipeline.sources.layout import layout


@layout(
    "Alpaca pairs",
    "instruction output_1 output_2 label",
    knows="input generator_1 generator_2",
    fits=are_sides,
)
def pairs(row: Row) -> Row:
    """label is 1, 2, or 0 for a tie."""
    return {**_sides(row), "label": side(row.get("label"))}


@layout(
    "alpaca_eval",
    "instruction output_1 output_2 preference",
    knows="input generator_1 generator_2 annotator",
)
def alpaca_eval(row: Row) -> Row:
    """preference runs from 1 (first) to 2 (second), and 1.5 is a tie; the annotator's vote, too."""
    preference = cells.number(row.get("preference"), "preference")
    if preference is not None and not 1 <= preference <= 2:
        raise BadRow(f"preference is {preference}, outside [1, 2]")
    label = None if preference is None else 2 - preference
    judge = cells.identifier(row.get("annotator"), "annotator")
    votes = [] if None in (judge, label) else [{"judge_id": judge, "p_first": label}]
    besides = Besides(votes=votes, labelled_by=judge, tells_sides=True)
    return {**_sides(row), "label": label, BESIDES: besides}


def asked(row: Row) -> str | None:
    """An instruction and, below it, its input; one alone where the row lacks the other."""
    names = [name for name in ("instruction", "input") if cells.text(row.get(name), name)]
    return "\n\n".join(row[name] for name in names) or None


def _sides(row: Row) -> Row:
    return {
        "prompt": asked(row),
        "first": row.get("output_1"),
        "second": row.get("output_2"),
        "first_policy": row.get("generator_1"),
        "second_policy": row.get("generator_2"),
    }
