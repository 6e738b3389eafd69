"""Imported judgements: votes, and pairs with a known better side, from a file's rows.

One row is one judgement of one ordered pair, or a labelled pair without one. Columns (others are ignored):

- which pair: prompt and first and second (texts), or first_id and second_id (ids of this lake's responses, of an
  earlier import, or of an earlier row of this file; see names.py); prompt may be a text or a list of chat turns. Beside
  prompt and text an id is a name for that text, unless it is that of this lake's response to that very prompt;
- the judgement: judge_id with p_first (a probability) or verdict (first, second or tie; also A, B, A>B, A>>B, ...),
  or with first_score and second_score (each a number, or a list of several draws; they have no seat, so that one row
  holds both orders);
- criterion, label (first, second, tie, or the share of annotators for the first), first_policy, second_policy.

A file of single scores (prompt, response, judge_id, score) becomes the pairs of each prompt: see scored.py.
Rows of LLMBar, JudgeBench (pairs) and PandaLM are recognised by their columns: see layouts.py. JudgeBench's verdicts
name their pairs by id, so that the pairs have to be imported first: see verdicts.py.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from pipeline import tables
from pipeline.engine.base import Reject
from pipeline.errors import OrchardError
from pipeline.ids import content_id
from pipeline.judge import scored, verdicts
from pipeline.judge.layouts import PANDALM, VERDICTS, BadRow, Row, annotators, layout, verdict
from pipeline.judge.names import Names, Place


@dataclass(frozen=True)
class Recorded:
    """What a file holds: rows of `votes` and of `recorded_pairs`, and what was rejected."""

    votes: pl.DataFrame
    pairs: pl.DataFrame
    rejects: list[Reject] = field(default_factory=list)


def read(rows: Iterable[tuple[int, Row]], columns: list[str], origin: str, names: Names) -> Recorded:
    """Votes and pairs of a file.

    Args:
        rows: numbered rows with named columns, as `pipeline.prompts.files.read` gives them.
        columns: all the file's columns.
        origin: the file's name.
        names: the responses that a row may name by id alone; those of the file are added.

    Raises:
        OrchardError: the columns tell neither a pair nor a judgement, or no row could be used.
    """
    rows, columns, rejects = _one_judgement_a_row(list(rows), columns, origin)
    brought = layout(columns, origin)
    voted: list[Row] = []
    pairs: dict[str, Row] = {}
    for number, raw in rows:
        try:
            row = brought(raw)
            pair, shown_first = _pair(row, origin, names)
            pair = _with_label(pairs.get(pair["pair_id"]), pair)
            votes_ = _votes(row, pair, shown_first, f"{origin} row {number}")
        except BadRow as error:
            rejects.append(Reject("votes", "import", f"{origin} row {number}", str(error), raw))
            continue
        names.add(pair)
        pairs[pair["pair_id"]] = pair
        voted += votes_
    votes, lonely = _with_both_orders(voted)
    rejects += lonely
    voted_on = {(vote["first_id"], vote["second_id"]) for vote in votes}
    used = [p for p in pairs.values() if p["label"] is not None or (p["first_id"], p["second_id"]) in voted_on]
    if not used:
        first = f": {rejects[0].row_id}: {rejects[0].reason}" if rejects else ""
        raise OrchardError(f"{origin}: no row could be used{first}")
    return Recorded(
        pl.DataFrame(votes, schema=tables.empty("votes").schema),
        pl.DataFrame(used, schema=tables.empty("recorded_pairs").schema),
        rejects,
    )


def _one_judgement_a_row(
    rows: list[tuple[int, Row]], columns: list[str], origin: str
) -> tuple[list[tuple[int, Row]], list[str], list[Reject]]:
    """Rows and columns of files that hold several judgements in a row, or single scores, brought into ours."""
    named = verdicts.judges(rows)
    if named:
        return verdicts.expanded(rows, named), verdicts.COLUMNS, []
    if PANDALM <= set(columns):
        return annotators(rows), columns, []
    return scored.pairs(rows, origin) if scored.COLUMNS <= set(columns) else (rows, columns, [])


def _pair(row: Row, origin: str, names: Names) -> tuple[Row, str]:
    """The unordered pair of a row (its first is the side with the smaller id), and which id was shown first."""
    messages = _messages(row.get("prompt"))
    asked = content_id(messages) if messages else None
    texts = {side: _text(row.get(side), side) for side in ("first", "second")}
    given = {side: _name(row.get(f"{side}_id")) for side in ("first", "second")}
    found = {side: _response(side, given[side], asked, texts[side], origin, names) for side in ("first", "second")}
    ids = {side: response_id for side, (_, response_id) in found.items()}
    if ids["first"] == ids["second"] or (texts["first"] is not None and texts["first"] == texts["second"]):
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
        "first_policy": _name(row.get(f"{a}_policy")),
        "second_policy": _name(row.get(f"{b}_policy")),
        "label": label if label is None or a == "first" else 1 - label,
        "origin": origin,
    }
    return pair, ids["first"]


def _with_label(known: Row | None, pair: Row) -> Row:
    """The pair as an earlier row knows it, with what this row adds."""
    if known is None:
        return pair
    if None not in (known["label"], pair["label"]) and known["label"] != pair["label"]:
        raise BadRow("its label contradicts that of an earlier row of the same pair")
    return {name: pair[name] if value is None else value for name, value in known.items()}


def _response(side: str, name: str | None, asked: str | None, text: str | None, origin: str, names: Names) -> Place:
    """The response on that side by what the row gives of it: its name, the hash of the prompt's turns, its text."""
    own = None if name is None else names.own(name, asked)
    if own is not None:
        return own
    if asked is not None and text is not None:
        return asked, content_id(asked, text) if name is None else content_id(origin, asked, name)
    if name is None:
        raise BadRow(f"no {side} response: give prompt and {side}, or {side}_id")
    found = names.imported(name, asked)
    if found is None:
        raise BadRow(f"unknown id {name!r} in {side}_id: no such response here, and the row gives no prompt and texts")
    return found


