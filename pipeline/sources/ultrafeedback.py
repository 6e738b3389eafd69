"""UltraFeedback (Cui et al. 2024), as its authors publish it and as pairs."""

from pipeline.cells import Row
from pipeline.sources import trl
from pipeline.sources.layout import layout


@layout(
    "UltraFeedback binarized",
    "prompt prompt_id chosen rejected messages score_chosen score_rejected",
    refuses="label",
)
def binarized(row: Row) -> Row:
    """A pair with the score of each side."""
    return trl.explicit(row)
