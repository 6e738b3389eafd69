r"""Whether two expressions are the same, exactly where they are rational.

Others are compared at five points with sixty digits: equal where they differ by less than 1e-40
of their largest summand at every point where both have a value, of which there must be three
(one where there are no letters); our choice. Letters stand for any real number: \sqrt{x^2} is
not x. A decimal that was rounded is another number: 1.41 is not \sqrt{2}.

Sets and lists have no order, tuples, intervals and vectors do. Units are left out. x = 5 is 5,
where the other side is no relation; two equations are equal where one is a multiple of the other.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from pipeline.verify.expression.evaluate import Undefined, approximate, exact, letters, point
from pipeline.verify.expression.node import Node, has_kind

TOLERANCE = 1e-40  # relative to the largest summand
_POINTS = 5
_SCALAR = frozenset("num mixed sci base sym add neg mul div pow fn fact".split())
_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


@lru_cache(maxsize=65536)
def equal(one: Node, other: Node) -> bool:
    """True where the two are the same."""
    one, other = _bare(one), _bare(other)
    if one == other:
        return True
    if "base" in (one.kind, other.kind):
        return False  # who is asked for base 5 has not answered with the decimal number
    if "rel" in (one.kind, other.kind) and (one.kind != other.kind or _says(one) != _says(other)):
        one, other = concluded(one), concluded(other)
        if {one.kind, other.kind} == {"rel", "seq"}:
            one, other = _interval(one), _interval(other)
    one, other = _spread(one), _spread(other)
    if "text" in (one.kind, other.kind):
        return _spelled(one) is not None and _spelled(one) == _spelled(other)
    if one.kind in _SCALAR and other.kind in _SCALAR:
        return _same_value(one, other)
    return _same_structure(one, other)


def _same_structure(one: Node, other: Node) -> bool:
    kinds = {one.kind, other.kind}
    if kinds <= {"set", "list"}:
        return _same_members(one.parts, other.parts)
    if len(kinds) > 1 or len(one.parts) != len(other.parts):
        return False
    if one.kind == "rel":
        return _same_relation(one, other)
    if one.kind == "setop" and one.name == other.name == "|":
        return _same_members(_united(one), _united(other))
    return one.name == other.name and _same_in_order(one.parts, other.parts)


def _same_in_order(ones: Sequence[Node], others: Sequence[Node]) -> bool:
    return len(ones) == len(others) and all(map(equal, ones, others))


def _same_members(ones: Sequence[Node], others: Sequence[Node]) -> bool:
    """True where each has a partner; what is written twice counts once."""
    return all(any(equal(a, b) for b in others) for a in ones) and all(
        any(equal(a, b) for a in ones) for b in others
    )


def _same_relation(one: Node, other: Node) -> bool:
    if one.name == other.name and _same_in_order(one.parts, other.parts):
        return True
    signs = other.name.split()
    if all(sign in _MIRRORED or sign in ("=", "!=", "~") for sign in signs):
        turned = " ".join(_MIRRORED.get(sign, sign) for sign in reversed(signs))
        if one.name == turned and _same_in_order(one.parts, other.parts[::-1]):
            return True
    if len(one.parts) != 2 or not {one.name, other.name} <= {"=", "!=", *_MIRRORED}:
        return False
    factor = _factor(_difference(one), _difference(other))
    return factor != 0 and other.name == (
        _MIRRORED.get(one.name, one.name) if factor < 0 else one.name
    )


def _difference(equation: Node) -> Node:
    left, right = equation.parts
    return Node("add", (left, Node("neg", (right,))))


def _factor(one: Node, other: Node) -> float:
    """The constant by which one is a multiple of the other; 0 where there is none."""
    if not letters(one) or letters(one) != letters(other):
        return 0
    ratios = []
    for number in range(_POINTS):
        at = point(letters(one), number)
        try:
            (a, a_size), (b, b_size) = approximate(one, at), approximate(other, at)
        except Undefined:
            continue
        if abs(a) <= TOLERANCE * a_size or abs(b) <= TOLERANCE * b_size:
            return 0
        ratios.append(a / b)
    if len(ratios) < 3 or any(ratio.imag for ratio in ratios):
        return 0
    same = all(abs(ratio - ratios[0]) <= TOLERANCE * abs(ratios[0]) for ratio in ratios)
    return float(ratios[0].real) if same else 0


def _same_value(one: Node, other: Node) -> bool:
    try:
        known = exact(one), exact(other)
    except Undefined:
        return False
    if None not in known:
        return known[0] == known[1]
    names = letters(one) | letters(other)
    if _infinite(one) or _infinite(other):
        return _infinite(one) == _infinite(other) != 2
    seen = 0
    for number in range(_POINTS if names else 1):
        at = point(names, number)
        try:
            (a, a_size), (b, b_size) = approximate(one, at), approximate(other, at)
        except Undefined:
            continue
        if abs(a - b) > TOLERANCE * max(a_size, b_size):
            return False
        seen += 1
    return seen >= (3 if names else 1)


def _infinite(node: Node) -> int:
    """1 for an infinity, -1 for a negative one, 2 where it is a part of something, else 0."""
    if node == Node("sym", name="oo"):
        return 1
    if node.kind == "neg" and node.parts[0] == Node("sym", name="oo"):
        return -1
    return 2 if has_kind(node, "sym") and "oo" in _names(node) else 0


def _names(node: Node) -> frozenset[str]:
    return frozenset({node.name}).union(*(_names(part) for part in node.parts))


def _bare(node: Node) -> Node:
    """Without units; of one that is a part, only a per cent sign or money."""
    if node.kind == "unit":
        return _bare(node.parts[0])
    inner = node.kind in ("list", "set", "seq", "rel", "matrix", "setop", "neg")
    return replace(node, parts=tuple(_bare(part) for part in node.parts)) if inner else node


def concluded(node: Node) -> Node:
    """What x = 5 says: the last side, where the first is a name, f(x), (x, y) or worked out."""
    signs = node.name.split() if node.kind == "rel" else []
    if signs[1:] and signs[-1] == "~":  # x = 1/3 \approx 0.33 says 1/3
        node = Node("rel", node.parts[:-1], " ".join(signs[:-1]))
        signs = signs[:-1]
    if not signs or not set(signs) <= {"=", "in"}:
        return node
    first = node.parts[0]
    a_name = first.kind in ("sym", "text") or (
        first.kind == "mul"
        and first.parts[0].kind == "sym"
        and first.parts[1].kind in ("sym", "num")
    )
    names = first.kind == "seq" and all(part.kind == "sym" for part in first.parts)
    worked = "in" not in node.name and not any(map(letters, node.parts)) and first.kind in _SCALAR
    return node.parts[-1] if a_name or names or worked else node


def _says(node: Node) -> bool:
    """True of 'x in S', which is compared with what S is."""
    return node.kind == "rel" and node.name == "in"


def _interval(node: Node) -> Node:
    """The interval that a < x < b, or x < b, says; what is none stays as it is."""
    signs = node.name.split() if node.kind == "rel" else []
    if (
        not signs
        or not set(signs) <= {"<", "<=", ">", ">="}
        or "" in (p.name for p in node.parts if p.kind == "text")
    ):
        return node
    parts = node.parts
    if signs[0] in (">", ">="):
        parts, signs = parts[::-1], [_MIRRORED[sign] for sign in reversed(signs)]
    infinity = Node("sym", name="oo")
    if len(parts) == 2 and parts[0].kind == "sym":
        parts, signs = (Node("neg", (infinity,)), *parts), ["<", *signs]
    elif len(parts) == 2 and parts[1].kind == "sym":
        parts, signs = (*parts, infinity), [*signs, "<"]
    if len(parts) != 3 or parts[1].kind != "sym" or not set(signs) <= {"<", "<="}:
        return node
    ends = ("(" if signs[0] == "<" else "[") + (")" if signs[1] == "<" else "]")
    return Node("seq", (parts[0], parts[2]), ends)


def _spread(node: Node) -> Node:
    r"""A set or list with 1 \pm x as two members, and such an expression as a list."""
    if node.kind in ("set", "list"):
        parts: list[Node] = []
        for part in node.parts:
            spread = _spread(part)
            parts += spread.parts if spread.kind == "list" else (spread,)
        return Node(node.kind, tuple(parts))
    if node.kind in _SCALAR | {"pm", "mp"} and has_kind(node, "pm", "mp"):
        return Node("list", (_signed(node, True), _signed(node, False)))
    if node.kind == "rel" and has_kind(node, "pm", "mp"):
        return Node("list", (_signed(node, True), _signed(node, False)))
    return node


def _signed(node: Node, plus: bool) -> Node:
    parts = tuple(_signed(part, plus) for part in node.parts)
    if node.kind not in ("pm", "mp"):
        return replace(node, parts=parts)
    right = parts[1] if (node.kind == "pm") == plus else Node("neg", (parts[1],))
    return Node("add", (parts[0], right))


def _united(node: Node) -> tuple[Node, ...]:
    if node.kind != "setop" or node.name != "|":
        return (node,)
    return _united(node.parts[0]) + _united(node.parts[1])


def _spelled(node: Node) -> str | None:
    """The letters that an answer is, so that E is \\text{E}; None where it is more than letters."""
    if node.kind in ("text", "sym"):
        return node.name.casefold()
    if node.kind == "mul":
        left, right = _spelled(node.parts[0]), _spelled(node.parts[1])
        return left + right if left is not None and right is not None else None
    return None
