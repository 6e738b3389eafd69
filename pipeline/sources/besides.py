"""What a layout says of a pair beside our columns, under one key that no file's column has."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.cells import Row

BESIDES = "(besides)"


@dataclass(frozen=True)
class Besides:
    """More of a pair than our columns hold.

    Args:
        scores: what the file says of the first and of the second side as a number.
        votes: judgements that know no order, by several people or on several criteria: rows with
            judge_id, criterion, and p_first or first_score and second_score; see votes.py.
        labelled_by: whose label it is, where several may label one pair; null: the file's.
        grade: P(first is better) of a graded label; the label itself says only which side is.
        metadata: what else is kept of the pair.
        tells_sides: metadata or other columns speak of the first or second side of the file; its
            first one's id is then kept as `first_of_file`, since a pair's sides go by their ids.
    """

    scores: tuple[Any, Any] = (None, None)
    votes: Sequence[Row] = ()
    labelled_by: Any = None
    grade: float | None = None
    metadata: Row = field(default_factory=dict)
    tells_sides: bool = False


def besides_of(row: Row) -> Besides:
    """What a row of our columns has besides them; nothing where its layout added nothing."""
    found = row.get(BESIDES)
    return found if isinstance(found, Besides) else Besides()
