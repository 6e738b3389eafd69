r"""From a formula to a Node, by a grammar over the whole text: what it has no rule for is not read.

Our choices: 2\frac{1}{2} and 2 1/2 are two and a half; 10^12 is ten to the twelfth; a text or a
word behind a value is its unit; 12,345 is one number outside brackets; 4210_5 is a number in base
5; \sin 2x is the sine of 2x; f(2) is f times 2 on both sides of a comparison.
"""

from fractions import Fraction
from functools import lru_cache

from pipeline.verify.characters import CURRENCIES
from pipeline.verify.expression.atoms import BLACKBOARD, CONSTANTS, FUNCTIONS, SYMBOLS, Atoms
from pipeline.verify.expression.node import Node, negative, number
from pipeline.verify.expression.reader import Refused, Unread
from pipeline.verify.expression.texts import AND
from pipeline.verify.expression.tokens import tokens

__all__ = ["Refused", "parse"]

LONGEST = 400  # characters of a formula that is read
_RELATIONS = {
    "=": "=", "<": "<", ">": ">", "<=": "<=", ">=": ">=", r"\neq": "!=", r"\in": "in",
    r"\approx": "~", r"\sim": "~", r"\equiv": "==", ":": ":", r"\to": "->", r"\rightarrow": "->",
    r"\mapsto": "->", r"\subset": "sub", r"\subseteq": "sub=", r"\Rightarrow": "=>",
}  # fmt: skip
_SETS = {r"\cup": "|", r"\cap": "&", r"\setminus": "-"}
_TIMES = frozenset({r"\cdot", r"\times", "*"})
_OVER = frozenset({"/", r"\div"})


@lru_cache(maxsize=16384)
def parse(text: str) -> Node | None:
    """The expression that the whole text is; None where the grammar has no rule for a part of it.

    Raises:
        Refused: the text denies its value, bounds it, or gives a part of it.
    """
    if len(text) > LONGEST:
        return None
    reader = _Grammar(tokens(text))
    try:
        node = reader.statement()
        reader.skip(".")
        reader.skip("。")
    except (Unread, RecursionError):
        return None
    return node if reader.at_end() else None


