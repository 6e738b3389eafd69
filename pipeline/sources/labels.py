"""What a label says of the two sides of a pair, in the words and numbers that files use."""

from pipeline import cells
from pipeline.cells import BadRow, Rows
from pipeline.errors import OrchardError

# What a verdict says of the first response, as a probability. Graded ones keep their grade: "A>B"
# lies halfway between a tie and "A>>B", our choice. Words without a grade say all that they can.
VERDICTS = {
    **dict.fromkeys(("first", "a", "[[a]]", "a>>b", "[[a>>b]]"), 1.0),
    **dict.fromkeys(("a>b", "[[a>b]]"), 0.75),
    **dict.fromkeys(("tie", "a=b", "[[a=b]]", "[[c]]"), 0.5),
    **dict.fromkeys(("b>a", "[[b>a]]"), 0.25),
    **dict.fromkeys(("second", "b", "[[b]]", "b>>a", "[[b>>a]]"), 0.0),
}
SIDES = {"1": "first", "2": "second", "0": "tie"}  # LLMBar's and PandaLM's numbers


def grade(value: object) -> float | None:
    """P(first is better) of a label or verdict in words; null where it is none of them."""
    return VERDICTS.get(value.strip().lower()) if isinstance(value, str) else None


def grade_of(label: object) -> float | None:
    """The grade of a label such as A>B, which says which side is better and how much; else null."""
    return grade(label) if isinstance(label, str) and ">" in label else None


def verdict(value: object) -> float:
    """P(first is better): 1 for the first, 0 for the second, 0.5 for a tie, or as graded.

    Raises:
        BadRow: none of these.
    """
    found = VERDICTS.get(cells.label(value, "verdict") or "")
    if found is None:
        raise BadRow(f"verdict {value!r} is none of first, second and tie")
    return found


def side(value: object, name: str = "label") -> str | None:
    """first, second or tie for 1, 2 and 0, in whatever type; null where there is none.

    Raises:
        BadRow: another label.
    """
    found = cells.label(value, name)
    if found is not None and found not in SIDES:
        raise BadRow(f"{name} {value!r} is none of 1, 2 and 0")
    return None if found is None else SIDES[found]


def are_sides(rows: Rows, name: str = "label") -> bool:
    """True: the labels of a file are 1 and 2, and perhaps 0 for a tie.

    Raises:
        OrchardError: they are 0 and 1, and never 2, which other files write for the two sides.
    """
    found = {
        str(row[name]).strip().removesuffix(".0") for _, row in rows if row.get(name) is not None
    }
    if {"0", "1"} <= found and "2" not in found:
        raise OrchardError(
            f"its {name} is 0 or 1 and never 2: 0 may be a tie or the first side: "
            "write first, second and tie instead"
        )
    return True


def one_of(value: object, name: str, words: dict[str, float]) -> float | None:
    """What a label means by a layout's own words; null where it is absent.

    Args:
        value: the cell; 1, 1.0 and "1" are the same label.
        name: its column.
        words: label, in lower case -> meaning.

    Raises:
        BadRow: none of these words.
    """
    found = cells.label(value, name)
    if found is not None and found not in words:
        raise BadRow(f"{name} {value!r} is none of {', '.join(words)}")
    return None if found is None else words[found]
