"""Pairs in Alpaca's columns: an instruction, perhaps its input, and two outputs."""

from pipeline import cells
from pipeline.cells import BadRow, Row
from pipeline.sources.labels import side
from pipeline.sources.layout import layout


@layout("Alpaca pairs", "instruction output_1 output_2 label", knows="input")
def pairs(row: Row) -> Row:
    """label is 1, 2, or 0 for a tie."""
    return {**_sides(row), "label": side(row.get("label"))}


@layout("alpaca_eval", "instruction output_1 output_2 preference", knows="input")
def alpaca_eval(row: Row) -> Row:
    """preference runs from 1 (first) to 2 (second); 1.5 is a tie."""
    preference = cells.number(row.get("preference"), "preference")
    if preference is not None and not 1 <= preference <= 2:
        raise BadRow(f"preference is {preference}, outside [1, 2]")
    return {**_sides(row), "label": None if preference is None else 2 - preference}


def asked(row: Row) -> str | None:
    """An instruction and, below it, its input; one alone where the row lacks the other."""
    names = [name for name in ("instruction", "input") if cells.text(row.get(name), name)]
    return "\n\n".join(row[name] for name in names) or None


def _sides(row: Row) -> Row:
    return {"prompt": asked(row), "first": row.get("output_1"), "second": row.get("output_2")}
