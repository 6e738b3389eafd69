"""Imported judgements: votes, and pairs with a known better side, from a file's rows.

One row is one judgement of one ordered pair, or a labelled pair without one. Columns (others are
kept as metadata, but those that would change the prompt are an error):

- which pair: prompt and first and second (texts), or first_id and second_id (ids of this lake's
  responses, of an earlier import, or of an earlier row of this file; see names.py); prompt may be a
  text or a list of chat turns. Beside prompt and text an id is a name for that text, unless it is
  that of this lake's response to that very prompt;
- the judgement: judge_id with p_first (a probability) or verdict (first, second or tie; also A, B,
  A>B, A>>B, ..., whose grade p_first keeps), or with first_score and second_score (each a number,
  or a list of several draws; they have no seat, so that one row holds both orders);
- criterion, label (first, second, tie, or the share of annotators for the first), first_policy,
  second_policy.

A file of single scores (prompt, response, judge_id, score) becomes the pairs of each prompt: see
scored.py. Rows of public sets (LLMBar, Alpaca, JudgeBench, PandaLM, TRL) are recognised by their
columns: see layout.py. JudgeBench's verdicts name their pairs by id, so that the pairs have to be
imported first: see verdicts.py.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from pipeline import cells, tables
from pipeline.cells import BadRow, Row
from pipeline.engine.base import Reject
from pipeline.errors import OrchardError
from pipeline.folding import folded
from pipeline.ids import content_id
from pipeline.prompts.record import to_json
from pipeline.prompts.turns import read_prompt
from pipeline.sources import scored
from pipeline.sources.layout import Layout, grade, recognise, verdict
from pipeline.sources.names import Names, Place

JUDGEMENTS = ("p_first", "verdict", "first_score", "second_score")
Read = tuple[Row, list[Row]]  # a pair, and the votes on it


@dataclass(frozen=True)
class Recorded:
    """What a file holds: rows of `votes` and of `recorded_pairs`,
    what was rejected, and its layout's name.
    """

    votes: pl.DataFrame
    pairs: pl.DataFrame
    rejects: list[Reject] = field(default_factory=list)
    layout: str = ""


def read(
    rows: Iterable[tuple[int, Row]], columns: list[str], origin: str, names: Names
) -> Recorded:
    """Votes and pairs of a file.

    Args:
        rows: numbered rows with named columns, as `pipeline.prompts.files.read` gives them.
        columns: all the file's columns.
        origin: the file's name.
        names: the responses that a row may name by id alone; those of the file are added.

    Raises:
        OrchardError: the columns tell neither a pair nor a judgement, or no row could be used.
    """
    rows = list(rows)
    layout = recognise(rows, columns, origin)
    if layout.read is None:
        raise OrchardError(
            f"{origin}: it holds {layout.name}, and no pairs: import it with `orchard import`"
        )
    rows, rejects = (rows, []) if layout.spread is None else layout.spread(rows, origin)
    voted: list[Row] = []
    pairs: dict[str, Row] = {}
    for number, raw in rows:
        where = f"{origin} row {number}"
        try:
            pair, votes_ = cells.attempt(_read_row, raw, layout, (origin, where), names)
            pair = _with_label(pairs.get(pair["pair_id"]), pair, repeats=not votes_)
        except BadRow as error:
            rejects.append(Reject("votes", "import", where, str(error), raw))
            continue
        names.add(pair)
        pairs[pair["pair_id"]] = pair
        voted += votes_
    votes, lonely = _with_both_orders(voted)
    rejects += lonely
    voted_on = {(vote["first_id"], vote["second_id"]) for vote in votes}
    used = [
        p
        for p in pairs.values()
        if p["label"] is not None or (p["first_id"], p["second_id"]) in voted_on
    ]
    if not used:
        first = f": {rejects[0].row_id}: {rejects[0].reason}" if rejects else ""
        raise OrchardError(f"{origin}: no row could be used{first}")
    return Recorded(
        pl.DataFrame(list(map(_without_place, votes)), schema=tables.empty("votes").schema),
        pl.DataFrame(list(map(_without_place, used)), schema=tables.empty("recorded_pairs").schema),
        rejects,
        layout.name,
    )


def _read_row(raw: Row, layout: Layout, place: tuple[str, str], names: Names) -> Read:
    """The pair and the votes of a row, by its file and its place in it."""
    cells.check_row(raw)
    row = {} if layout.read is None else layout.read(raw)
    pair, shown_first = _pair(row, place, names)
    more = raw[cells.OTHERS] if cells.OTHERS in raw else cells.other_columns(raw, layout.columns)
    graded = grade(row.get("label"))
    # the label says which side is better, and not how much
    if graded is not None and ">" in row["label"]:
        more = {**more, "grade": graded if shown_first == pair["first_id"] else 1 - graded}
    pair["metadata"] = to_json(more) if more else None
    return pair, _votes(row, pair, shown_first, place[1])


def _pair(row: Row, place: tuple[str, str], names: Names) -> tuple[Row, str]:
    """The unordered pair of a row (its first is the side with the smaller id),
    and which id was shown first.
    """
    origin, where = place
    messages = read_prompt(row.get("prompt"), "prompt")
    asked = content_id(messages) if messages else None
    texts = {side: _text(row.get(side), side) for side in ("first", "second")}
    given = {
        side: cells.identifier(row.get(f"{side}_id"), f"{side}_id") for side in ("first", "second")
    }
    found = {
        side: _response(side, given[side], asked, texts[side], origin, names)
        for side in ("first", "second")
    }
    ids = {side: response_id for side, (_, response_id) in found.items()}
    if ids["first"] == ids["second"] or _same(texts["first"], texts["second"]):
        raise BadRow("identical responses")
    prompt_id = found["first"][0]
    if prompt_id != found["second"][0]:
        raise BadRow("the two responses belong to different prompts")
    label = _label(row.get("label"))
    a, b = ("first", "second") if ids["first"] < ids["second"] else ("second", "first")
    pair = {
        "pair_id": content_id(origin, prompt_id, ids[a], ids[b]),
        "prompt_id": prompt_id,
        "messages": messages,
        "first_id": ids[a],
        "second_id": ids[b],
        "first": texts[a],
        "second": texts[b],
        "first_name": given[a],
        "second_name": given[b],
        "first_policy": cells.identifier(row.get(f"{a}_policy"), f"{a}_policy"),
        "second_policy": cells.identifier(row.get(f"{b}_policy"), f"{b}_policy"),
        "label": label if label is None or a == "first" else 1 - label,
        "origin": origin,
        "_where": where,
    }
    return pair, ids["first"]


def _same(one: str | None, other: str | None) -> bool:
    """Whether two texts look the same; capitals and white space count."""
    return one is not None and other is not None and folded(one) == folded(other)


def _with_label(known: Row | None, pair: Row, *, repeats: bool) -> Row:
    """The pair as an earlier row knows it, with what this row adds.

    Raises:
        BadRow: labels that contradict each other; a row that adds nothing, where it may repeat.
    """
    if known is None:
        return pair
    if None not in (known["label"], pair["label"]) and known["label"] != pair["label"]:
        raise BadRow("its label contradicts that of an earlier row of the same pair")
    if repeats and all(
        known[name] is not None for name, value in pair.items() if value is not None
    ):
        raise BadRow(f"the same labelled pair as {known['_where']}{cells.REPEAT}")
    return {name: pair[name] if value is None else value for name, value in known.items()}


def _response(
    side: str, name: str | None, asked: str | None, text: str | None, origin: str, names: Names
) -> Place:
    """The response on that side by what the row gives of it:
    its name, the hash of the prompt's turns, its text.
    """
    own = None if name is None else names.own(name, asked)
    if own is not None:
        return own
    if asked is not None and text is not None:
        return asked, content_id(asked, text) if name is None else content_id(origin, asked, name)
    if name is None:
        raise BadRow(f"no {side} response: give prompt and {side}, or {side}_id")
    found = names.imported(name, asked)
    if found is None:
        raise BadRow(
            f"unknown id {name!r} in {side}_id: "
            "no such response here, and the row gives no prompt and texts"
        )
    return found


def _votes(row: Row, pair: Row, first: str, where: str) -> list[Row]:
    """The row's judgement; none for a pair that only has a label,
    and both orders where it holds two scores.
    """
    if cells.identifier(row.get("judge_id"), "judge_id") is None:
        if pair["label"] is None:
            raise BadRow("neither a judge_id nor a label")
        if said := [name for name in JUDGEMENTS if not cells.is_blank(row.get(name))]:
            raise BadRow(f"{' and '.join(said)} without a judge_id: nobody said it")
        return []
    second = pair["second_id"] if first == pair["first_id"] else pair["first_id"]
    if cells.is_blank(row.get("first_score")) and cells.is_blank(row.get("second_score")):
        return [_vote(row, pair, (first, second), _said(row), where)]
    given = [
        scored.numbers(row.get(f"{side}_score"), f"{side}_score") for side in ("first", "second")
    ]
    p = scored.above(*given)
    means = (sum(given[0]) / len(given[0]), sum(given[1]) / len(given[1]))
    return [
        _vote(row, pair, (first, second), p, where, means),
        _vote(row, pair, (second, first), 1 - p, where, means[::-1]),
    ]


def _said(row: Row) -> float:
    """P(first is better) as a probability, or as a verdict."""
    share = cells.share(row.get("p_first"), "p_first")
    if share is None:
        return verdict(row.get("verdict"))
    if (
        not cells.is_blank(row.get("verdict"))
        and (share - 0.5) * (verdict(row["verdict"]) - 0.5) < 0
    ):
        raise BadRow("its p_first and its verdict contradict each other")
    return share


def _vote(
    row: Row,
    pair: Row,
    shown: tuple[str, str],
    p: float,
    where: str,
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
        "_where": where,
    }


def _with_both_orders(voted: list[Row]) -> tuple[list[Row], list[Reject]]:
    """Votes whose other order is there too; repeated and lonely ones are rejected."""
    seen: dict[str, Row] = {}
    rejects: list[Reject] = []
    for vote in voted:
        if vote["vote_id"] in seen:
            first = seen[vote["vote_id"]]["_where"]
            rejects.append(
                _reject(vote, f"the same judge judged this ordered pair in {first}{cells.REPEAT}")
            )
        else:
            seen[vote["vote_id"]] = vote
    orders = {
        (v["judge_id"], v["criterion"], v["prompt_id"], v["first_id"], v["second_id"])
        for v in seen.values()
    }
    kept: list[Row] = []
    for vote in seen.values():
        if (
            vote["judge_id"],
            vote["criterion"],
            vote["prompt_id"],
            vote["second_id"],
            vote["first_id"],
        ) in orders:
            kept.append(vote)
        else:
            rejects.append(
                _reject(vote, "one order is missing: the same pair with its responses exchanged")
            )
    return kept, rejects


def _reject(vote: Row, reason: str) -> Reject:
    return Reject("votes", "import", vote["_where"], reason, _without_place(vote))


def _without_place(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "_where"}


def _text(value: Any, side: str) -> str | None:
    found = cells.text(value, side)
    if found == "":
        raise BadRow(f"{side} is empty")
    return found


def _label(value: Any) -> float | None:
    """The share of the annotators for the first: 1, 0 or 0.5 for a word, whatever its grade."""
    graded = grade(value)
    if graded is not None:
        return 0.5 if graded == 0.5 else float(graded > 0.5)
    written = cells.label(value, "label")
    written = {"true": "1", "false": "0"}.get(written or "", written)
    try:
        return cells.share(written, "label")
    except BadRow:
        raise BadRow(
            f"label {value!r} is none of first, second and tie, nor a share in [0, 1]"
        ) from None