def _votes(row: Row, pair: Row, first: str, where: str) -> list[Row]:
    """The row's judgement; none for a pair that only has a label, and both orders where it holds two scores."""
    if row.get("judge_id") in (None, ""):
        if pair["label"] is None:
            raise BadRow("neither a judge_id nor a label")
        return []
    second = pair["second_id"] if first == pair["first_id"] else pair["first_id"]
    if row.get("first_score") is None and row.get("second_score") is None:
        p = _probability(row["p_first"]) if row.get("p_first") is not None else verdict(row.get("verdict"))
        return [_vote(row, pair, (first, second), p, where)]
    given = [scored.numbers(row.get(f"{side}_score"), f"{side}_score") for side in ("first", "second")]
    p = scored.above(*given)
    means = (sum(given[0]) / len(given[0]), sum(given[1]) / len(given[1]))
    return [
        _vote(row, pair, (first, second), p, where, means),
        _vote(row, pair, (second, first), 1 - p, where, means[::-1]),
    ]


def _vote(
    row: Row, pair: Row, shown: tuple[str, str], p: float, where: str, scores: tuple[float, float] | None = None
) -> Row:
    judge_id, criterion = str(row["judge_id"]), str(row.get("criterion") or "overall")
    first, second = shown
    return {
        "vote_id": content_id(judge_id, criterion, "recorded", pair["origin"], pair["prompt_id"], first, second),
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
            rejects.append(_reject(vote, f"the same judge judged this ordered pair in {first}: the first one counts"))
        else:
            seen[vote["vote_id"]] = vote
    orders = {(v["judge_id"], v["criterion"], v["prompt_id"], v["first_id"], v["second_id"]) for v in seen.values()}
    kept: list[Row] = []
    for vote in seen.values():
        if (vote["judge_id"], vote["criterion"], vote["prompt_id"], vote["second_id"], vote["first_id"]) in orders:
            kept.append({name: value for name, value in vote.items() if name != "_where"})
        else:
            rejects.append(_reject(vote, "one order is missing: the same pair with its responses exchanged"))
    return kept, rejects


def _reject(vote: Row, reason: str) -> Reject:
    return Reject("votes", "import", vote["_where"], reason, {k: v for k, v in vote.items() if k != "_where"})


def _name(value: Any) -> str | None:
    return None if value in (None, "") else str(value)


def _messages(prompt: Any) -> list[dict[str, str]] | None:
    if prompt is None or prompt == "":
        return None
    if isinstance(prompt, str):
        return [{"role": "user", "content": prompt.strip()}]
    turns = [turn for turn in prompt if isinstance(turn, Mapping)] if isinstance(prompt, list) else []
    if not turns or len(turns) != len(prompt) or not all({"role", "content"} <= set(turn) for turn in turns):
        raise BadRow("prompt is neither a text nor a list of turns with role and content")
    return [{"role": str(turn["role"]), "content": str(turn["content"]).strip()} for turn in turns]


def _text(value: Any, side: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadRow(f"{side} is a {type(value).__name__}, not a text")
    if not value.strip():
        raise BadRow(f"{side} is empty")
    return value.strip()


def _probability(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise BadRow(f"p_first is {value!r}, not a number") from None
    if not (math.isfinite(number) and 0 <= number <= 1):
        raise BadRow(f"p_first is {value}, outside [0, 1]")
    return number


def _label(value: Any) -> float | None:
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.strip().lower() in VERDICTS:
        return verdict(value)
    try:
        share = float(value)
    except (TypeError, ValueError):
        share = math.nan
    if not 0 <= share <= 1:
        raise BadRow(f"label {value!r} is none of first, second and tie, nor a share in [0, 1]")
    return share
