"""Plain data as JSON: what may pass between a program and its tests.

Only values whose comparison the tests' side knows by itself can pass: a class of the program's own,
whose `__eq__` says yes to everything, cannot; of such a value only its type's name and its truth
pass. Types are exact (True is not 1, a tuple is not a list); subclasses of the types below pass as
their plain base; iterators pass as iterators over what they gave.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from typing import Any

ITEMS = 1_000_000  # most items taken from an iterator
_SMALL = 2**53  # integers below pass as JSON numbers


class NotPlain(TypeError):
    """A value that cannot pass."""


class Opaque:
    """What the tests see of a result that cannot pass: a truth value that equals nothing else."""

    def __init__(self, kind: str, truth: bool) -> None:
        self.kind, self.truth = kind, truth

    def __bool__(self) -> bool:
        return self.truth

    def __repr__(self) -> str:
        return f"<{self.kind}, which is not plain data>"


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
    for tag, (kind, to_json, _) in _KINDS.items():
        if isinstance(value, kind):
            return [tag, to_json(value)]
    raise NotPlain(f"an object of type {type(value).__name__} is not plain data")


def load(node: Any) -> Any:
    """The value of a JSON-like form; whatever it says, only plain data are built.

    Raises:
        ValueError: not such a form.
        RecursionError: nested too deeply.
    """
    if node is None or isinstance(node, bool | int | float | str):
        return node
    try:
        tag, rest = node
        return int(rest, 16) if tag == "int" else _KINDS[tag][2](rest)
    except (TypeError, LookupError, ArithmeticError, AttributeError) as error:
        raise ValueError(f"not plain data: {error}") from error


def _items(values: Iterable[Any]) -> list[Any]:
    return [dump(value) for value in values]


def _pairs(mapping: Any) -> list[Any]:
    return [[dump(key), dump(value)] for key, value in mapping.items()]


def _sequence(kind: Callable[[list[Any]], Any]) -> Callable[[list[Any]], Any]:
    return lambda nodes: kind([load(node) for node in nodes])


def _mapping(kind: Callable[[Any], Any]) -> Callable[[list[Any]], Any]:
    return lambda nodes: kind({load(key): load(value) for key, value in nodes})


# tag: type, to JSON, from JSON; a subclass stands before its base.
_KINDS: dict[str, tuple[Any, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "counter": (Counter, _pairs, _mapping(Counter)),
    "ordered": (OrderedDict, _pairs, _mapping(OrderedDict)),
    "dict": (dict, _pairs, _mapping(dict)),
    "tuple": (tuple, _items, _sequence(tuple)),
    "list": ((list, type({}.keys()), type({}.values()), type({}.items())), _items, _sequence(list)),
    "set": (set, _items, _sequence(set)),
    "frozenset": (frozenset, _items, _sequence(frozenset)),
    "deque": (deque, _items, _sequence(deque)),
    "bytes": (bytes, bytes.hex, bytes.fromhex),
    "bytearray": (bytearray, bytearray.hex, bytearray.fromhex),
    "complex": (complex, lambda value: [value.real, value.imag], lambda parts: complex(*parts)),
    "range": (
        range,
        lambda value: _items([value.start, value.stop, value.step]),
        lambda n: range(*map(load, n)),
    ),
    "decimal": (Decimal, str, Decimal),
    "fraction": (Fraction, str, Fraction),
    "iterator": (Iterator, lambda values: _items(islice(values, ITEMS)), _sequence(iter)),
}
