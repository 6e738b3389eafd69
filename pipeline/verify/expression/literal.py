"""Numbers as they are written: which expressions are one number, and how it is stored."""

from fractions import Fraction

from pipeline.verify.expression.compare import concluded
from pipeline.verify.expression.node import Node


def literal(node: Node) -> Fraction | None:
    """The number that is written: with a sign, as a fraction, in scientific form, with a unit.

    None for what nobody worked out (4 + 3, 10^5, 4210_5) and for all that is no number. Of
    'x = 7' and '4 + 3 = 7' it is the last side.
    """
    if node.kind == "rel":
        side = concluded(node)
        return None if side.kind == "rel" else literal(side)
    if node.kind == "unit":
        return literal(node.parts[0])
    if node.kind == "neg":
        value = literal(node.parts[0])
        return None if value is None else -value
    if node.kind == "div":
        return _quotient(node)
    return node.value if node.kind in ("num", "mixed", "sci") else None


def written(value: Fraction) -> str:
    """A number as it is stored: an integer, a finite decimal or a reduced fraction."""
    rest, places = value.denominator, 0
    while rest % 10 == 0:
        rest, places = rest // 10, places + 1
    for factor in (2, 5):
        while rest % factor == 0:
            rest, places = rest // factor, places + 1
    if rest != 1 or value.denominator == 1:
        return str(value)  # an integer, or a fraction without a finite decimal
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}".rstrip("0")


def _quotient(node: Node) -> Fraction | None:
    """A fraction of two written numbers; none of its sides may be a fraction itself."""
    over, under = node.parts
    signs = 1
    while over.kind == "neg":
        over, signs = over.parts[0], -signs
    while under.kind in ("neg", "unit"):
        if under.kind == "unit" and under.name == "degree":
            return None
        signs = -signs if under.kind == "neg" else signs
        under = under.parts[0]
    over = over.parts[0] if over.kind == "unit" and over.name == "money" else over
    if over.kind != "num" or under.kind != "num" or not under.value or over.value is None:
        return None
    return signs * over.value / under.value
