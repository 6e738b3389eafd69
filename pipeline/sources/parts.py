"""Parts of a source, such as the splits of a data set or the files of a folder, and their rows."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pipeline.errors import OrchardError

Row = dict[str, Any]
Numbered = tuple[int, Row]
# The rows of one part up to a number (null: all), counted from 1; and its columns.
ReadRows = Callable[[int | None], tuple[list[Numbered], list[str]]]


class RowNumber(int):
    """The number of a row in its whole source; as text it says where in its part the row stands.

    Every reader writes "{origin} row {number}": of row 3 of the split train that makes
    "uf row 3 of train", and two parts have no number twice.
    """

    shown: str

    def __new__(cls, number: int, shown: str) -> "RowNumber":
        """A number, and its text."""
        made = super().__new__(cls, number)
        made.shown = shown
        return made

    def __str__(self) -> str:
        return self.shown


@dataclass(frozen=True)
class Part:
    """Rows of a source that belong together: a file of a folder, or a split.

    name: such as "train" or "english/train"; "" where the source is one file. rows: numbered from 1
    over the whole source, see `RowNumber`. columns: all that the rows have.
    """

    name: str
    rows: list[Numbered]
    columns: list[str]


def read_parts(found: Iterable[tuple[str, ReadRows]], limit: int | None) -> list[Part]:
    """The parts of a source, with at most `limit` rows in all; what lies behind is not read."""
    parts: list[Part] = []
    before = 0
    for name, read in found:
        rows, columns = read(None if limit is None else limit - before)
        parts.append(Part(name, _named(rows, name, before), columns))
        before += len(rows)
        if before == limit:  # asking for the next part may open it
            break
    return parts


def _named(rows: list[Numbered], part: str, before: int) -> list[Numbered]:
    """Rows numbered on from those of earlier parts."""
    if not part:
        return rows
    return [
        (RowNumber(before + at, f"{number} of {part}"), row)
        for at, (number, row) in enumerate(rows, start=1)
    ]


def check_one_layout(parts: Iterable[Part], where: str, layout_of: Callable[[Part], str]) -> None:
    """Checks that all parts of a source have one layout.

    Args:
        parts: the parts; those without rows have any layout.
        where: the source, for people.
        layout_of: the name of a part's layout.

    Raises:
        OrchardError: two parts differ; or what `layout_of` raises.
    """
    layouts = ((part.name, layout_of(part)) for part in parts if part.rows)
    first, layout = next(layouts, ("", ""))
    for name, other in layouts:
        if other != layout:
            raise OrchardError(
                f"{where}: {first} holds {layout}, and {name} {other}: "
                "import them apart, each under a name of its own"
            )


def numbered(rows: Iterable[Row]) -> Iterator[Numbered]:
    """Rows with their numbers from 1."""
    return enumerate(rows, start=1)