class _Grammar(Atoms):
    """A recursive descent over the tokens; each method reads one rule and says what it is."""

    def statement(self) -> Node:
        """One relation, or several that are parted by commas, semicolons, 'and' or 'or'."""
        found = [self.relation()]
        while self.between():
            found.append(self.relation())
        return found[0] if len(found) == 1 else Node("list", tuple(found))

    def between(self) -> bool:
        """Moves over what parts two values; a comma and a word ('2, and 3') are one."""
        parted = self.skip(",") or self.skip(";") or self.skip("，") or self.skip("、")
        found = self.token()
        if found and found.kind in ("text", "word") and found.text.lower().strip(" ,") in AND:
            if found.kind == "word" and len(found.text) == 1:
                return parted  # y is a letter here
            self.take()
            return True
        return parted

    def relation(self) -> Node:
        """One expression, or several between signs such as = and <."""
        sides, signs = [], []
        if self.text() in _RELATIONS and self.text() not in ("=", ":"):
            sides.append(Node("text"))
        else:
            sides.append(self.union())
        while sign := self.relation_sign():
            signs.append(sign)
            sides.append(self.union())
        return Node("rel", tuple(sides), " ".join(signs)) if signs else sides[0]

    def relation_sign(self) -> str:
        """Moves over a sign of a relation. 'x != 5' is one too, 'n!=120' is n! = 120."""
        found, after = self.token(), self.token(1)
        if found and after and found.text == "!" and found.spaced and after.text == "=":
            self.take()
            self.take()
            return "!="
        return _RELATIONS[self.take().text] if self.text() in _RELATIONS else ""

    def union(self) -> Node:
        """Sums between signs of sets."""
        found = self.sum()
        while self.text() in _SETS:
            sign = _SETS[self.take().text]
            found = Node("setop", (found, self.sum()), sign)
        return found

    def sum(self) -> Node:
        r"""Terms that are added, subtracted, or both (\pm)."""
        found = self.signed()
        while self.text() in ("+", "-", r"\pm", r"\mp"):
            sign, right = self.take().text, self.term()
            if sign in ("+", "-"):
                found = Node("add", (found, right if sign == "+" else Node("neg", (right,))))
            else:
                found = Node("pm" if sign == r"\pm" else "mp", (found, right))
        return found

    def signed(self) -> Node:
        """A term with the sign before it."""
        if self.skip("-"):
            return negative(self.term())
        if self.skip(r"\pm"):
            return Node("pm", (number(0), self.term()))
        self.skip("+")
        return self.term()

    def term(self) -> Node:
        """A product with its unit or currency."""
        currency = self.skip_currency()
        if currency and self.skip("-"):
            return self.measured(negative(self.product()))
        found = self.measured(self.product())
        return Node("unit", (found,), "money") if currency and found.kind != "unit" else found

    def skip_currency(self) -> bool:
        """Moves over a sign of money."""
        if self.text() in CURRENCIES:
            self.take()
            return True
        return False

    def product(self) -> Node:
        """Factors that are multiplied or divided, with or without a sign."""
        found = self.power()
        while True:
            sign = self.text()
            if sign in _TIMES:
                self.take()
                found = _times(found, self.factor(), sign)
            elif sign in _OVER:
                self.take()
                found = Node("div", (found, self.factor()))
            elif self.starts_factor(found):
                found = Node("mul", (found, self.power()))
            else:
                return found

    def factor(self) -> Node:
        r"""A power, perhaps with a minus: 2 \cdot -3."""
        return negative(self.power()) if self.skip("-") else self.power()

    def starts_factor(self, before: Node) -> bool:
        """True where a factor follows without a sign; a word behind a value is its unit."""
        found = self.token()
        if found is None or found.kind in ("digit", "text", "begin", "end"):
            return False
        if found.kind == "word":
            return (
                found.text in FUNCTIONS or found.text in ("pi", "sqrt") or self.is_letters(before)
            )
        if found.text == "|":
            return self._bars == 0
        known = found.text in SYMBOLS or found.text in CONSTANTS or found.text[1:] in FUNCTIONS
        return (
            known
            or found.text in ("(", "{", r"\frac", r"\sqrt", r"\surd", r"\binom")
            or (
                found.text in BLACKBOARD
                or found.text.startswith(r"\mathbf")
                or found.text == r"\lfloor"
            )
        )

    def power(self) -> Node:
        """An atom with its exponent, or its degrees."""
        found = self.postfix(self.atom())
        if not self.skip("^"):
            return found
        if self.skip_degree():
            return Node("unit", (found,), "degree")
        if found.kind == "num" and self.skip_ordinal():
            return Node("unit", (found,), "text")
        return self.postfix(Node("pow", (found, self.exponent())))

    def postfix(self, found: Node) -> Node:
        """Factorials and degrees behind a value."""
        mark, after = self.token(), self.token(1)
        if mark and mark.text == "!" and not (after and after.text == "!"):
            if not (mark.spaced and after and after.text == "="):
                self.take()
                return Node("fact", (found,))
        return Node("unit", (found,), "degree") if self.skip("°") else found


def _times(left: Node, right: Node, sign: str) -> Node:
    """A product; 3.0 \\times 10^8 is a number in scientific form."""
    if sign != "*" and left.kind == "num" and right.kind == "pow":
        base, exponent = right.parts
        power = exponent.parts[0] if exponent.kind == "neg" else exponent
        if base == number(10) and power.kind == "num" and power.value is not None:
            if power.value.denominator == 1 and power.value <= 999:
                signed = int(-power.value if exponent.kind == "neg" else power.value)
                assert left.value is not None
                return number(left.value * Fraction(10) ** signed, "sci")
    return Node("mul", (left, right))
