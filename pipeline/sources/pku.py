"""PKU-SafeRLHF (Ji et al. 2024): which of two responses is more helpful, and which is safer."""

from pipeline.cells import Row
from pipeline.sources.besides import BESIDES, Besides
from pipeline.sources.labels import one_of
from pipeline.sources.layout import layout

JUDGE = "PKU-SafeRLHF annotators"
# P(response 0 is the one) by the id of the one
SIDES = {"0": 1.0, "1": 0.0, "response_0": 1.0, "response_1": 0.0}


@layout(
    "PKU-SafeRLHF", "prompt response_0 response_1 better_response_id", knows="safer_response_id"
)
def pku(row: Row) -> Row:
    """A vote for each criterion, which may disagree; the better response gives the label."""
    helpful = one_of(row.get("better_response_id"), "better_response_id", SIDES)
    safe = one_of(row.get("safer_response_id"), "safer_response_id", SIDES)
    votes = [
        {"judge_id": JUDGE, "criterion": criterion, "p_first": p}
        for criterion, p in (("helpful", helpful), ("safe", safe))
        if p is not None
    ]
    return {
        "prompt": row.get("prompt"),
        "first": row.get("response_0"),
        "second": row.get("response_1"),
        "label": helpful,
        BESIDES: Besides(votes=votes, tells_sides=True),
    }
