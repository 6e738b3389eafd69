"""What a section of the report is made of: plain data, which one template turns into a page."""

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from pipeline.config import Settings
from pipeline.store.reader import Reader

Cell = Any  # a string, a number, true or false, or null
UNKNOWN = "–"


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    items: Sequence[str]


@dataclass(frozen=True)
class Table:
    """A table with a caption; the first cell of a row heads it.

    `formats` are format specifications of columns with numbers, such as "+.3f"; null is shown as a
    dash.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    formats: Mapping[str, str] = field(default_factory=dict)

    @property
    def numeric(self) -> list[bool]:
        """Per column: every known cell is a number (it is set flush right)."""
        known = [
            [row[i] for row in self.rows if row[i] is not None] for i in range(len(self.columns))
        ]
        return [bool(cells) and all(_is_number(cell) for cell in cells) for cells in known]

    @property
    def cells(self) -> list[list[str]]:
        """The rows as they are shown."""
        return [
            [self._shown(name, cell) for name, cell in zip(self.columns, row, strict=True)]
            for row in self.rows
        ]

    def _shown(self, column: str, cell: Cell) -> str:
        if cell is None:
            return UNKNOWN
        if isinstance(cell, bool):
            return "yes" if cell else "no"
        if isinstance(cell, str):
            return cell
        return format(cell, self.formats.get(column, "," if isinstance(cell, int) else ".3f"))


@dataclass(frozen=True)
class Picture:
    """A plot, what it says in words, and its figures as a table:
    who cannot see it loses nothing.
    """

    figure: Figure
    alt: str
    data: Table | None = None  # null: a table of the same section holds them, and `alt` says which

    @property
    def svg(self) -> str:
        """The plot as base64 of SVG; equal plots give equal text."""
        buffer = io.BytesIO()
        with matplotlib.rc_context({"svg.hashsalt": "orchard"}):
            self.figure.savefig(buffer, format="svg", metadata={"Date": None})
        return base64.b64encode(buffer.getvalue()).decode()


Block = Text | Bullets | Table | Picture


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    title: str
    blocks: Sequence[Block]


MakeSection = Callable[[Reader, Settings], Section | None]  # null: the lake holds nothing to show


def _is_number(cell: Cell) -> bool:
    return isinstance(cell, (int, float)) and not isinstance(cell, bool)
