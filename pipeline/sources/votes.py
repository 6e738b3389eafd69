"""Rows of `votes` from what a row of a file says of a pair, always in both orders."""

from typing import Any

from pipeline import cells
from pipeline.cells import BadRow, Row
from pipeline.engine.base import Reject
from pipeline.ids import content_id
from pipeline.sources import single_scores
from pipeline.sources.besides import besides_of
from pipeline.sources.labels import verdict

JUDGEMENTS = ("p_first", "verdict", "first_score", "second_score")


def votes_of(row: Row, pair: Row, first: str) -> list[Row]:
    """The row's judgements of a pair; none for a pair that only has a label.

    Args:
        row: in our columns, perhaps with judgements that know no order (see besides.py).
        pair: its row of `recorded_pairs`.
        first: the id of the side that the row calls first.

    Raises:
        BadRow: neither a judgement nor a label, or one that cannot be read.
    """
    second = pair["second_id"] if first == pair["first_id"] else pair["first_id"]
    found = [
        vote
        for given in besides_of(row).votes
        for vote in _without_order(given, pair, (first, second))
    ]
    if cells.identifier(row.get("judge_id"), "judge_id") is not None:
        return [*found, *_judged(row, pair, (first, second))]
    if pair["label"] is None and not found:
        raise BadRow("neither a judge_id nor a label")
    if said := [name for name in JUDGEMENTS if not cells.is_blank(row.get(name))]:
        raise BadRow(f"{' and '.join(said)} without a judge_id: nobody said it")
    return found


def _judged(row: Row, pair: Row, sides: tuple[str, str]) -> list[Row]:
    """The judgement of the row's own columns; in both orders where it holds two scores."""
    scores = [row.get("first_score"), row.get("second_score")]
    if all(map(cells.is_blank, scores)):
        return [_vote(row, pair, sides, _said(row))]
    return _scored(row, pair, sides)


def _without_order(given: Row, pair: Row, sides: tuple[str, str]) -> list[Row]:
    """A judgement that knows no order, as two votes that agree."""
    p = cells.share(given.get("p_first"), "p_first")
    if p is None:
        return _scored(given, pair, sides)
    # Stored as two scores, whose position is unknown: a position bias cannot be read from it.
    return [
        _vote(given, pair, sides, p, (p, 1 - p)),
        _vote(given, pair, sides[::-1], 1 - p, (1 - p, p)),
    ]


def _scored(row: Row, pair: Row, sides: tuple[str, str]) -> list[Row]:
    """Two scores, each a number or several draws of it."""
    first, second = (
        single_scores.numbers(row.get(f"{side}_score"), f"{side}_score")
        for side in ("first", "second")
    )
    p = single_scores.above(first, second)
    means = (sum(first) / len(first), sum(second) / len(second))
    return [
        _vote(row, pair, sides, p, means),
        _vote(row, pair, sides[::-1], 1 - p, means[::-1]),
    ]


def _said(row: Row) -> float:
    """P(first is better) as a probability, or as a verdict."""
    share = cells.share(row.get("p_first"), "p_first")
    if share is None:
        return verdict(row.get("verdict"))
    if cells.is_blank(row.get("verdict")):
        return share
    if (share - 0.5) * (verdict(row["verdict"]) - 0.5) < 0:
        raise BadRow("its p_first and its verdict contradict each other")
    return share


def _vote(
    row: Row,
    pair: Row,
    shown: tuple[str, str],
    p: float,
    scores: tuple[float, float] | None = None,
) -> Row:
    judge_id = cells.identifier(row["judge_id"], "judge_id")
    criterion = cells.identifier(row.get("criterion"), "criterion") or "overall"
    first, second = shown
    return {
        "vote_id": content_id(
            judge_id, criterion, "recorded", pair["origin"], pair["prompt_id"], first, second
        ),
        "prompt_id": pair["prompt_id"],
        "first_id": first,
        "second_id": second,
        "judge_id": judge_id,
        "criterion": criterion,
        "method": "scores" if scores else "pairwise",
        "p_first": p,
        "score_first": scores[0] if scores else None,
        "score_second": scores[1] if scores else None,
        "source": "recorded",
        "origin": pair["origin"],
        "tokens": 0,
        "_where": pair["_where"],
        "_rows": pair["_rows"],
    }


def in_both_orders(voted: list[Row]) -> tuple[list[Row], list[Reject]]:
    """Votes whose other order is there too; repeated and lonely ones are rejected."""
    seen: dict[str, Row] = {}
    rejects: list[Reject] = []
    for vote in voted:
        first = seen.setdefault(vote["vote_id"], vote)
        if first is not vote:
            where = first["_where"]
            reason = f"the same judge judged this ordered pair in {where}{cells.REPEAT}"
            rejects.append(_reject(vote, reason))
    orders = {_order(vote, "first_id", "second_id") for vote in seen.values()}
    kept: list[Row] = []
    for vote in seen.values():
        if _order(vote, "second_id", "first_id") in orders:
            kept.append(vote)
        else:
            reason = "one order is missing: the same pair with its responses exchanged"
            rejects.append(_reject(vote, reason))
    return kept, rejects


def _order(vote: Row, first: str, second: str) -> tuple[Any, ...]:
    return tuple(vote[key] for key in ("judge_id", "criterion", "prompt_id", first, second))


def _reject(vote: Row, reason: str) -> Reject:
    return Reject("votes", "import", vote["_where"], reason, without_place(vote))


def without_place(row: Row) -> Row:
    """A row of a table, without what is known of where it came from."""
    return {name: value for name, value in row.items() if not name.startswith("_")}
