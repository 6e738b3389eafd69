r"""What an expression is worth: exactly where it is rational, else to sixty digits at a point."""

import hashlib
from fractions import Fraction
from functools import lru_cache
from math import comb, factorial
from typing import Any, TypeVar

from pipeline.verify.expression.node import Node

DIGITS = 60  # of every step in numbers that are not rational
_LARGEST_EXPONENT = 10_000
_LARGEST_FACTORIAL = 2_000
_MOST_BITS = 100_000
_ANY_BASE = 7.3125  # of \log, which some mean natural and some decimal: it is equal to neither


Number = TypeVar("Number")


class Undefined(Exception):
    """It has no value here: a division by zero, a kind without one, or a number too large."""


@lru_cache(maxsize=16384)
def exact(node: Node) -> Fraction | None:
    """The value of a rational expression; None where it has letters, roots or functions.

    Raises:
        Undefined: it divides by zero, or is too large to write down.
    """
    if node.value is not None:
        return node.value
    if node.kind not in ("add", "neg", "mul", "div", "pow", "fact", "fn"):
        return None
    values = [exact(part) for part in node.parts]
    if any(value is None for value in values):
        return None
    found = _apply(node, [value for value in values if value is not None])
    if (
        found is not None
        and found.numerator.bit_length() + found.denominator.bit_length() > _MOST_BITS
    ):
        raise Undefined
    return found


def _apply(node: Node, values: list[Fraction]) -> Fraction | None:
    first: Fraction = values[0]
    last: Fraction = values[-1]
    if node.kind == "add":
        return first + last
    if node.kind == "neg":
        return -first
    if node.kind == "mul":
        return first * last
    if node.kind == "div":
        return first / _not_zero(last)
    if node.kind == "fact":
        return _factorial(first)
    if node.kind == "pow":
        return _power(first, last)
    return _function(node.name, values)


def _power(base: Fraction, exponent: Fraction) -> Fraction | None:
    if exponent.denominator != 1:
        return None
    if abs(exponent) > _LARGEST_EXPONENT and base not in (0, 1, -1):
        raise Undefined
    size = max(base.numerator.bit_length(), base.denominator.bit_length())
    if size * abs(exponent) > _MOST_BITS and base not in (0, 1, -1):
        raise Undefined
    if base == 0 and exponent <= 0:
        raise Undefined
    if abs(exponent) > _LARGEST_EXPONENT:
        return base if exponent % 2 else base * base
    return base ** int(exponent)


def _factorial(value: Fraction) -> Fraction:
    if value.denominator != 1 or not 0 <= value <= _LARGEST_FACTORIAL:
        raise Undefined
    return Fraction(factorial(int(value)))


def _function(name: str, values: list[Fraction]) -> Fraction | None:
    if name == "abs":
        return abs(values[0])
    if name == "floor":
        return Fraction(values[0].__floor__())
    if name == "ceil":
        return Fraction(values[0].__ceil__())
    if name == "binom":
        n, k = values
        if n.denominator != 1 or k.denominator != 1 or not 0 <= k <= n <= _LARGEST_FACTORIAL:
            raise Undefined
        return Fraction(comb(int(n), int(k)))
    return None


def _not_zero(value: Number) -> Number:
    if not value:
        raise Undefined
    return value


def letters(node: Node) -> frozenset[str]:
    """Names of the letters in an expression that stand for any number."""
    own = {node.name} if node.kind == "sym" and node.name not in ("pi", "e", "i", "oo") else set()
    return frozenset(own).union(*(letters(part) for part in node.parts))


def point(names: frozenset[str], number: int) -> dict[str, Fraction]:
    """A value for each letter, positive or negative, by hash of its name: the same ones always."""
    found = {}
    for name in sorted(names):
        drawn = hashlib.sha256(f"{name} {number}".encode()).digest()
        size = Fraction(int.from_bytes(drawn[:8], "big"), 2**62) + Fraction(1, 7)  # 1/7 to 4 1/7
        found[name] = size if number == 0 or drawn[8] % 2 else -size
    return found


