"""LLMBar: pairs that tell judges who follow instructions from others (Zeng et al. 2024)."""

from pipeline.cells import Row
from pipeline.sources.labels import are_sides, side
from pipeline.sources.layout import layout


@layout("LLMBar", "input output_1 output_2 label", fits=are_sides)
def llmbar(row: Row) -> Row:
    """The input is the prompt; label is 1 or 2."""
    sides = {"first": row.get("output_1"), "second": row.get("output_2")}
    return {"prompt": row.get("input"), **sides, "label": side(row.get("label"))}
