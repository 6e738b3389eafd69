"""Orchard's own columns: pairs with a label or votes, and votes on pairs by id."""

from pipeline.cells import Row
from pipeline.sources.layout import LAYOUTS, OURS, VOTES, Layout, columns, layout

OWN_COLUMNS = (
    "first_id second_id judge_id p_first verdict first_score second_score criterion label "
    "first_policy second_policy prompt first second"
)


@layout(OURS, "prompt first second", "first_id second_id", knows=OWN_COLUMNS, keeps="pair_id")
def own(row: Row) -> Row:
    """A row as it is: imported.py says what its columns mean."""
    return row


_VALUES = ("p", "probability", "label", "margin", "score", "chosen_score rejected_score")
_BY_ID = Layout(
    VOTES,
    tuple(columns(f"pair_id {value}") for value in _VALUES),
    read=None,
    knows=columns("voter_id judge_id annotator order"),
)
LAYOUTS.add(VOTES, _BY_ID, __name__)
