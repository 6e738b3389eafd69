"""Rows of `recorded_pairs` from a row of a file in our columns."""

from dataclasses import dataclass
from typing import Any

from pipeline import cells
from pipeline.cells import BadRow, Row
from pipeline.conversation import beginning_of
from pipeline.folding import folded
from pipeline.ids import content_id
from pipeline.prompts.turns import Messages, read_prompt
from pipeline.sources.besides import besides_of
from pipeline.sources.labels import grade
from pipeline.sources.names import Names, Place
from pipeline.sources.texts import response_text

SIDES = ("first", "second")


@dataclass(frozen=True)
class From:
    """Where a row came from: its file, its place for people, the numbers of its rows there."""

    origin: str
    where: str
    rows: tuple[int, ...]


@dataclass(frozen=True)
class _Side:
    """One side of a pair, read."""

    prompt_id: str
    response_id: str
    text: str | None
    name: str | None  # the id that the file gives it
    policy: str | None
    score: float | None

    def columns(self, side: str) -> Row:
        """Its columns of `recorded_pairs`, as the first or second side."""
        return {
            f"{side}_id": self.response_id,
            side: self.text,
            f"{side}_name": self.name,
            f"{side}_policy": self.policy,
            f"{side}_score": self.score,
        }


def pair_of(row: Row, place: From, names: Names) -> tuple[Row, str]:
    """The unordered pair of a row (its first is the side with the smaller id), and the id that
    the row calls first.

    Raises:
        BadRow: equal sides, sides of different prompts, or a cell that cannot be read.
    """
    messages = read_prompt(row.get("prompt"), "prompt", begun=True)
    scores = dict(zip(SIDES, besides_of(row).scores, strict=True))
    first, second = (
        _side(row, side, messages, scores[side], place.origin, names) for side in SIDES
    )
    if first.response_id == second.response_id or _same(first.text, second.text):
        raise BadRow("identical responses")
    if first.prompt_id != second.prompt_id:
        raise BadRow("the two responses belong to different prompts")
    a, b = sorted((first, second), key=lambda side: side.response_id)
    pair = {
        "pair_id": content_id(place.origin, a.prompt_id, a.response_id, b.response_id),
        "prompt_id": a.prompt_id,
        "messages": messages,
        **a.columns("first"),
        **b.columns("second"),
        **_labelled(row, exchanged=a is second),
        "origin": place.origin,
        "_where": place.where,
        "_rows": place.rows,
    }
    return pair, first.response_id


def _side(
    row: Row, side: str, messages: Messages | None, score: Any, origin: str, names: Names
) -> _Side:
    """One side of a row, which answers these turns or goes on with the last of them."""
    asked = content_id(messages) if messages else None
    text = response_text(row.get(side), side)
    if text and beginning_of(messages):
        text = row[side][: len(row[side]) - len(row[side].lstrip())] + text
    name = cells.identifier(row.get(f"{side}_id"), f"{side}_id")
    prompt_id, response_id = _response(side, name, asked, text, origin, names)
    policy = cells.identifier(row.get(f"{side}_policy"), f"{side}_policy")
    number = cells.number(score, f"the score of the {side}")
    return _Side(prompt_id, response_id, text, name, policy, number)


def _labelled(row: Row, *, exchanged: bool) -> Row:
    """A row's label, and by whom it is; `exchanged`: the pair's first is the row's second."""
    label = label_of(row.get("label"))
    if label is not None and exchanged:
        label = 1 - label
    by = cells.identifier(besides_of(row).labelled_by, "who labelled it")
    return {"label": label, "_said": {} if by is None or label is None else {by: label}}


def with_earlier(known: Row | None, pair: Row, *, repeats: bool) -> Row:
    """The pair as an earlier row knows it, with what this row adds.

    Labels of several annotators, each named, become their mean.

    Raises:
        BadRow: labels that contradict each other; a row that adds nothing, where it may repeat.
    """
    if known is None:
        return pair
    said = {**pair["_said"], **known["_said"]}
    if len(said) > len(known["_said"]) > 0:
        return {**known, "_said": said, "label": sum(said.values()) / len(said)}
    by = next(iter(pair["_said"]), None)
    agreed = known["_said"].get(by, known["label"])
    if None not in (agreed, pair["label"]) and agreed != pair["label"]:
        raise BadRow("its label contradicts that of an earlier row of the same pair")
    if repeats and not adds(known, pair):
        raise BadRow(f"the same labelled pair as {known['_where']}{cells.REPEAT}")
    return {name: pair[name] if value is None else value for name, value in known.items()}


def adds(known: Row | None, pair: Row) -> bool:
    """Whether a row says of a pair what no earlier one said."""
    if known is None or pair["_said"].keys() - known["_said"].keys():
        return True
    return any(known[name] is None for name, value in pair.items() if value is not None)


def _same(one: str | None, other: str | None) -> bool:
    """Whether two texts look the same; capitals and white space count."""
    return one is not None and other is not None and folded(one) == folded(other)


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


def label_of(value: Any) -> float | None:
    """The share of the annotators for the first: 1, 0 or 0.5 for a word, whatever its grade.

    Raises:
        BadRow: no such label.
    """
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
