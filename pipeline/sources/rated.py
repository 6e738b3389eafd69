"""Pairs of a chosen and a rejected side with the model and the rating of each: Tulu 3 (Lambert et
al. 2025), RewardBench 1 and Argilla's sets.
"""

from typing import Any

from pipeline import cells
from pipeline.cells import BadRow, Row
from pipeline.sources import trl
from pipeline.sources.besides import BESIDES, Besides
from pipeline.sources.layout import layout

# How files call the two ratings that made one side the chosen one, and the two models.
RATINGS = (
    ("chosen_rating", "rejected_rating"),
    ("chosen-rating", "rejected-rating"),
    ("rating_chosen", "rating_rejected"),
    ("chosen_avg_rating", "rejected_avg_rating"),
)
SCORES = ("chosen_score", "rejected_score")  # of any origin, such as a reward model
MODELS = (("chosen_model", "rejected_model"), ("chosen-model", "rejected-model"))
_EVERY = " ".join(name for names in (*RATINGS, *MODELS, SCORES) for name in names)
_FORMS = [" ".join(names) for names in (*RATINGS, *MODELS, SCORES)]


def with_scores(pair: Row, row: Row, names: tuple[str, str], *, decide: bool = True) -> Row:
    """A pair with what two columns say of its sides; equal numbers make it a tie.

    Args:
        pair: in our columns, chosen first.
        row: of the file.
        names: the columns of the chosen and of the rejected side.
        decide: these numbers made one side the chosen one, so that they cannot say otherwise.

    Raises:
        BadRow: no numbers, or they contradict the sides.
    """
    chosen, rejected = (cells.number(row.get(name), name) for name in names)
    found = {**pair, BESIDES: Besides(scores=(chosen, rejected))}
    if chosen is None or rejected is None:
        return found
    if decide and chosen < rejected:
        raise BadRow(f"{names[0]} is {chosen}, less than {names[1]}, {rejected}")
    return {**found, "label": "tie"} if chosen == rejected else found


def _rated(pair: Row, row: Row) -> Row:
    models = _given(row, MODELS)
    if models is not None:
        pair = {**pair, "first_policy": row.get(models[0]), "second_policy": row.get(models[1])}
    ratings = _given(row, RATINGS)
    kept = {name: row[name] for name in SCORES if not cells.is_blank(row.get(name))}
    if ratings is None:
        return with_scores(pair, row, SCORES, decide=False)
    found = with_scores(pair, row, ratings)
    scores = found[BESIDES].scores
    return {**found, BESIDES: Besides(scores=scores, metadata=kept)}


def _given(row: Row, names: tuple[tuple[str, str], ...]) -> tuple[str, str] | None:
    """The first of these columns that the row fills."""

    def filled(name: str) -> Any:
        return not cells.is_blank(row.get(name))

    return next((two for two in names if any(map(filled, two))), None)


@layout(
    "rated pairs, with a prompt (Tulu 3, Argilla)",
    *(f"prompt chosen rejected {form}" for form in _FORMS),
    knows=_EVERY,
)
def explicit(row: Row) -> Row:
    """A pair with a prompt; equal ratings are a tie."""
    return _rated(trl.explicit(row), row)


@layout(
    "rated pairs, the prompt in both sides (Argilla)",
    *(f"chosen rejected {form}" for form in _FORMS),
    knows=_EVERY,
)
def implicit(row: Row) -> Row:
    """A pair of conversations; equal ratings are a tie."""
    return _rated(trl.implicit(row), row)


@layout(
    "rated responses to an instruction (Argilla)",
    *(f"instruction chosen_response rejected_response {form}" for form in _FORMS),
    knows=_EVERY,
)
def instruction(row: Row) -> Row:
    """A pair in the columns of Argilla's first UltraFeedback set."""
    sides = {"chosen": row.get("chosen_response"), "rejected": row.get("rejected_response")}
    return _rated(trl.explicit({"prompt": row.get("instruction"), **sides}), row)
