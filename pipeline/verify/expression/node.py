"""What an expression is made of."""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Node:
    """A part of an expression.

    kind: num, mixed, sci, base (numbers, with their value); sym, text (with their name); add, neg,
        mul, div, pow, fn, fact (arithmetic); pm, mp (two signs); unit (of a measure, with its
        name); seq (with its brackets), set, list, matrix (with its shape); rel, setop (with
        operators).
    """

    kind: str
    parts: tuple["Node", ...] = ()
    name: str = ""
    value: Fraction | None = None


def number(value: Fraction | int, kind: str = "num") -> Node:
    """A number as it was written."""
    return Node(kind, value=Fraction(value))


def has_kind(node: Node, *kinds: str) -> bool:
    """True where the node, or a part of it, is of one of the kinds."""
    return node.kind in kinds or any(has_kind(part, *kinds) for part in node.parts)


def negative(value: Node) -> Node:
    """The value with the other sign; a unit stays outside."""
    if value.kind == "unit":
        return Node("unit", (negative(value.parts[0]),), value.name)
    return Node("neg", (value,))
