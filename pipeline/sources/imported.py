"""What a file of preference data becomes: pairs, single responses and votes, or rejects.

One row of a file is one pair with a label, or a judgement of one, or both; or it holds several
responses to one prompt (see answers.py). Our columns, which every layout brings its rows into
(others are kept as metadata, but those that would change the prompt are an error):

- which pair: prompt and first and second (texts), or first_id and second_id (ids of this lake's
  responses, of an earlier import, or of an earlier row of this file; see names.py); prompt may be a
  text or a list of chat turns. Beside prompt and text an id is a name for that text, unless it is
  that of this lake's response to that very prompt;
- the judgement: judge_id with p_first (a probability) or verdict (first, second or tie; also A, B,
  A>B, A>>B, ..., whose grade p_first keeps), or with first_score and second_score (each a number,
  or a list of several draws; they have no position, so that one row holds both orders);
- criterion, label (first, second, tie, or the share of annotators for the first), first_policy,
  second_policy.

A layout may add what besides.py lists, such as a score of each side and votes of several people.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from pipeline import cells, tables
from pipeline.cells import BadRow, Row
from pipeline.conversation import TOOLS
from pipeline.engine.base import Reject
from pipeline.errors import OrchardError
from pipeline.prompts.record import to_json
from pipeline.prompts.turns import read_prompt
from pipeline.sources.answers import Answers
from pipeline.sources.besides import besides_of
from pipeline.sources.labels import grade_of
from pipeline.sources.layout import Gathered, Layout, recognise
from pipeline.sources.names import Names
from pipeline.sources.pairs import From, adds, pair_of, with_earlier
from pipeline.sources.responses import pairs_of_ranks, response_rows
from pipeline.sources.votes import in_both_orders, votes_of, without_place

Read = tuple[Row, list[Row]]  # a pair, and the votes on it


@dataclass(frozen=True)
class Imported:
    """What a file holds.

    Args:
        votes: rows of `votes`.
        pairs: rows of `recorded_pairs`.
        responses: rows of `recorded_responses`.
        rejects: what was left out, and why.
        layout: the name of the file's layout.
        rows: rows of the file.
        gave: rows that gave a pair, a response or a vote.
        repeats: rows that only say what earlier ones say; all others are rejected.
        ties: pairs of equally good responses, those of a list that are no pair included.
    """

    votes: pl.DataFrame
    pairs: pl.DataFrame
    responses: pl.DataFrame
    rejects: list[Reject]
    layout: str
    rows: int
    gave: int
    repeats: int
    ties: int

    @property
    def prompts(self) -> int:
        """How many prompts the pairs and responses have."""
        return len({*self.pairs["prompt_id"], *self.responses["prompt_id"]})

    @property
    def rejected(self) -> int:
        """Rows that gave nothing, and are no repeats."""
        return self.rows - self.gave - self.repeats


def read(
    rows: Iterable[tuple[int, Row]], columns: list[str], origin: str, names: Names
) -> Imported:
    """Pairs, responses and votes of a file.

    Args:
        rows: numbered rows with named columns, as `pipeline.prompts.files.read` gives them.
        columns: all the file's columns.
        origin: the file's name.
        names: the responses that a row may name by id alone; those of the file are added.

    Raises:
        OrchardError: the columns tell neither a pair nor a judgement, or no row could be used.
    """
    numbered = list(rows)
    with cells.of_all_rows(f"{origin}: its layout cannot be told"):
        layout = recognise(numbered, columns, origin)
    if layout.read is None:
        raise OrchardError(
            f"{origin}: it holds {layout.name}, and no pairs: import it with `orchard import`"
        )
    made = _Reading(layout, origin, names)
    gathered: list[Gathered] = [((number,), row) for number, row in numbered]
    if layout.spread is not None:
        with cells.of_all_rows(f"{origin}: its rows, as {layout.name}, cannot be parted"):
            gathered, made.rejects = layout.spread(numbered, origin)
    for numbers, row in gathered:
        made.take(numbers, row)
    return made.result([number for number, _ in numbered])


@dataclass
class _Reading:
    """What the rows of a file have given so far."""

    layout: Layout
    origin: str
    names: Names
    rejects: list[Reject] = field(default_factory=list)
    votes: list[Row] = field(default_factory=list)
    pairs: dict[str, Row] = field(default_factory=dict)
    responses: dict[str, Row] = field(default_factory=dict)
    ties: int = 0

    def take(self, numbers: tuple[int, ...], raw: Row) -> None:
        """One row, or one that was made of several."""
        place = From(self.origin, f"{self.origin} row {numbers[-1]}", numbers)
        try:
            row = cells.attempt(_brought, raw, self.layout)
            if isinstance(row, Answers):
                self._answers(row, place, raw)
            else:
                self._pair(row, place, raw)
        except BadRow as bad:
            self.rejects.append(Reject("votes", "import", place.where, str(bad), raw))

    def _answers(self, answers: Answers, place: From, raw: Row) -> None:
        more = _other_columns(raw, self.layout)
        placed, rejects = cells.attempt(response_rows, answers, place, more)
        self.rejects += rejects
        for answer, row in list(placed):
            try:
                self._response(row)
            except BadRow as bad:
                self.rejects.append(
                    Reject("recorded_responses", "import", row["_where"], str(bad), raw)
                )
                placed.remove((answer, row))
        pairs, ties = pairs_of_ranks(answers, placed)
        self.ties += ties
        for pair, numbers in pairs:
            own = From(place.origin, place.where, numbers)
            try:
                self._pair(pair, own, {})
            except BadRow as bad:
                self.rejects.append(Reject("recorded_pairs", "import", own.where, str(bad), pair))

    def _response(self, row: Row) -> None:
        known = self.responses.setdefault(row["response_id"], row)
        if known is row:
            return
        says = ("list_id", "rank", "desirable", "score")
        if any(known[name] != row[name] for name in says):
            raise BadRow(
                f"{known['_where']} says something else of the same response to the same prompt"
            )
        raise BadRow(f"the same response as in {known['_where']}{cells.REPEAT}")

    def _pair(self, row: Row, place: From, raw: Row) -> None:
        pair, votes = cells.attempt(_read_row, row, raw, self.layout, place, self.names)
        known = self.pairs.get(pair["pair_id"])
        merged = with_earlier(known, pair, repeats=not votes)
        if known is not None and adds(known, pair):
            merged["_rows"] = (*known["_rows"], *pair["_rows"])
        self.names.add(merged)
        self.pairs[pair["pair_id"]] = merged
        self.votes += votes

    def result(self, numbers: list[int]) -> Imported:
        """All that was taken.

        Raises:
            OrchardError: nothing.
        """
        votes, lonely = in_both_orders(self.votes)
        self.rejects += lonely
        voted_on = {(vote["first_id"], vote["second_id"]) for vote in votes}
        used = [
            pair
            for pair in self.pairs.values()
            if pair["label"] is not None or (pair["first_id"], pair["second_id"]) in voted_on
        ]
        responses = list(self.responses.values())
        if not used and not responses:
            raise OrchardError(f"{self.origin}: no row could be used{_first(self.rejects)}")
        gave = {number for row in (*used, *votes, *responses) for number in row["_rows"]}
        return Imported(
            votes=_frame("votes", votes),
            pairs=_frame("recorded_pairs", used),
            responses=_frame("recorded_responses", responses),
            rejects=self.rejects,
            layout=self.layout.name,
            rows=len(numbers),
            gave=len(gave),
            repeats=len(self._repeated(numbers) - gave),
            ties=self.ties + sum(pair["label"] == 0.5 for pair in used),
        )

    def _repeated(self, numbers: list[int]) -> set[int]:
        """Rows of which nothing was left out but repeats."""
        named = {f"{self.origin} row {number}": number for number in numbers}
        repeats = {one.row_id for one in self.rejects if cells.is_repeat(one.reason)}
        others = {one.row_id for one in self.rejects if not cells.is_repeat(one.reason)}
        return {named[where] for where in repeats - others if where in named}


def _brought(raw: Row, layout: Layout) -> Row | Answers:
    cells.check_row(raw)
    assert layout.read is not None
    row = layout.read(raw)
    tools = raw.get(TOOLS) if TOOLS in layout.columns else None
    if cells.is_blank(tools):
        return row
    if isinstance(row, Answers):
        return replace(row, prompt=read_prompt(row.prompt, "prompt", tools))
    return {**row, "prompt": read_prompt(row.get("prompt"), "prompt", tools, begun=True)}


def _read_row(row: Row, raw: Row, layout: Layout, place: From, names: Names) -> Read:
    """The pair and the votes of a row in our columns, and the row that they are of."""
    pair, shown_first = pair_of(row, place, names)
    besides = besides_of(row)
    more = {**_other_columns(raw, layout), **besides.metadata}
    graded = besides.grade if besides.grade is not None else grade_of(row.get("label"))
    if graded is not None:
        more["grade"] = graded if shown_first == pair["first_id"] else 1 - graded
    if more and besides.tells_sides:
        more["first_of_file"] = shown_first
    pair["metadata"] = to_json(more) if more else None
    return pair, votes_of(row, pair, shown_first)


def _other_columns(raw: Row, layout: Layout) -> Row:
    """What the file says besides."""
    if cells.OTHERS in raw:
        others: Row = raw[cells.OTHERS]
        return others
    return cells.other_columns(raw, layout.columns)


def _first(rejects: list[Reject]) -> str:
    return f": {rejects[0].row_id}: {rejects[0].reason}" if rejects else ""


def _frame(table: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(list(map(without_place, rows)), schema=tables.empty(table).schema)
