"""What a layout of files is, registered by name in the file that reads it; which one a file has.

@layout("my pairs", "question good bad")
def my_pairs(row: Row) -> Row:
    return {"prompt": row["question"], "first": row["good"], "second": row["bad"],
            "label": "first"}

A layout is recognised by all of a file's columns. It names those that tell it and those that it
reads; columns of the prompt that it does not read are an error, since the pair would be judged on
another prompt than it answers; all others are kept as metadata. Of two layouts that fit, the one
that knows all that the other would read is taken; if neither does, nothing is guessed.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pipeline import cells
from pipeline.cells import Row, Rows
from pipeline.conversation import TOOLS
from pipeline.engine.base import Reject
from pipeline.errors import OrchardError
from pipeline.extensions import registering
from pipeline.registered import Registry
from pipeline.sources.answers import Answers

OURS = "our own columns"
VOTES = "votes on pairs by id"

Gathered = tuple[tuple[int, ...], Row]  # numbers of a file's rows, and the row made of them
ReadRow = Callable[[Row], Row | Answers]
Reads = TypeVar("Reads", bound=ReadRow)
Spread = Callable[[Rows, str], tuple[list[Gathered], list[Reject]]]


@dataclass(frozen=True)
class Layout:
    """A shape of files.

    Args:
        name: what people call it.
        forms: sets of columns; each alone tells the layout.
        read: brings a row into our columns (see imported.py), or into answers to one prompt;
            null: the file holds votes, see noise/votes.py.
        knows: what it reads besides.
        keeps: what it knows and does not read: kept as metadata.
        spread: brings rows that hold several judgements, or less than one, to one a row.
        fits: a look at the rows, where columns alone do not tell the layout from another.
    """

    name: str
    forms: tuple[frozenset[str], ...]
    read: ReadRow | None
    knows: frozenset[str] = frozenset()
    spread: Spread | None = None
    keeps: frozenset[str] = frozenset()
    fits: Callable[[Rows], bool] | None = None

    @property
    def columns(self) -> frozenset[str]:
        """All that it reads; the tools of a row's prompt are read for every layout alike."""
        tools = {TOOLS} if self.read is not None and self.spread is None else ()
        return self.knows.union(*self.forms, tools)

    @property
    def known(self) -> frozenset[str]:
        """All that it reads or keeps."""
        return self.columns | self.keeps

    def tells(self, names: Iterable[str]) -> bool:
        """Whether these columns hold one of its forms."""
        return any(form <= set(names) for form in self.forms)


LAYOUTS = Registry[Layout]("source layout", "pipeline.sources")


def layout(
    name: str,
    *forms: str,
    knows: str = "",
    keeps: str = "",
    spread: Spread | None = None,
    fits: Callable[[Rows], bool] | None = None,
) -> Callable[[Reads], Reads]:
    """Registers a function (row) -> row of our columns, or answers, as a layout; see Layout.

    Columns are given as one text, with blanks between them.

    Raises:
        OrchardError: another layout has that name.
    """
    module = registering()

    def registered(read: Reads) -> Reads:
        found = Layout(
            name=name,
            forms=tuple(map(columns, forms)),
            read=read,
            knows=columns(knows),
            spread=spread,
            keeps=columns(keeps),
            fits=fits,
        )
        LAYOUTS.add(name, found, module)
        return read

    return registered


def columns(names: str) -> frozenset[str]:
    """Columns by one text, with blanks between them."""
    return frozenset(names.split())


def recognise(rows: Rows, names: Sequence[str], origin: str) -> Layout:
    """The one layout that a file with these rows and columns has.

    Raises:
        OrchardError: none, several, or one that does not know a column of the prompt.
    """
    # A column without contents says nothing. Where too little is left to tell a layout, all columns
    # count: what the rows lack is the better message.
    spoken = {name for name in names if any(not cells.is_blank(row.get(name)) for _, row in rows)}
    have = next((found for found in (spoken, {*names}) if _possible(rows, found)), None)
    if have is None:
        raise OrchardError(_unknown(names, origin))
    best = _best(_fitting(rows, have, origin), have)
    if len(best) > 1:
        both = " and of ".join(one.name for one in best)
        raise OrchardError(f"{origin}: its columns are those of {both}: remove the columns of one")
    if best[0].name == OURS:
        _check_own(have, origin)
    return best[0]


def _possible(rows: Rows, have: set[str]) -> list[Layout]:
    """The layouts of these columns that the rows do not speak against."""
    return [
        one
        for one in LAYOUTS.all().values()
        if one.tells(have) and (one.fits is None or one.fits(rows))
    ]


def _fitting(rows: Rows, have: set[str], origin: str) -> list[Layout]:
    """The layouts that read every column of the prompt."""
    possible = _possible(rows, have)
    unread = {one: found for one in possible if (found := cells.unread_meaning(rows, one.known))}
    fitting = [one for one in possible if one not in unread]
    if fitting:
        return fitting
    nearest = min(unread, key=lambda one: len(unread[one]))
    raise OrchardError(
        f"{origin}: its columns are those of {nearest.name}, "
        f"which does not read {', '.join(unread[nearest])}, "
        "and that changes what a row says: put it into a column that is read, or remove it"
    )


def _best(layouts: list[Layout], have: set[str]) -> list[Layout]:
    """Those without another that knows all that they would read, while they lack some of its.

    Of two that read the same columns, one that has looked at the rows is taken.
    """

    def replaces(one: Layout, other: Layout) -> bool:
        if not other.columns & have <= one.known:
            return False
        more = not one.columns & have <= other.known
        return more or (one.fits is not None and other.fits is None)

    return [one for one in layouts if not any(replaces(other, one) for other in layouts)]


def _unknown(names: Sequence[str], origin: str) -> str:
    """What to do with a file of no known layout, and which one lacks least."""
    lacks = [
        (form - set(names), one.name)
        for one in LAYOUTS.all().values()
        for form in one.forms
        if form & set(names)
    ]
    lacking, name = min(lacks, key=lambda found: len(found[0]), default=(frozenset(), ""))
    missing = ", ".join(sorted(lacking))
    nearest = f"; the nearest known layout, {name}, lacks {missing}" if name else ""
    return (
        f"{origin}: its columns are {', '.join(sorted(names)) or 'none'}: "
        f"name the pair by prompt, first and second (texts), or by first_id and second_id{nearest}"
    )


def _check_own(have: set[str], origin: str) -> None:
    judged = "judge_id" in have and ({"p_first", "verdict", "first_score"} & have)
    if "label" in have or judged:
        return
    missing = "judge_id" if "judge_id" not in have else "p_first or verdict"
    raise OrchardError(
        f"{origin}: column {missing} is missing: "
        "a vote needs judge_id, and p_first, verdict or two scores"
    )
