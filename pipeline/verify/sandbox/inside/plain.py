"""Plain data as JSON: what may pass between a program and its tests.

Only values whose comparison the tests' side knows by itself can pass: a class of the program's own, whose `__eq__`
says yes to everything, cannot. Types are exact (True is not 1, a tuple is not a list); subclasses of the types below
pass as their plain base; iterators pass as iterators over what they gave.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from typing import Any

ITEMS = 1_000_000  # most items taken from an iterator
_SMALL = 2**53  # integers below pass as JSON numbers

_SEQUENCES: dict[str, tuple[type, Callable[[Any], Any]]] = {
    "tuple": (tuple, tuple),
    "list": (list, list),
    "set": (set, set),
    "frozenset": (frozenset, frozenset),
    "deque": (deque, deque),
}
_MAPPINGS: dict[str, tuple[type, Callable[[Any], Any]]] = {
    "counter": (Counter, lambda pairs: Counter(dict(pairs))),
    "ordered": (OrderedDict, OrderedDict),
    "dict": (dict, dict),
}
_TEXTUAL: dict[str, tuple[type, Callable[[str], Any]]] = {
    "decimal": (Decimal, Decimal),
    "fraction": (Fraction, Fraction),
}


class NotPlain(TypeError):
    """A value that cannot pass."""


def dump(value: Any) -> Any:
    """JSON-like form of plain data.

    Raises:
        NotPlain: an object of any other type.
        RecursionError: nested too deeply, or in itself.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        number = int(value)
        return number if -_SMALL < number < _SMALL else ["int", hex(number)]
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        return str.__str__(value)
    return _dump_tagged(value)


def _dump_tagged(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        return ["bytearray" if isinstance(value, bytearray) else "bytes", value.hex()]
    if isinstance(value, complex):
        return ["complex", value.real, value.imag]
    if isinstance(value, range):
        return ["range", dump(value.start), dump(value.stop), dump(value.step)]
    for tag, (kind, _) in _MAPPINGS.items():
        if isinstance(value, kind):
            return [tag, [[dump(key), dump(item)] for key, item in value.items()]]
    for tag, (kind, _) in _SEQUENCES.items():
        if isinstance(value, kind):
            return [tag, [dump(item) for item in value]]
    for tag, (kind, _) in _TEXTUAL.items():
        if isinstance(value, kind):
            return [tag, str(value)]
    if isinstance(value, Iterator):
        return ["iterator", [dump(item) for item in islice(value, ITEMS)]]
    return _dump_view(value)


def _dump_view(value: Any) -> Any:
    for kind in (type({}.keys()), type({}.values()), type({}.items())):
        if isinstance(value, kind):
            return ["list", [dump(item) for item in value]]
    raise NotPlain(f"an object of type {type(value).__name__} is not plain data")


def load(node: Any) -> Any:
    """The value of a JSON-like form; whatever it says, only plain data are built.

    Raises:
        ValueError: not such a form.
        RecursionError: nested too deeply.
    """
    if node is None or isinstance(node, bool | int | float | str):
        return node
    if not isinstance(node, list) or not node or not isinstance(node[0], str):
        raise ValueError("not plain data")
    try:
        return _load_tagged(node[0], node[1:])
    except (TypeError, ArithmeticError, AttributeError) as error:
        raise ValueError(f"not plain data: {error}") from error


def _load_tagged(tag: str, rest: list[Any]) -> Any:
    if tag == "int":
        return int(rest[0], 16)
    if tag in ("bytes", "bytearray"):
        data = bytes.fromhex(rest[0])
        return bytearray(data) if tag == "bytearray" else data
    if tag == "complex":
        return complex(*rest)
    if tag == "range":
        return range(*map(load, rest))
    if tag in _MAPPINGS:
        return _MAPPINGS[tag][1]([(load(key), load(item)) for key, item in rest[0]])
    if tag in _SEQUENCES:
        return _SEQUENCES[tag][1]([load(item) for item in rest[0]])
    if tag in _TEXTUAL:
        return _TEXTUAL[tag][1](rest[0])
    if tag == "iterator":
        return iter([load(item) for item in rest[0]])
    raise ValueError(f"unknown tag {tag!r}")
