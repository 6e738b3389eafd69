"""HH-RLHF (Bai et al. 2022): two dialogues as texts, which differ in the last answer."""

from pipeline.cells import Row, Rows
from pipeline.sources.dialogue import is_dialogue, last_turns, most_rows, read_dialogue
from pipeline.sources.layout import layout

SIDES = ("chosen", "rejected")


def _are_dialogues(rows: Rows) -> bool:
    return most_rows(rows, SIDES, is_dialogue)


@layout("HH-RLHF", "chosen rejected", fits=_are_dialogues)
def hh(row: Row) -> Row:
    """The turns before the last are the prompt; the chosen answer is the better one."""
    turns = {name: read_dialogue(row.get(name), name) for name in SIDES}
    return {**last_turns(turns), "label": "first"}