def approximate(node: Node, at: dict[str, Fraction]) -> tuple[Any, Any]:
    """The value at a point, a complex number of sixty digits, and its largest summand's size.

    Raises:
        Undefined: it has no value there.
    """
    from mpmath import mp

    with mp.workdps(DIGITS):
        try:
            value, size = _number(node, at)
        except (ValueError, ZeroDivisionError, OverflowError, TypeError) as error:
            raise Undefined from error
        if not mp.isfinite(value):
            raise Undefined
        return value, max(size, abs(value))


def _number(node: Node, at: dict[str, Fraction]) -> tuple[Any, Any]:
    from mpmath import mp

    known = exact(node)
    if known is not None:
        value = mp.mpf(known.numerator) / known.denominator
        return value, abs(value)
    if node.kind == "sym":
        value = _letter(node.name, at)
        return value, abs(value)
    if node.kind == "unit":
        if node.name != "degree":
            raise Undefined
        value, _ = _number(node.parts[0], at)
        return value * mp.pi / 180, abs(value)
    parts = [_number(part, at) for part in node.parts]
    values, sizes = [value for value, _ in parts], [size for _, size in parts]
    if node.kind == "add":
        return values[0] + values[1], max(sizes)
    if node.kind == "neg":
        return -values[0], sizes[0]
    if node.kind == "mul":
        return values[0] * values[1], sizes[0] * sizes[1]
    if node.kind == "div":
        return values[0] / _not_zero(values[1]), sizes[0] / abs(values[1])
    value = _special(node, values)
    return value, abs(value)


def _letter(name: str, at: dict[str, Fraction]) -> Any:
    from mpmath import mp

    if name == "oo":
        raise Undefined
    constants = {"pi": mp.pi, "e": mp.e, "i": mp.mpc(0, 1)}
    if name in constants:
        return +constants[name]
    return mp.mpf(at[name].numerator) / at[name].denominator


def _special(node: Node, values: list[Any]) -> Any:
    """A power, a factorial or a function."""
    from mpmath import mp

    if node.kind not in ("pow", "fact", "fn"):
        raise Undefined
    first, last = values[0], values[-1]
    if node.kind == "pow":
        if abs(last) > _LARGEST_EXPONENT or (first == 0 and mp.re(last) <= 0):
            raise Undefined
        return _odd_root(node, first) or mp.power(first, last)
    if node.kind == "fact":
        if abs(first) > _LARGEST_FACTORIAL:
            raise Undefined
        return mp.factorial(first)
    return _named(node.name, values, first, last)


def _odd_root(node: Node, base: Any) -> Any:
    """The real root of a negative number, where the exponent is written as 1/3, 1/5 and so on."""
    from mpmath import mp

    exponent = exact(node.parts[1])
    if exponent is None or exponent.denominator % 2 == 0 or exponent.denominator == 1:
        return None
    if mp.im(base) != 0 or mp.re(base) >= 0:
        return None
    root = -mp.power(-mp.re(base), mp.mpf(1) / exponent.denominator)
    return root**exponent.numerator


def _named(name: str, values: list[Any], first: Any, last: Any) -> Any:
    from mpmath import mp

    if name == "exp" and abs(first) > _LARGEST_EXPONENT:
        raise Undefined
    if name in ("log", "ln", "lg"):
        base = last if len(values) == 2 else {"log": _ANY_BASE, "ln": mp.e, "lg": 10}[name]
        return mp.log(_not_zero(first)) / mp.log(base)
    if name in ("floor", "ceil"):
        return mp.floor(mp.re(first)) if name == "floor" else mp.ceil(mp.re(first))
    if name == "binom":
        return mp.binomial(first, last)
    known = {"abs": mp.fabs, "arcsin": mp.asin, "arccos": mp.acos, "arctan": mp.atan, "exp": mp.exp}
    return known[name](first) if name in known else getattr(mp, name)(first)
