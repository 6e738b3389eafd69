"""UltraFeedback (Cui et al. 2024): rated completions, as published and as pairs of them."""

from collections.abc import Mapping
from typing import Any

from pipeline import cells
from pipeline.cells import BadRow, Row
from pipeline.sources import trl
from pipeline.sources.answers import Answer, Answers, read_answers, with_ranks
from pipeline.sources.layout import layout
from pipeline.sources.rated import with_scores

JUDGE = "UltraFeedback annotator"  # GPT-4, as the paper says
_READ = ("response", "model", "overall_score")


@layout("UltraFeedback", "instruction completions")
def raw(row: Row) -> Answers:
    """Completions of several models, ranked by overall score.

    Each aspect's rating is a criterion; the rationales stay in the response's metadata.
    """
    items = read_answers(row.get("completions"), "completions", _completion)
    return Answers(row.get("instruction"), with_ranks(items), judge_id=JUDGE)


def _completion(given: Mapping[str, Any]) -> Answer:
    annotations = given.get("annotations")
    aspects = annotations if isinstance(annotations, Mapping) else {}
    ratings = {name: _rating(aspect, name) for name, aspect in aspects.items()}
    return Answer(
        given.get("response"),
        policy=given.get("model"),
        score=cells.number(given.get("overall_score"), "overall_score"),
        ratings={name: rating for name, rating in ratings.items() if rating is not None},
        metadata=cells.other_columns(given, _READ),
    )


def _rating(aspect: Any, name: str) -> float | None:
    """An aspect's rating; null where the set itself says N/A."""
    if aspect is None:
        return None
    if not isinstance(aspect, Mapping):
        raise BadRow(f"annotations: {name} holds {cells.kind_of(aspect)}, not a struct")
    given = aspect.get("Rating")
    if isinstance(given, str) and given.strip().upper() == "N/A":
        return None
    return cells.number(given, f"the rating of {name}")


@layout(
    "UltraFeedback binarized",
    "prompt chosen rejected score_chosen score_rejected",
    knows="messages",
    keeps="prompt_id",
)
def binarized(row: Row) -> Row:
    """A pair with the score of each side; equal scores are a tie."""
    return with_scores(trl.explicit(row), row, ("score_chosen", "score_rejected"))
